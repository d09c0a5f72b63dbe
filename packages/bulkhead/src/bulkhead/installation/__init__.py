"""What an admin's machine can see of an installed platform, and what is wrong with it.

| module | subject |
|---|---|
| `cluster` | the Kubernetes API as kubeconfig gives it, and the web server through its proxy |
| `snapshot` | one look at everything that the checks need |
| `pods` | why a pod or a Deployment is not ready, in a sentence |
| `checks` | a snapshot in, findings out; no I/O |
| `states` | a snapshot in, one line per code location out; no I/O |
"""
