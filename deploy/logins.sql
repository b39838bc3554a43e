-- Logins of the database with the roles that `cases migrate` has made, each with the password in its file in the folder
-- SECRETS. Run by psql as the owner; run again, it sets passwords that have changed.
\set ON_ERROR_STOP on
\set sink `cat "$SECRETS/sink.txt"`
\set grafana `cat "$SECRETS/grafana.txt"`

SELECT format('CREATE ROLE %I', name)
FROM (VALUES ('sink'), ('grafana')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE sink LOGIN PASSWORD :'sink';
GRANT treasury_watch_writer TO sink;

ALTER ROLE grafana LOGIN PASSWORD :'grafana';
GRANT treasury_watch_viewer TO grafana;
ALTER ROLE grafana SET statement_timeout = '30s'; -- a panel that takes longer would hold up the sink's new month
