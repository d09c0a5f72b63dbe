"""Loads the definitions of a new image in a pod of its own, before anything changes.

| module | subject |
|---|---|
| `pod` | the pod, as the chart's Deployment would run it |
| `check` | runs it: creates the pod, follows it, reads its report, deletes it |
| `pod_requests`, `following` | the requests for it, and what the API server reports about it |
| `progress`, `errors` | how far it is, and why it failed |
| `output`, `sentences` | what people read about a failure |
| `differences`, `deploy_warnings` | what a deploy changes, and what of it may hurt |
"""
