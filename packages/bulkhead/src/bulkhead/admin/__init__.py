"""What an admin's machine can read of an installation: what is wrong, and which limits would fit.

| module | subject |
|---|---|
| `snapshot` | reads everything that the checks need, once |
| `checks` | takes a snapshot, returns findings; no I/O |
| `platform_checks`, `location_checks` | the checks of the platform and of the code locations |
| `findings` | what a check returns |
| `workloads` | why a pod or a Deployment is not ready, in one sentence |
| `states` | takes a snapshot, returns the state of each code location; no I/O |
| `usage` | what the steps of the newest runs used, from their event logs |
| `advice` | takes what steps used, returns suggested limits; no I/O |
"""
