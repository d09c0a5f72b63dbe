"""The reconciler: removes steps that are still there when their run has ended.

A step's Job belongs to its run's Job, so the cluster removes it with a run that is cancelled or
deleted there. What is left are runs that end in the database alone: one that run monitoring failed,
one that was deleted from the page's list, one whose pod crashed; also while nobody was looking.

| module | subject |
|---|---|
| `leftovers` | the rules: which Job has outlived its run, and since when; no I/O |
| `runs` | what the web server says of runs |
| `reconciler` | the parts put together; what `bulkhead reconcile` runs |
"""
