{{- define "grocer.selector" -}}
app.kubernetes.io/name: grocer
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "grocer.labels" -}}
{{ include "grocer.selector" . }}
app.kubernetes.io/part-of: bulkhead
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
{{- end }}

{{- /* Labels of a pod. The version is the version of its image, so a new chart does not restart it. */}}
{{- define "grocer.podLabels" -}}
{{ include "grocer.selector" . }}
app.kubernetes.io/part-of: bulkhead
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
app.kubernetes.io/version: {{ (index . 2).digest | trimPrefix "sha256:" | trunc 12 | quote }}
{{- end }}

{{- define "grocer.image" -}}
{{- printf "%s/%s@%s" .registry .repository .digest | trimPrefix "/" }}
{{- end }}

{{- define "grocer.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "grocer.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* Returns the password of a role: the one in the cluster, or a new one on the first install. */}}
{{- define "grocer.password" -}}
{{- $root := index . 0 -}}
{{- $found := (lookup "v1" "Secret" $root.Release.Namespace "grocer-passwords").data | default dict -}}
{{- get $found (index . 1) | default (randAlphaNum 32 | b64enc) -}}
{{- end }}
