{{/* SPDX-License-Identifier: Apache-2.0

sriov.modules: the list `modules` of the values, checked and completed. Everything else in the chart that depends on
modules (configuration, volumes, init containers, permissions) reads this, not the values. Each entry has

  name, enabled, builtin (name of the builtin module or ""), path (what `module verify` takes)
  config (entry of the driver's configuration)
  delivery ("", "imageVolume" or "initContainer"), image, imagePath, pullPolicy

Third parties' files lie in a folder of their own below /opt/dra-driver-sriov/modules, never among the image's.
*/}}
{{- define "sriov.modules" -}}
{{- $builtins := list "discovery-sysfs" "vf-state" "binding-vfio" "mount-vhost" "runtime-nri" "netconf-cni" "cdi" }}
{{- $root := "/opt/dra-driver-sriov/modules" }}
{{- $names := dict }}
{{- $out := list }}
{{- range $index, $module := .Values.modules }}
  {{- $at := printf "modules[%d] (%s)" $index $module.name }}
  {{- if hasKey $names $module.name }}
    {{- fail (printf "%s: modules[%d] has this name, too; give each entry a name of its own" $at (get $names $module.name)) }}
  {{- end }}
  {{- $_ := set $names $module.name $index }}
  {{- $source := $module.source | default dict }}
  {{- $file := $module.module | default "" }}
  {{- if and $file $source }}
    {{- fail (printf "%s: has module and source; module is for what is in the driver's image, source for what another image brings" $at) }}
  {{- end }}
  {{- if not (or $file $source) }}
    {{- fail (printf "%s: needs module (builtin:NAME or an absolute path) or source (an image that brings the file)" $at) }}
  {{- end }}
  {{- $builtin := "" }}
  {{- if hasPrefix "builtin:" $file }}
    {{- $builtin = trimPrefix "builtin:" $file }}
    {{- if not (has $builtin $builtins) }}
      {{- fail (printf "%s: there is no builtin module %q; there are %s" $at $builtin (join ", " $builtins)) }}
    {{- end }}
  {{- else if and $file (not (hasPrefix "/" $file)) }}
    {{- fail (printf "%s: module %q is neither builtin:NAME nor an absolute path" $at $file) }}
  {{- end }}
  {{- $delivery := "" }}
  {{- if $source }}
    {{- if not (and $source.image $source.path) }}
      {{- fail (printf "%s: source needs image and path" $at) }}
    {{- end }}
    {{- if not (hasPrefix "/" $source.path) }}
      {{- fail (printf "%s: source.path %q is not absolute; it is the module's file in %s" $at $source.path $source.image) }}
    {{- end }}
    {{- if regexMatch "(^|/)\\.\\.?(/|$)|//|/$" $source.path }}
      {{- fail (printf "%s: source.path %q must name a file, without //, . and .." $at $source.path) }}
    {{- end }}
    {{- if not (or (regexMatch "@sha256:[0-9a-f]{64}$" $source.image) $.Values.allowModuleImagesWithoutDigest) }}
      {{- fail (printf "%s: image %s is given without a digest, so that nodes may run different modules; write …@sha256:DIGEST, or set allowModuleImagesWithoutDigest" $at $source.image) }}
    {{- end }}
    {{- $delivery = $source.delivery | default "auto" }}
    {{- if eq $delivery "auto" }}
      {{- $delivery = ternary "imageVolume" "initContainer" (semverCompare ">=1.36.0-0" $.Capabilities.KubeVersion.Version) }}
    {{- end }}
    {{- if eq $delivery "imageVolume" }}
      {{- $file = printf "%s/%s%s" $root $module.name $source.path }}
    {{- else }}
      {{- $file = printf "%s/%s/%s" $root $module.name (base $source.path) }}
    {{- end }}
  {{- end }}
  {{- $enabled := true }}
  {{- if hasKey $module "enabled" }}{{ $enabled = $module.enabled }}{{ end }}
  {{- $config := dict "name" $module.name "module" $file "enabled" $enabled }}
  {{- if $module.capabilities }}{{ $_ := set $config "capabilities" $module.capabilities }}{{ end }}
  {{- if $module.failurePolicy }}{{ $_ := set $config "failurePolicy" $module.failurePolicy }}{{ end }}
  {{- if $module.config }}{{ $_ := set $config "config" $module.config }}{{ end }}
  {{- if $source.sha256 }}{{ $_ := set $config "sha256" $source.sha256 }}{{ end }}
  {{- $out = append $out (dict "name" $module.name "enabled" $enabled "builtin" $builtin "path" $file "config" $config
        "delivery" $delivery "image" $source.image "imagePath" $source.path "pullPolicy" ($source.pullPolicy | default "IfNotPresent")
        "capabilities" ($module.capabilities | default list) "settings" ($module.config | default dict)) }}
{{- end }}
{{- toYaml (dict "modules" $out) }}
{{- end }}

{{/* sriov.needs: what the enabled modules need of the node, as a dict:
  builtin            builtin module -> its settings, of those that are enabled
  hostPID            whether the processes of the node must be seen
  capabilities       Linux capabilities, sorted
  unconfined         whether AppArmor and SELinux would stand in the way
  delivered          enabled modules that another image brings
  paths              what to verify
docs/security.md says why, module by module. */}}
{{- define "sriov.needs" -}}
{{- $builtin := dict }}
{{- $delivered := list }}
{{- $paths := list }}
{{- $network := false }}
{{- range (include "sriov.modules" . | fromYaml).modules }}
  {{- if .enabled }}
    {{- $paths = append $paths .path }}
    {{- if .builtin }}{{ $_ := set $builtin .builtin .settings }}{{ end }}
    {{- if .delivery }}{{ $delivered = append $delivered . }}{{ end }}
    {{- if or (has "runtime-hooks/1" .capabilities) (has "netconf/1" .capabilities) }}{{ $network = true }}{{ end }}
  {{- end }}
{{- end }}
{{- $cni := get $builtin "netconf-cni" }}
{{- $hasCni := hasKey $builtin "netconf-cni" }}
{{- $cniOnHost := and $hasCni (eq (default "host" (get (default dict $cni) "mountNamespace")) "host") }}
{{- $vfio := hasKey $builtin "binding-vfio" }}
{{- $vhost := hasKey $builtin "mount-vhost" }}
{{- $caps := .Values.kubeletPlugin.extraCapabilities }}
{{- if or (hasKey $builtin "discovery-sysfs") (hasKey $builtin "vf-state") $hasCni }}{{ $caps = append $caps "NET_ADMIN" }}{{ end }}
{{- if or $vfio $vhost }}{{ $caps = append $caps "SYS_MODULE" }}{{ end }}
{{- if or $vfio $cniOnHost }}{{ $caps = append $caps "SYS_PTRACE" }}{{ end }}
{{- if $hasCni }}{{ $caps = concat $caps (list "SYS_ADMIN" "NET_RAW") }}{{ end }}
{{- if $cniOnHost }}{{ $caps = concat $caps (list "SYS_CHROOT" "DAC_OVERRIDE") }}{{ end }}
{{- if and $vhost (get (get $builtin "mount-vhost") "socketDir") }}{{ $caps = concat $caps (list "CHOWN" "FOWNER") }}{{ end }}
{{- toYaml (dict
  "builtin" $builtin
  "hostPID" (or $cniOnHost $vfio)
  "capabilities" ($caps | uniq | sortAlpha)
  "unconfined" (or $hasCni $vfio)
  "network" (or $network (hasKey $builtin "runtime-nri") $hasCni)
  "cniInContainer" (and $hasCni (not $cniOnHost))
  "delivered" $delivered
  "paths" $paths) }}
{{- end }}
