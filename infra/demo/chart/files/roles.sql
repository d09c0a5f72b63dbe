-- Databases, roles and their privileges. It can run again: it brings existing objects to this state.
-- Passwords come from environment variables, one per role.
\set ON_ERROR_STOP on
\getenv ingestion_password INGESTION_PASSWORD
\getenv analytics_password ANALYTICS_PASSWORD
\getenv ml_password ML_PASSWORD

SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY['ingestion', 'analytics', 'ml']) AS name
WHERE name NOT IN (SELECT rolname FROM pg_roles) \gexec
ALTER ROLE ingestion LOGIN PASSWORD :'ingestion_password';
ALTER ROLE analytics LOGIN PASSWORD :'analytics_password';
ALTER ROLE ml LOGIN PASSWORD :'ml_password';

-- Only ingestion may use the shop's own database.
SELECT 'CREATE DATABASE shop OWNER ingestion'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'shop') \gexec
REVOKE ALL ON DATABASE shop, warehouse, postgres FROM PUBLIC;

GRANT CONNECT ON DATABASE warehouse TO ingestion, analytics, ml;
-- dlt loads through additional schemas, which it creates itself. dbt uses temporary tables.
GRANT CREATE, TEMPORARY ON DATABASE warehouse TO ingestion;
GRANT TEMPORARY ON DATABASE warehouse TO analytics, ml;

\connect warehouse
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA IF NOT EXISTS raw AUTHORIZATION ingestion;
CREATE SCHEMA IF NOT EXISTS analytics AUTHORIZATION analytics;
CREATE SCHEMA IF NOT EXISTS ml AUTHORIZATION ml;

-- Each team may read the tables of the team before it: existing tables and future ones.
GRANT USAGE ON SCHEMA raw TO analytics;
GRANT SELECT ON ALL TABLES IN SCHEMA raw TO analytics;
ALTER DEFAULT PRIVILEGES FOR ROLE ingestion IN SCHEMA raw GRANT SELECT ON TABLES TO analytics;
GRANT USAGE ON SCHEMA analytics TO ml;
GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO ml;
ALTER DEFAULT PRIVILEGES FOR ROLE analytics IN SCHEMA analytics GRANT SELECT ON TABLES TO ml;
