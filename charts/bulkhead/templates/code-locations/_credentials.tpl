{{- /* Credentials as a Secret in the platform's namespace and in the namespace of every code location:
(dict root name existing generated). They are generated on the first install, or come from the
admin's existing Secret.

Credentials in the cluster are never replaced. The chart copies the admin's Secret if it can read it.
`helm template` cannot read it, so the admin creates the copies. */}}
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
{{- fail (printf "Secret %s in namespace %s has no key %s. It must have the keys %s. Create it before the install (%s.existingSecret names it)." $source $root.Release.Namespace $key (keys $.generated | sortAlpha | join ", ") $.values) -}}
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
    # An uninstall keeps the data on the volume. The data cannot be read without this Secret.
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
