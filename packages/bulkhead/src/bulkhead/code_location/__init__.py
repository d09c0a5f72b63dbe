"""What the pods of a code location load: code server, runs, steps and load checks.

The entry point is the module `bulkhead.location`. It is outside of this package, because
importing it imports the team's code, and the platform's processes import parts of this package.

| module | subject |
|---|---|
| `target` | finds the team's definitions, which the `BULKHEAD_DEFINITIONS_*` settings name |
| `defaults` | the executor and the IO manager of jobs that name none |
| `checks` | rejects steps that request invalid resources, while the code is loaded |
| `object_store` | the default IO manager |
| `compute_logs` | stores the output of steps in the object store |
| `report`, `first_process`, `report_lines` | the command of a load check's pod; what it prints |
| `loading`, `summarizing` | load all definitions as the code server does, and summarize them |
| `summary`, `partitions_table`, `step_requests` | the summary, and parts of it |
"""
