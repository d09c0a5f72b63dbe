"""The Kubernetes API as every other package of Bulkhead uses it.

| module | subject |
|---|---|
| `api` | a small client over urllib3 |
| `kubeconfig` | the same client, as a kubeconfig describes the connection |
| `list_watch` | keeps a store equal to a collection: list, watch, resume, list again |
| `jobs` | namespace, labels, owners and deletion of the Jobs of runs and steps |
| `pods` | the state of a pod |
| `service_dns` | the DNS name of a Service |
| `quantities` | Kubernetes quantities, such as `500m` and `512Mi` |
"""
