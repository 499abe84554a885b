{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{- define "sriov.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* 45: the longest suffix is "-service-account", and object names are labels of Job pods, too. */}}
{{- define "sriov.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 45 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "sriov.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "sriov.selectorLabels" -}}
{{- if .Values.selectorLabelsOverride }}
{{- toYaml .Values.selectorLabelsOverride }}
{{- else -}}
app.kubernetes.io/name: {{ include "sriov.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- end }}

{{- define "sriov.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "sriov.selectorLabels" . }}
{{- end }}

{{- define "sriov.serviceAccount" -}}
{{- if .Values.serviceAccount.name }}
{{- .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create }}
{{- include "sriov.fullname" . }}-service-account
{{- else -}}
default
{{- end }}
{{- end }}

{{- define "sriov.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}

{{- define "sriov.pluginsDirectory" -}}
{{- default (printf "%s/plugins" .Values.kubeletRootDirectory) .Values.kubeletPlugin.kubeletPluginsDirectoryPath }}
{{- end }}

{{- define "sriov.registrarDirectory" -}}
{{- default (printf "%s/plugins_registry" .Values.kubeletRootDirectory) .Values.kubeletPlugin.kubeletRegistrarDirectoryPath }}
{{- end }}

{{- define "sriov.filterNamespace" -}}
{{- default (include "sriov.namespace" .) .Values.driver.namespace }}
{{- end }}

{{/* Of a duration as Prometheus writes it, 1m30s; the schema has let nothing else through. */}}
{{- define "sriov.milliseconds" -}}
{{- $unit := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "w" 604800000 "y" 31536000000 }}
{{- $sum := 0 }}
{{- range regexFindAll "[0-9]+[a-z]+" . -1 }}
{{- /* A number with a zero before it would be read as octal. */}}
{{- $number := regexReplaceAll "^0*([0-9]+).*$" . "${1}" }}
{{- $sum = add $sum (mul (int64 $number) (get $unit (regexFind "[a-z]+$" .) | int64)) }}
{{- end }}
{{- $sum }}
{{- end }}
