"""The grocer's figures: cleaned orders, customers, days and weeks, made with dbt."""
