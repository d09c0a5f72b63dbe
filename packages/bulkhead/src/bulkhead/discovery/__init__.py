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
| `load_reporter` | reports to each namespace what the web server says about its location |
| `location_facts` | reads the assets, running schedules and sensors of each location |
| `neighbours` | what the locations have to do with each other's assets; no I/O |
| `status_writers` | keeps the reports in the namespaces up to date |
| `status_config_map` | the ConfigMap with the reports of one location |
| `changes` | wakes the main thread |
| `sync` | the parts put together; what `bulkhead workspace-sync` runs |
"""
