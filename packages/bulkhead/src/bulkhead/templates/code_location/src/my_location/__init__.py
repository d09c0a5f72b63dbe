"""Orders, and the number of units ordered on each day."""
