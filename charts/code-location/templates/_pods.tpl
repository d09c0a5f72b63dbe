{{- /* Settings that apply to the code server, the run pods and the step pods. */}}

{{- /* The place of the team's code, as environment variables. */}}
{{- define "code-location.definitions" -}}
{{- with .Values.definitions -}}
{{- with .module }}
BULKHEAD_DEFINITIONS_MODULE: {{ . | quote }}
{{- end }}
{{- with .package }}
BULKHEAD_DEFINITIONS_PACKAGE: {{ . | quote }}
{{- end }}
{{- with .file }}
BULKHEAD_DEFINITIONS_FILE: {{ . | quote }}
{{- end }}
{{- with .attribute }}
BULKHEAD_DEFINITIONS_ATTRIBUTE: {{ . | quote }}
{{- end }}
{{- with .workingDirectory }}
BULKHEAD_DEFINITIONS_WORKING_DIRECTORY: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Dagster's container context: the settings of run pods and step pods that the code server reports to
the platform. Dagster stores it with each run, so a run keeps the settings that it started with. */}}
{{- define "code-location.containerContext" -}}
{{- $env := list -}}
{{- range $name, $value := include "code-location.definitions" . | fromYaml -}}
{{- $env = append $env (dict "name" $name "value" $value) -}}
{{- end -}}
{{- $podSpec := dict -}}
{{- range $key, $name := dict "nodeSelector" "node_selector" "tolerations" "tolerations" "affinity" "affinity" -}}
{{- with get $.Values $key -}}
{{- $_ := set $podSpec $name . -}}
{{- end -}}
{{- end -}}
{{- $context := dict
  "namespace" .Release.Namespace
  "service_account_name" "bulkhead-step"
  "image_pull_policy" .Values.image.pullPolicy
  "labels" (dict "bulkhead.dev/code-location" (include "code-location.name" .))
  "env" (concat $env .Values.env) -}}
{{- range $name, $references := dict "env_secrets" .Values.envSecrets "env_config_maps" .Values.envConfigMaps -}}
{{- range $references -}}
{{- $_ := set $context $name (append (get $context $name | default list) .name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := dict
  "image_pull_secrets" .Values.imagePullSecrets
  "volumes" .Values.volumes
  "volume_mounts" .Values.volumeMounts
  "resources" .Values.steps.resources
  "run_k8s_config" (empty $podSpec | ternary dict (dict "pod_spec_config" $podSpec)) -}}
{{- with $value -}}
{{- $_ := set $context $name . -}}
{{- end -}}
{{- end -}}
{{- dict "k8s" $context | toJson -}}
{{- end }}
