"""workspace-sync: keeps Dagster's `workspace.yaml` up to date with the code locations.

| module | subject |
|---|---|
| `registry` | reads the registry of code locations |
| `workspace` | the rules: registry and Services in, locations and refusals out; no I/O |
| `workspace_file` | reads and writes `workspace.yaml` |
| `code_servers` | which pods respond for a code location; no I/O |
| `collection` | follows one collection of the Kubernetes API |
| `watches` | the collections of the Kubernetes API that are followed |
| `registry_follower` | keeps the last registry that could be read |
| `namespaces` | follows the Services of the registered namespaces |
| `rollouts` | notices that other pods respond for a code location |
| `reloader` | brings the web server's workspace up to date |
| `changes` | wakes the main thread |
| `sync` | the parts put together; what `bulkhead workspace-sync` runs |
"""
