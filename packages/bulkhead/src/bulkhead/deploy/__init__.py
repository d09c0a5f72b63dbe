"""Deploys one code location: its image, its load check, its release."""
