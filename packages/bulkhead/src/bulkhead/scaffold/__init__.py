"""Creates a new code location: its module name, its files and its lock.

It works on folders only, and imports neither Dagster nor Kubernetes.
"""
