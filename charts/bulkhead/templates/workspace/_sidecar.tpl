{{- /* workspace-sync, a native sidecar of the web server and the daemon: (list $ extra-arguments). It
counts as started when the first workspace is written, so the main container never reads a missing
file. It has no readiness probe: without the API server, the last workspace stays valid. */}}
{{- define "bulkhead.workspaceSync" -}}
{{- $root := index . 0 -}}
- name: workspace-sync
  {{- include "bulkhead.image" (list $root $root.Values.image) | nindent 2 }}
  restartPolicy: Always
  command:
    - bulkhead
    - workspace-sync
    - --registry={{ include "bulkhead.name" (list $root "code-locations") }}
    - --output=/workspace/workspace.yaml
    {{- range index . 1 }}
    - {{ . }}
    {{- end }}
  ports:
    - {name: sync, containerPort: 8081}
  startupProbe:
    httpGet: {path: /readyz, port: sync}
    periodSeconds: 1
    failureThreshold: 120
  livenessProbe:
    httpGet: {path: /healthz, port: sync}
    periodSeconds: 20
    timeoutSeconds: 5
  resources: {{ toYaml $root.Values.workspaceSync.resources | nindent 4 }}
  securityContext: {{ include "bulkhead.containerSecurity" $root | nindent 4 }}
  volumeMounts:
    - {name: workspace, mountPath: /workspace}
    - {name: tmp, mountPath: /tmp}
{{- end }}
