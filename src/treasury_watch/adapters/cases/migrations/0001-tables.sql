-- What the sink writes. Everything is partitioned by month of the local day; rows are never doubled, since the
-- position on Kafka is the key. The day is a function of the record, so it changes nothing in the key.

CREATE TABLE cases.decision (
    source_topic text NOT NULL,
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL,
    day date NOT NULL,
    decision_id text NOT NULL,
    instruction_id text NOT NULL,
    jurisdiction text NOT NULL,
    budget_unit text NOT NULL,
    amount numeric(18, 2) NOT NULL,
    currency text NOT NULL,
    event_time timestamptz NOT NULL,
    decided_at timestamptz,
    verdict text NOT NULL,
    late boolean NOT NULL,
    rules text[] NOT NULL,
    p_value double precision,
    PRIMARY KEY (source_topic, source_partition, source_offset, day)
) PARTITION BY RANGE (day);

CREATE INDEX decision_by_day ON cases.decision (day, verdict);

CREATE TABLE cases.payment_case (
    source_topic text NOT NULL,
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL,
    day date NOT NULL,
    decision_id text NOT NULL,
    instruction_id text NOT NULL,
    jurisdiction text NOT NULL,
    budget_unit text NOT NULL,
    amount numeric(18, 2) NOT NULL,
    currency text NOT NULL,
    event_time timestamptz NOT NULL,
    decided_at timestamptz,
    verdict text NOT NULL,
    level text,
    evidence_required boolean NOT NULL,
    late boolean NOT NULL,
    rules text[] NOT NULL,
    hits jsonb NOT NULL,
    anomaly jsonb,
    instruction jsonb NOT NULL,
    ruleset text NOT NULL,
    reference text NOT NULL,
    engine text NOT NULL,
    disposition text,
    disposed_at timestamptz,
    disposed_by text,
    disposition_reason text,
    label text,
    disposition_offset bigint,
    PRIMARY KEY (source_topic, source_partition, source_offset, day)
) PARTITION BY RANGE (day);

CREATE INDEX case_by_instruction ON cases.payment_case (instruction_id, jurisdiction);

CREATE INDEX case_by_decision ON cases.payment_case (decision_id);

CREATE INDEX case_by_time ON cases.payment_case (event_time DESC);

CREATE INDEX case_by_unit ON cases.payment_case (budget_unit, event_time DESC);

CREATE INDEX case_by_rule ON cases.payment_case USING gin (rules);

-- As the views say it, so that they use it.
CREATE INDEX case_open ON cases.payment_case (event_time DESC) WHERE coalesce(disposition, 'open') = 'open';

CREATE INDEX case_labelled ON cases.payment_case (label) WHERE label IS NOT NULL;

CREATE TABLE cases.dead_letter (
    source_topic text NOT NULL,
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL,
    day date NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    instruction_id text,
    refused_topic text NOT NULL,
    refused_partition integer NOT NULL,
    refused_offset bigint NOT NULL,
    failed_at timestamptz NOT NULL,
    key bytea,
    value bytea,
    PRIMARY KEY (source_topic, source_partition, source_offset, day)
) PARTITION BY RANGE (day);

CREATE TABLE cases.disposition (
    source_topic text NOT NULL,
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL,
    day date NOT NULL,
    disposition_id text NOT NULL,
    instruction_id text NOT NULL,
    jurisdiction text NOT NULL,
    decision_id text NOT NULL,
    disposition text NOT NULL,
    decided_by text NOT NULL,
    decided_at timestamptz NOT NULL,
    reason text NOT NULL,
    label text,
    PRIMARY KEY (source_topic, source_partition, source_offset, day)
) PARTITION BY RANGE (day);

CREATE INDEX disposition_by_instruction ON cases.disposition (jurisdiction, instruction_id, source_offset);

CREATE TABLE cases.unreadable (
    source_topic text NOT NULL,
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL,
    day date NOT NULL,
    reason text NOT NULL,
    arrived_at timestamptz NOT NULL,
    key bytea,
    value bytea,
    PRIMARY KEY (source_topic, source_partition, source_offset, day)
) PARTITION BY RANGE (day);

CREATE TABLE cases.progress (
    source_topic text NOT NULL,
    source_partition integer NOT NULL,
    next_offset bigint NOT NULL,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (source_topic, source_partition)
);

CREATE TABLE cases.decision_elsewhen PARTITION OF cases.decision DEFAULT;

CREATE TABLE cases.payment_case_elsewhen PARTITION OF cases.payment_case DEFAULT;

CREATE TABLE cases.dead_letter_elsewhen PARTITION OF cases.dead_letter DEFAULT;

CREATE TABLE cases.disposition_elsewhen PARTITION OF cases.disposition DEFAULT;

CREATE TABLE cases.unreadable_elsewhen PARTITION OF cases.unreadable DEFAULT;

-- Makes the partitions of a month, if they are not there. Days outside of 2020 to 2059 have none of their own, so that
-- payments with odd dates make no thousands of them: those rows lie in the default partitions, as do those of a month
-- whose partitions were dropped and that came again.
-- It runs with its owner's rights: who writes may make months, and no other table.
CREATE FUNCTION cases.make_month(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    first date := date_trunc('month', day)::date;
    next date := (first + interval '1 month')::date;
    parent text;
    month text;
    elsewhen boolean;
BEGIN
    IF first < '2020-01-01' OR first >= '2060-01-01' THEN
        RETURN;
    END IF;
    FOREACH parent IN ARRAY ARRAY['decision', 'payment_case', 'dead_letter', 'disposition', 'unreadable'] LOOP
        month := parent || to_char(first, '_YYYY_MM');
        IF to_regclass(format('cases.%I', month)) IS NULL THEN
            EXECUTE format(
                'SELECT EXISTS (SELECT FROM cases.%I WHERE day >= %L AND day < %L)', parent || '_elsewhen', first, next
            ) INTO elsewhen;
            IF NOT elsewhen THEN
                EXECUTE format(
                    'CREATE TABLE cases.%I PARTITION OF cases.%I FOR VALUES FROM (%L) TO (%L)',
                    month, parent, first, next
                );
            END IF;
        END IF;
    END LOOP;
END $$;

REVOKE EXECUTE ON FUNCTION cases.make_month FROM PUBLIC;
