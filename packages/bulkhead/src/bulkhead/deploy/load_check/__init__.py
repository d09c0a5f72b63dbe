"""Loads the definitions of a new image in a pod of its own, before anything changes.

| module | subject |
|---|---|
| `pod` | the pod, as the chart's Deployment would run it |
| `check` | creates the pod, follows it, reads its report, deletes it |
| `following` | what happens to the pod, as the API server reports it |
| `errors`, `sentences` | why a check failed, typed and in words |
| `differences`, `deploy_warnings` | what changes with a deploy, and what of it may hurt |
"""
