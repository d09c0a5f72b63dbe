{{- /* A Secret with what was generated on the first install, or with the admin's own, in the
platform's namespace and in every code location's: (dict root name existing generated).

What the cluster has is never replaced. An admin's own Secret is copied where it can be read;
`helm template` can't, so there the copies are the admin's to make. */}}
{{- define "bulkhead.credentials" -}}
{{- $root := .root -}}
{{- $source := .existing | default .name -}}
{{- $found := (lookup "v1" "Secret" $root.Release.Namespace $source).data | default dict -}}
{{- $data := dict -}}
{{- range $key, $value := .generated -}}
{{- with get $found $key | default ($.existing | empty | ternary (b64enc $value) "") -}}
{{- $_ := set $data $key . -}}
{{- else -}}
{{- if lookup "v1" "Namespace" "" "kube-system" -}}
{{- fail (printf "Secret %s in namespace %s has no key %s; it needs the keys %s. Make it before installing (%s.existingSecret names it)" $source $root.Release.Namespace $key (keys $.generated | sortAlpha | join ", ") $.values) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not .existing }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{ include "bulkhead.labels" (list $root .component) | nindent 4 }}
  annotations:
    # The data on the volume outlives an uninstall, and is worth nothing without this.
    helm.sh/resource-policy: keep
type: Opaque
data: {{ toYaml $data | nindent 2 }}
{{- end }}
{{- if $data }}
{{- range $location := include "bulkhead.locations" $root | fromYaml }}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ $.name }}
  {{- include "bulkhead.locationMetadata" (list $root $location) | nindent 2 }}
type: Opaque
data: {{ toYaml $data | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
