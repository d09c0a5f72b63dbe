{{- /* What a client of the object store is told, in-cluster or not. */}}

{{- /* URL of the object store; nothing for AWS itself. */}}
{{- define "bulkhead.objectStoreEndpoint" -}}
{{- if .Values.objectStore.enabled -}}
http://{{ include "bulkhead.name" (list . "object-store") }}.{{ .Release.Namespace }}.svc:8333
{{- else -}}
{{ .Values.objectStore.endpoint }}
{{- end }}
{{- end }}

{{- /* Region and habits of every S3 client. boto3 knows only the second name of the region. */}}
{{- define "bulkhead.objectStoreSettings" -}}
AWS_REGION: {{ .Values.objectStore.region | quote }}
AWS_DEFAULT_REGION: {{ .Values.objectStore.region | quote }}
{{- if include "bulkhead.objectStoreEndpoint" . }}
# Not every S3-compatible store understands the checksums that AWS's clients add unasked.
AWS_REQUEST_CHECKSUM_CALCULATION: when_required
AWS_RESPONSE_CHECKSUM_VALIDATION: when_required
{{- end }}
{{- end }}
