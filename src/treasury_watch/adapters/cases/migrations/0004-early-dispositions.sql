-- depends: 0003-roles
-- What was decided about payments of which no case is there: it may come yet, as partitions are read in any order. So
-- a case that comes is looked for in this small table, and not in the dispositions of all months.

CREATE TABLE cases.early_disposition (
    jurisdiction text NOT NULL,
    instruction_id text NOT NULL,
    PRIMARY KEY (jurisdiction, instruction_id)
);

INSERT INTO cases.early_disposition
SELECT DISTINCT jurisdiction, instruction_id
FROM cases.disposition
WHERE NOT EXISTS (
    SELECT FROM cases.payment_case
    WHERE payment_case.jurisdiction = disposition.jurisdiction
        AND payment_case.instruction_id = disposition.instruction_id
);

GRANT SELECT, INSERT, DELETE ON cases.early_disposition TO treasury_watch_writer;

GRANT SELECT ON cases.early_disposition TO treasury_watch_auditor;
