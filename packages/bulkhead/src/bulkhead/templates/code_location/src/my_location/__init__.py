"""Orders, and how many units a day they add up to."""
