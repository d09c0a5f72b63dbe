"""The reconciler: removes steps that still run when their run has ended.

A step's Job belongs to its run's Job, so the cluster removes it with a run that is cancelled or
deleted there. The reconciler removes what is left of runs that end in the database alone: run
monitoring failed them, somebody deleted them in the Dagster UI, or their pod crashed.

| module | subject |
|---|---|
| `leftovers` | the rules: which Job has outlived its run, and since when; no I/O |
| `step_jobs` | lists and removes the Jobs of steps |
| `reconciler` | the parts put together; what `bulkhead reconcile` runs |
"""
