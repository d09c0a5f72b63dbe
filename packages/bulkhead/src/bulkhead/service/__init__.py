"""What the services of the platform share: health server, heartbeats, Kubernetes Events."""
