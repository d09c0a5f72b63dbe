"""What the processes of a code location load: code server, run pods and step pods.

The entry point is the module `bulkhead.location`. It is outside of this package, because
importing it imports the team's code, and the platform's processes import parts of this package.

| module | subject |
|---|---|
| `target` | finds the team's definitions, which the `BULKHEAD_DEFINITIONS_*` settings name |
| `defaults` | the executor and the IO manager of jobs that name none |
| `checks` | rejects steps that request invalid resources, while the code is loaded |
| `object_store` | the default IO manager |
| `compute_logs` | stores the output of steps in the object store |
"""
