{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{/* What reads the configuration needs these variables. */}}
{{- define "sriov.env" -}}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: HOST_IP
  valueFrom:
    fieldRef:
      fieldPath: status.hostIP
{{- end }}

{{/* Volumes of modules that another image brings. */}}
{{- define "sriov.moduleVolumes" -}}
{{- $needs := include "sriov.needs" . | fromYaml }}
{{- $copied := false }}
{{- range $needs.delivered }}
{{- if eq .delivery "imageVolume" }}
- name: module-{{ .name }}
  image:
    reference: {{ .image }}
    pullPolicy: {{ .pullPolicy }}
{{- else }}
{{- $copied = true }}
{{- end }}
{{- end }}
{{- if $copied }}
- name: modules
  emptyDir:
    sizeLimit: 512Mi
{{- end }}
{{- end }}

{{- define "sriov.moduleMounts" -}}
{{- $needs := include "sriov.needs" . | fromYaml }}
{{- range $needs.delivered }}
{{- if eq .delivery "imageVolume" }}
- name: module-{{ .name }}
{{- else }}
- name: modules
  subPath: {{ .name }}
{{- end }}
  mountPath: /opt/dra-driver-sriov/modules/{{ .name }}
  readOnly: true
{{- end }}
{{- end }}

{{/* One init container for each module that is copied. `install -D` makes the module's folder with mode 0755: the volume
itself is writable by everybody, which the driver refuses of any folder above a module. */}}
{{- define "sriov.moduleCopies" -}}
{{- $needs := include "sriov.needs" . | fromYaml }}
{{- range $needs.delivered }}
{{- if eq .delivery "initContainer" }}
- name: copy-{{ .name }}
  image: {{ .image }}
  imagePullPolicy: {{ .pullPolicy }}
  command: [install, -D, -m, "0644", {{ .imagePath | quote }}, {{ printf "/modules/%s/%s" .name (base .imagePath) | quote }}]
  securityContext:
    runAsUser: 0
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop: [ALL]
    seccompProfile:
      type: RuntimeDefault
  volumeMounts:
  - name: modules
    mountPath: /modules
{{- end }}
{{- end }}
{{- end }}

{{/* A container that checks module files as the driver will, without any permission. */}}
{{- define "sriov.verifyContainer" -}}
{{- $needs := include "sriov.needs" . | fromYaml -}}
name: verify-modules
image: {{ include "sriov.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [module, verify, {{ range $index, $path := $needs.paths }}{{ if $index }}, {{ end }}{{ $path | quote }}{{ end }}]
env:
{{- include "sriov.env" . | nindent 0 }}
securityContext:
  runAsUser: 0
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
volumeMounts:
- name: config
  mountPath: /etc/dra-driver-sriov
  readOnly: true
{{- with include "sriov.moduleMounts" . | trim }}
{{ . }}
{{- end }}
{{- end }}

{{- define "sriov.securityContext" -}}
{{- $given := .Values.kubeletPlugin.containers.plugin.securityContext }}
{{- $needs := include "sriov.needs" . | fromYaml }}
{{- if $given }}
{{- toYaml $given }}
{{- else if eq .Values.kubeletPlugin.securityProfile "privileged" -}}
privileged: true
readOnlyRootFilesystem: true
{{- else -}}
runAsUser: 0
readOnlyRootFilesystem: true
{{- /* The API server refuses false beside SYS_ADMIN. */}}
{{- if not (has "SYS_ADMIN" $needs.capabilities) }}
allowPrivilegeEscalation: false
{{- end }}
capabilities:
  drop: [ALL]
  {{- with $needs.capabilities }}
  add: {{ toJson . }}
  {{- end }}
seccompProfile:
  type: RuntimeDefault
{{- if $needs.unconfined }}
appArmorProfile:
  type: Unconfined
seLinuxOptions:
  type: spc_t
{{- end }}
{{- end }}
{{- end }}
