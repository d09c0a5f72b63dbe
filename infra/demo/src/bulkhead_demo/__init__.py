"""The demo of the grocer: three code locations that one load of orders runs through."""
