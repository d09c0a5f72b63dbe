{{- /* Returns all code locations by name, with the defaults filled in, as YAML. */}}
{{- define "bulkhead.locations" -}}
{{- $locations := dict -}}
{{- $taken := dict .Release.Namespace "the platform" -}}
{{- range $name, $given := .Values.codeLocations -}}
{{- $location := mergeOverwrite (deepCopy $.Values.codeLocationDefaults) (deepCopy $given) -}}
{{- $_ := set $location "name" $name -}}
{{- $_ := set $location "namespace" ($location.namespace | default (printf "bulkhead-%s" $name)) -}}
{{- with get $taken $location.namespace -}}
{{- fail (printf "codeLocations.%s.namespace: %s is already the namespace of %s. Give each code location its own namespace." $name $location.namespace .) -}}
{{- end -}}
{{- $_ := set $taken $location.namespace (printf "code location %s" $name) -}}
{{- include "bulkhead.checkSteps" (list $ $location) -}}
{{- $_ := set $locations $name $location -}}
{{- end -}}
{{- toYaml $locations -}}
{{- end }}

{{- define "bulkhead.locationLabels" -}}
{{- $root := index . 0 }}{{ $location := index . 1 -}}
{{ include "bulkhead.labels" (list $root "code-location") }}
bulkhead.dev/code-location: {{ $location.name }}
{{- end }}

{{- /* Metadata, without the name, of an object that is kept with the code location when the platform is
uninstalled: (list $ location). A later install of the same release adopts the object. */}}
{{- define "bulkhead.locationMetadata" -}}
{{- $location := index . 1 -}}
namespace: {{ $location.namespace }}
labels: {{ include "bulkhead.locationLabels" . | nindent 2 }}
{{- if $location.keep }}
annotations:
  helm.sh/resource-policy: keep
{{- end }}
{{- end }}

{{- /* The web server and the daemon as subjects of a RoleBinding. */}}
{{- define "bulkhead.platformAccounts" -}}
{{- range list "webserver" "daemon" -}}
- kind: ServiceAccount
  name: {{ include "bulkhead.name" (list $ .) }}
  namespace: {{ $.Release.Namespace }}
{{ end }}
{{- end }}
