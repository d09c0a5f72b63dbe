"""What the processes of a code location load: code server, run pods and step pods.

The entry point is the module `bulkhead.location`. It stands outside of this package, because
importing it imports the team's code, and the platform's processes import parts of this package.

| module | subject |
|---|---|
| `target` | finds the team's definitions as the `BULKHEAD_DEFINITIONS_*` settings say |
| `defaults` | the executor and the IO manager of jobs that name none |
| `checks` | refuses steps that request invalid resources, while the code is loaded |
| `object_store` | the default IO manager |
| `compute_logs` | keeps what steps print in the object store |
"""
