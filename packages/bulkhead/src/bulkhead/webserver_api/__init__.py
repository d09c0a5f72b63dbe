"""The GraphQL API of Dagster's web server."""
