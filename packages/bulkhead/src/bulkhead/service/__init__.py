"""What the long-running services of the platform share.

| module | subject |
|---|---|
| `health_server` | `/readyz` and `/healthz` |
| `heartbeat` | whether every thread still works |
| `retried` | failures that are retried |
| `events` | Kubernetes Events |
"""
