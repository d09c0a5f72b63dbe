"""The Kubernetes API: what every other package reads and writes there.

| module | subject |
|---|---|
| `api` | a small client over urllib3 |
| `kubeconfig` | the same API as a kubeconfig gives it |
| `list_watch` | lists a collection, watches it, and survives every failure of the API |
| `jobs` | labels, owners and deletion of the Jobs of runs and steps |
| `pods` | the state of a pod as the API server describes it |
| `quantities` | Kubernetes quantities, such as `500m` and `512Mi` |
"""
