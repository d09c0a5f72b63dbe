"""Forecasts for a grocer: how many orders will come, and who will shop."""
