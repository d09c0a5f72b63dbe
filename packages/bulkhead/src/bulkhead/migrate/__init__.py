"""Creates and upgrades the schema of the database; what `bulkhead migrate` runs.

| module | subject |
|---|---|
| `migration` | `migrate` and `wait_for_schema` |
| `schema` | the schema's revision; creates and upgrades it |
| `database` | the database of `dagster.yaml`; waits until it can be reached; its lock |
| `deadline` | waits with a timeout |
"""
