"""One module per command of `bulkhead`: its options, and how its result is shown.

Each imports what it works with inside the command, so that `bulkhead --help` answers at once.
"""
