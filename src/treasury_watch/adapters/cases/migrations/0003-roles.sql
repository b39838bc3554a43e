-- depends: 0002-views
-- Three roles that logins are given: who writes, who looks at masked views, who sees everything. Roles belong to the
-- whole server, so one that is there already, for another database, is used.

DO $$
DECLARE
    each text;
BEGIN
    FOREACH each IN ARRAY ARRAY['treasury_watch_writer', 'treasury_watch_viewer', 'treasury_watch_auditor'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = each) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', each);
        END IF;
    END LOOP;
END $$;

GRANT USAGE ON SCHEMA cases TO treasury_watch_writer, treasury_watch_viewer, treasury_watch_auditor;

GRANT SELECT, INSERT ON cases.decision, cases.payment_case, cases.dead_letter, cases.disposition, cases.unreadable,
    cases.progress TO treasury_watch_writer;

GRANT UPDATE (disposition, disposed_at, disposed_by, disposition_reason, label, disposition_offset)
    ON cases.payment_case TO treasury_watch_writer;

GRANT UPDATE ON cases.progress TO treasury_watch_writer;

GRANT EXECUTE ON FUNCTION cases.make_month(date) TO treasury_watch_writer;

GRANT SELECT ON cases.all_cases, cases.open_cases, cases.cases_by_unit, cases.cases_by_rule, cases.cases_by_day,
    cases.payments_by_day, cases.amounts_held, cases.rule_precision, cases.timeliness, cases.refused_messages,
    cases.not_understood, cases.sink_progress TO treasury_watch_viewer, treasury_watch_auditor;

GRANT SELECT ON cases.decision, cases.payment_case, cases.dead_letter, cases.disposition, cases.unreadable,
    cases.progress TO treasury_watch_auditor;
