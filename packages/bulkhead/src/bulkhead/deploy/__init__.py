"""Deploys code locations: image, load check, release, and back if it does not become live."""
