"""A new code location: its name, its files, its lock.

Knows of folders and of nothing that runs: no Dagster, no Kubernetes.
"""
