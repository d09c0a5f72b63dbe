{{- /* Rejects quantities that contradict each other: (list $ location). A schema can only check one key
at a time. docs/design/decisions.md says why the chart parses quantities itself. */}}
{{- define "bulkhead.checkSteps" -}}
{{- $root := index . 0 }}{{ $location := index . 1 -}}
{{- $path := printf "codeLocations.%s" $location.name -}}
{{- $limits := $location.steps.defaults.limits -}}
{{- $requests := $location.steps.defaults.requests -}}
{{- if lt (include "bulkhead.amount" $limits.memory | float64) (include "bulkhead.amount" "192Mi" | float64) -}}
{{- fail (printf "%s.steps.defaults.limits.memory: %s is below the minimum of 192Mi, because a step needs about 136Mi before its own code runs. Set 192Mi or more." $path $limits.memory) -}}
{{- end -}}
{{- range $resource := list "cpu" "memory" -}}
{{- $limit := include "bulkhead.amount" (get $limits $resource) | float64 -}}
{{- $ceiling := get $location.ceiling $resource -}}
{{- if gt (include "bulkhead.amount" (get $requests $resource) | float64) $limit -}}
{{- fail (printf "%s.steps.defaults.requests.%s: %v is above the limit of %v. Lower the request, or raise the limit." $path $resource (get $requests $resource) (get $limits $resource)) -}}
{{- end -}}
{{- if gt $limit (include "bulkhead.amount" $ceiling | float64) -}}
{{- fail (printf "%s.steps.defaults.limits.%s: %v is above the ceiling of %v. Lower the limit, or raise %s.ceiling.%s." $path $resource (get $limits $resource) $ceiling $path $resource) -}}
{{- end -}}
{{- if gt (include "bulkhead.amount" (get $root.Values.runLauncher.resources.limits $resource) | float64) (include "bulkhead.amount" $ceiling | float64) -}}
{{- fail (printf "%s.ceiling.%s: %v is below the limit of run pods (runLauncher.resources.limits.%s: %v), so no run could start. Raise the ceiling, or lower the limit of run pods." $path $resource $ceiling $resource (get $root.Values.runLauncher.resources.limits $resource)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Returns a Kubernetes quantity as a number of cores or bytes. The schema limits the units.
tests/manifests/test_quantities.py checks that it agrees with bulkhead.kube.quantities.parse. */}}
{{- define "bulkhead.amount" -}}
{{- $units := dict "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 -}}
{{- $unit := regexFind "[A-Za-z]+$" (toString .) -}}
{{- mulf (trimSuffix $unit (toString .) | float64) (empty $unit | ternary 1.0 (get $units $unit)) -}}
{{- end }}
