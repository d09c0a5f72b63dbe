"""One module per command of `bulkhead`: its options, and how it prints the result.

Each module imports the rest of the library inside the command, so that `bulkhead --help` is fast.
"""
