"""One command makes a real Kubernetes cluster with kind, and removes it."""
