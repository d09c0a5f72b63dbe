{{- /* Name, labels and image. `docs/design/contract.md` lists the names that other parts use. */}}

{{- define "code-location.name" -}}
{{ .Values.codeLocation | default .Release.Name }}
{{- end }}

{{- define "code-location.selector" -}}
app.kubernetes.io/name: code-location
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: code-server
{{- end }}

{{- /* Labels. The version is the version of the team's image, not of the chart. */}}
{{- define "code-location.labels" -}}
{{ include "code-location.selector" . }}
app.kubernetes.io/part-of: bulkhead
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Values.image.tag | default (.Values.image.digest | trimPrefix "sha256:" | trunc 12) | trunc 63 | trimAll "-._" | quote }}
bulkhead.dev/code-location: {{ include "code-location.name" . }}
{{- end }}

{{- /* A digest takes precedence over a tag. */}}
{{- define "code-location.image" -}}
{{- $name := printf "%s/%s" .Values.image.registry .Values.image.repository | trimPrefix "/" -}}
{{- if .Values.image.digest -}}
{{ $name }}@{{ .Values.image.digest }}
{{- else -}}
{{ $name }}:{{ .Values.image.tag | required "image.tag and image.digest are both empty. Set one of them." }}
{{- end }}
{{- end }}

{{- /* Annotations that say where this release comes from; empty where `release` is. */}}
{{- define "code-location.releaseAnnotations" -}}
{{- with .Values.release -}}
{{- with .commit }}
bulkhead.dev/commit: {{ . | quote }}
{{- end }}
{{- with .tree }}
bulkhead.dev/tree: {{ . | quote }}
{{- end }}
{{- with .deployedBy }}
bulkhead.dev/deployed-by: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
