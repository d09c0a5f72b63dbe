-- Databases, roles and their rights. May be run again: what is there is brought to this state.
-- Passwords come from the environment, one variable per role.
\set ON_ERROR_STOP on
\getenv ingestion_password INGESTION_PASSWORD
\getenv analytics_password ANALYTICS_PASSWORD
\getenv ml_password ML_PASSWORD

SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY['ingestion', 'analytics', 'ml']) AS name
WHERE name NOT IN (SELECT rolname FROM pg_roles) \gexec
ALTER ROLE ingestion LOGIN PASSWORD :'ingestion_password';
ALTER ROLE analytics LOGIN PASSWORD :'analytics_password';
ALTER ROLE ml LOGIN PASSWORD :'ml_password';

-- The shop's own database is ingestion's alone.
SELECT 'CREATE DATABASE shop OWNER ingestion'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'shop') \gexec
REVOKE ALL ON DATABASE shop, warehouse, postgres FROM PUBLIC;

GRANT CONNECT ON DATABASE warehouse TO ingestion, analytics, ml;
-- dlt loads by way of further schemas, which it makes itself; dbt uses temporary tables.
GRANT CREATE, TEMPORARY ON DATABASE warehouse TO ingestion;
GRANT TEMPORARY ON DATABASE warehouse TO analytics, ml;

\connect warehouse
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA IF NOT EXISTS raw AUTHORIZATION ingestion;
CREATE SCHEMA IF NOT EXISTS analytics AUTHORIZATION analytics;
CREATE SCHEMA IF NOT EXISTS ml AUTHORIZATION ml;

-- Each may read what the one before it makes: the tables that are there, and those to come.
GRANT USAGE ON SCHEMA raw TO analytics;
GRANT SELECT ON ALL TABLES IN SCHEMA raw TO analytics;
ALTER DEFAULT PRIVILEGES FOR ROLE ingestion IN SCHEMA raw GRANT SELECT ON TABLES TO analytics;
GRANT USAGE ON SCHEMA analytics TO ml;
GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO ml;
ALTER DEFAULT PRIVILEGES FOR ROLE analytics IN SCHEMA analytics GRANT SELECT ON TABLES TO ml;
