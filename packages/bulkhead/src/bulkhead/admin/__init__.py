"""What an admin's machine can see of an installed platform: what is wrong, what could be less.

| module | subject |
|---|---|
| `cluster` | the Kubernetes API as kubeconfig gives it |
| `web_server` | the web server's GraphQL, through the proxy of the Kubernetes API |
| `snapshot` | one look at everything that the checks need |
| `pods` | why a pod or a Deployment is not ready, in a sentence |
| `checks` | a snapshot in, findings out; no I/O |
| `states` | a snapshot in, one line per code location out; no I/O |
| `usage` | what the steps of the newest runs used, from their event logs |
| `advice` | what steps used in, suggested limits out; no I/O |
"""
