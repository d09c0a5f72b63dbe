"""Creates and upgrades the schema of the database; what `bulkhead migrate` runs."""
