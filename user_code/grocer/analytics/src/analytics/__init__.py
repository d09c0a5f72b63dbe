"""The grocer's figures: clean orders, customers, days and weeks, made with dbt."""
