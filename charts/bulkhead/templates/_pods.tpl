{{- /* Settings that all pods of the platform share. */}}

{{- define "bulkhead.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "bulkhead.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* The nodes that the pods of a component may run on: (list $ component-values). */}}
{{- define "bulkhead.placement" -}}
{{- $root := index . 0 }}{{ $values := index . 1 -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Environment variables of the web server and the daemon. */}}
{{- define "bulkhead.environment" -}}
env:
  - {name: DAGSTER_HOME, value: /opt/dagster/home}
  {{- range $name, $value := include "bulkhead.objectStoreSettings" . | fromYaml }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
envFrom:
  - secretRef: {name: {{ include "bulkhead.databaseSecret" . }}}
  - secretRef: {name: {{ include "bulkhead.objectStoreSecret" . }}}
{{- end }}

{{- /* The root file system is read-only, so dagster.yaml is mounted into a writable DAGSTER_HOME. */}}
{{- define "bulkhead.instanceMounts" -}}
- {name: home, mountPath: /opt/dagster/home}
- {name: instance, mountPath: /opt/dagster/home/dagster.yaml, subPath: dagster.yaml, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "bulkhead.instanceVolumes" -}}
- {name: home, emptyDir: {}}
- {name: tmp, emptyDir: {}}
- {name: instance, configMap: {name: {{ index . 1 }}}}
{{- end }}
