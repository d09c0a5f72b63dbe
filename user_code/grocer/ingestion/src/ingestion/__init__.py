"""The grocer's shop, marketing and stores, brought into the warehouse."""
