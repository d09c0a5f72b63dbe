{{- /* Settings of the clients of the object store, in-cluster or external. */}}

{{- /* Returns the URL of the object store. Empty: AWS S3. */}}
{{- define "bulkhead.objectStoreEndpoint" -}}
{{- if .Values.objectStore.enabled -}}
http://{{ include "bulkhead.name" (list . "object-store") }}.{{ .Release.Namespace }}.svc:8333
{{- else -}}
{{ .Values.objectStore.endpoint }}
{{- end }}
{{- end }}

{{- /* Settings of every S3 client. boto3 reads only the second variable of the region. */}}
{{- define "bulkhead.objectStoreSettings" -}}
AWS_REGION: {{ .Values.objectStore.region | quote }}
AWS_DEFAULT_REGION: {{ .Values.objectStore.region | quote }}
{{- if include "bulkhead.objectStoreEndpoint" . }}
# Some S3-compatible stores do not support the checksums that AWS clients add by default.
AWS_REQUEST_CHECKSUM_CALCULATION: when_required
AWS_RESPONSE_CHECKSUM_VALIDATION: when_required
{{- end }}
{{- end }}
