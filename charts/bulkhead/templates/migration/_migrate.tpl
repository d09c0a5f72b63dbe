{{- /* Waits until the schema has the version of the image. Otherwise Dagster's services would race to
create the tables of an empty database, and would misread the tables of an old one. */}}
{{- define "bulkhead.waitForSchema" -}}
- name: wait-for-schema
  {{- include "bulkhead.image" (list . .Values.image) | nindent 2 }}
  command: [bulkhead, migrate, --wait]
  env:
    - {name: DAGSTER_HOME, value: /opt/dagster/home}
  envFrom:
    - secretRef: {name: {{ include "bulkhead.databaseSecret" . }}}
  resources: {{ toYaml .Values.migration.resources | nindent 4 }}
  securityContext: {{ include "bulkhead.containerSecurity" . | nindent 4 }}
  volumeMounts: {{ include "bulkhead.instanceMounts" . | nindent 4 }}
{{- end }}

{{- /* Spec of the Job that creates or upgrades the schema: (list $ config-map). */}}
{{- define "bulkhead.migrateSpec" -}}
{{- $root := index . 0 -}}
# The command waits for the database itself. More retries would not help when it rejects the schema.
backoffLimit: 2
activeDeadlineSeconds: {{ $root.Values.migration.activeDeadlineSeconds }}
template:
  metadata:
    labels: {{ include "bulkhead.podLabels" (list $root "migration" $root.Values.image) | nindent 6 }}
  spec:
    restartPolicy: Never
    serviceAccountName: {{ include "bulkhead.name" (list $root "migrate") }}
    automountServiceAccountToken: false
    enableServiceLinks: false
    securityContext: {{ include "bulkhead.podSecurity" $root | nindent 6 }}
    {{- include "bulkhead.placement" (list $root $root.Values.dagsterDaemon) | nindent 4 }}
    containers:
      - name: migrate
        {{- include "bulkhead.image" (list $root $root.Values.image) | nindent 8 }}
        command: [bulkhead, migrate]
        env:
          - {name: DAGSTER_HOME, value: /opt/dagster/home}
        envFrom:
          - secretRef: {name: {{ include "bulkhead.databaseSecret" $root }}}
        resources: {{ toYaml $root.Values.migration.resources | nindent 10 }}
        securityContext: {{ include "bulkhead.containerSecurity" $root | nindent 10 }}
        volumeMounts: {{ include "bulkhead.instanceMounts" $root | nindent 10 }}
    volumes: {{ include "bulkhead.instanceVolumes" . | nindent 6 }}
{{- end }}
