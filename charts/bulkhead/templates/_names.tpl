{{- /* Names, labels and images. `docs/design/contract.md` lists the names that other parts use. */}}

{{- define "bulkhead.name" -}}
{{- $root := index . 0 }}{{ $part := index . 1 -}}
{{- printf "%s-%s" $root.Release.Name $part -}}
{{- end }}

{{- /* The selector of a component. It never changes during the life of a release. */}}
{{- define "bulkhead.selector" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
app.kubernetes.io/name: bulkhead
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ $component }}
{{- end }}

{{- define "bulkhead.labels" -}}
{{ include "bulkhead.selector" . }}
app.kubernetes.io/part-of: bulkhead
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
{{- end }}

{{- /* Labels of a pod. The version is the version of its image, not of the chart: a new chart with the
same database image must not restart the database. */}}
{{- define "bulkhead.podLabels" -}}
{{- $root := index . 0 }}{{ $image := index . 2 -}}
{{ include "bulkhead.selector" . }}
app.kubernetes.io/part-of: bulkhead
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $image.tag | default ($image.digest | trimPrefix "sha256:" | trunc 12) | default $root.Chart.AppVersion | trunc 63 | trimAll "-._" | quote }}
{{- end }}

{{- /* Image and pull policy of a container: (list $ image). A digest takes precedence
over a tag. */}}
{{- define "bulkhead.image" -}}
{{- $root := index . 0 }}{{ $image := index . 1 -}}
{{- $registry := $image.registry | default $root.Values.image.registry -}}
{{- $name := printf "%s/%s" $registry $image.repository | trimPrefix "/" -}}
{{- $version := $image.digest | empty | ternary (printf ":%s" ($image.tag | default $root.Chart.AppVersion)) (printf "@%s" $image.digest) -}}
image: {{ $name }}{{ $version }}
imagePullPolicy: {{ $image.pullPolicy | default $root.Values.image.pullPolicy }}
{{- end }}

{{- define "bulkhead.databaseSecret" -}}
{{ .Values.postgresql.existingSecret | default "bulkhead-database" }}
{{- end }}

{{- define "bulkhead.objectStoreSecret" -}}
{{ .Values.objectStore.existingSecret | default "bulkhead-object-store" }}
{{- end }}
