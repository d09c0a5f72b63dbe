"""Dagster on Kubernetes with walls: every step in a pod of its own, every team in its namespace.

Importing this package imports nothing else; each module pulls in only what it works with, because
a step pod pays for every import before the first line of a team's code.
"""
