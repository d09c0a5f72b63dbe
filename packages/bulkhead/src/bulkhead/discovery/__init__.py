"""workspace-sync: keeps Dagster's `workspace.yaml` equal to the code locations that exist.

| module | subject |
|---|---|
| `workspace` | the rules: registry and Services in, locations and refusals out; no I/O |
| `collection` | a collection of Kubernetes objects, followed and parsed |
| `reporter` | Kubernetes Events for what was refused |
| `web_server` | brings the web server's workspace up to date |
| `health` | `/readyz` and `/healthz` |
| `sync` | the parts put together; what `bulkhead workspace-sync` runs |
"""
