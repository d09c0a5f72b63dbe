"""Run pods: how they are launched, and what happens when one dies before its run begins.

| module | subject |
|---|---|
| `launcher` | chooses the run launcher that fits the process |
| `kubernetes_launcher` | launches run pods, each in the namespace of its code location |
| `tokenless_launcher` | the launcher of pods without a Kubernetes token: it launches nothing |
| `starts` | watches runs that are starting |
"""
