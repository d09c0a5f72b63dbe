"""The grocer demo: one load of orders runs through three code locations."""
