-- The roles stay: they belong to the whole server, and another database may use them.

REVOKE ALL ON ALL TABLES IN SCHEMA cases FROM treasury_watch_writer, treasury_watch_viewer, treasury_watch_auditor;

REVOKE ALL ON FUNCTION cases.make_month(date) FROM treasury_watch_writer;

REVOKE ALL ON SCHEMA cases FROM treasury_watch_writer, treasury_watch_viewer, treasury_watch_auditor;
