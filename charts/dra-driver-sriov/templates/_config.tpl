{{/* SPDX-License-Identifier: Apache-2.0
sriov.config: the driver's configuration file (docs/configuration.md). driver.extraConfig is laid over it. */}}
{{- define "sriov.config" -}}
{{- $modules := list }}
{{- range (include "sriov.modules" . | fromYaml).modules }}{{ $modules = append $modules .config }}{{ end }}
{{- $plugin := .Values.kubeletPlugin }}
{{- $config := dict
  "driverName" .Values.driver.name
  "nodeName" "${NODE_NAME}"
  "namespace" (include "sriov.filterNamespace" .)
  "cluster" "kube"
  "kubeApiQps" .Values.driver.kubeApiQps
  "kubeApiBurst" .Values.driver.kubeApiBurst
  "advertise" .Values.driver.advertise
  "kubeletPluginsDirectory" (include "sriov.pluginsDirectory" .)
  "kubeletRegistrarDirectory" (include "sriov.registrarDirectory" .)
  "cdiRoot" .Values.cdiRoot
  "healthcheckPort" $plugin.containers.plugin.healthcheckPort
  "defaultInterfacePrefix" (default $plugin.defaultInterfacePrefix .Values.driver.defaultInterfacePrefix)
  "nriPluginName" $plugin.nriPluginName
  "nriPluginIndex" ($plugin.nriPluginIndex | toString)
  "netAttachDefNamespaces" .Values.driver.netAttachDefNamespaces
  "verbosity" .Values.logging.level
  "logFormat" .Values.logging.format
  "modules" $modules }}
{{- with .Values.hookDir }}
{{- $_ := set $config "hookDir" . }}
{{- end }}
{{- if ge (int $plugin.containers.plugin.healthcheckPort) 0 }}
{{- /* kubelet probes a pod of the host's network at the node's address. */}}
{{- $_ := set $config "healthcheckAddress" "${HOST_IP}" }}
{{- end }}
{{- if (.Values.metrics).enabled }}
{{- $_ := set $config "metricsPort" .Values.metrics.port }}
{{- $_ := set $config "metricsAddress" (default "${HOST_IP}" .Values.metrics.address) }}
{{- end }}
{{- toYaml (mergeOverwrite $config (deepCopy .Values.driver.extraConfig)) }}
{{- end }}
