-- depends: 0004-early-dispositions
-- Deadlines of cases in working days. `cases migrate` writes the calendar from the rule set: every day of the years
-- whose notice is known, one year after the other. A day that is not in it is not guessed, and what depends on it is
-- null.

CREATE TABLE cases.calendar (
    day date PRIMARY KEY,
    working boolean NOT NULL,
    number integer NOT NULL
);

CREATE UNIQUE INDEX calendar_by_number ON cases.calendar (number) WHERE working;

GRANT SELECT ON cases.calendar TO treasury_watch_viewer, treasury_watch_auditor;

COMMENT ON TABLE cases.calendar IS '工作日历 · Which days are worked, from the calendar of the rule set';

COMMENT ON COLUMN cases.calendar.number IS '截至当日的工作日数 · Working days from the first day of the table to this one, included';

-- The last four digits are shown of a number, and no more where there are gaps behind the fourth-last.
CREATE OR REPLACE FUNCTION cases.masked_numbers(words text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(words, '(?:[0-9０-９][ -]?){8,}((?:[0-9０-９][ -]?){3}[0-9０-９])', '********\1', 'g');

-- A case is to be decided within three working days; the day on which it came does not count.
CREATE OR REPLACE VIEW cases.all_cases AS
SELECT
    day,
    event_time,
    decided_at,
    instruction_id,
    decision_id,
    jurisdiction,
    budget_unit,
    instruction ->> 'budget_unit_name' AS budget_unit_name,
    amount,
    currency,
    verdict,
    level,
    rules,
    (
        SELECT string_agg(hit -> 'reason' ->> 'zh', '；')
        FROM jsonb_array_elements(hits) AS hit WHERE hit ->> 'mode' = 'live' AND NOT hit ? 'excepted'
    ) AS reasons_zh,
    (
        SELECT string_agg(hit -> 'reason' ->> 'en', '; ')
        FROM jsonb_array_elements(hits) AS hit WHERE hit ->> 'mode' = 'live' AND NOT hit ? 'excepted'
    ) AS reasons_en,
    evidence_required,
    late,
    instruction ->> 'payee_name' AS payee_name,
    cases.masked(instruction ->> 'payee_account') AS payee_account,
    cases.masked(instruction ->> 'payer_account') AS payer_account,
    cases.masked(instruction ->> 'card_no') AS card_no,
    cases.masked_numbers(instruction ->> 'purpose') AS purpose,
    (anomaly ->> 'p_value')::double precision AS p_value,
    coalesce(disposition, 'open') AS status,
    round(
        (extract(epoch FROM coalesce(disposed_at, now()) - coalesce(decided_at, event_time)) / 3600)::numeric, 1
    ) AS open_hours,
    disposed_at,
    disposed_by,
    cases.masked_numbers(disposition_reason) AS disposition_reason,
    label,
    hits,
    (
        SELECT due.day
        FROM cases.calendar AS came JOIN cases.calendar AS due ON due.working AND due.number = came.number + 3
        WHERE came.day = (coalesce(decided_at, event_time) AT TIME ZONE 'Asia/Shanghai')::date
    ) AS due_day,
    (
        SELECT greatest(until.number - came.number, 0)
        FROM cases.calendar AS came, cases.calendar AS until
        WHERE came.day = (coalesce(decided_at, event_time) AT TIME ZONE 'Asia/Shanghai')::date
            AND until.day = (coalesce(disposed_at, now()) AT TIME ZONE 'Asia/Shanghai')::date
    ) AS working_days
FROM cases.payment_case;

CREATE OR REPLACE VIEW cases.open_cases AS
SELECT * FROM cases.all_cases WHERE status = 'open';

CREATE OR REPLACE VIEW cases.timeliness AS
SELECT
    payment_case.day,
    verdict,
    count(*) AS cases,
    count(disposed_at) AS answered,
    count(*) FILTER (
        WHERE disposed_at <= coalesce(decided_at, event_time) + interval '3 days'
    ) AS answered_within_3_days,
    round((percentile_cont(0.5) WITHIN GROUP (
        ORDER BY extract(epoch FROM disposed_at - coalesce(decided_at, event_time)) / 3600
    ))::numeric, 1) AS median_hours,
    round((percentile_cont(0.9) WITHIN GROUP (
        ORDER BY extract(epoch FROM disposed_at - coalesce(decided_at, event_time)) / 3600
    ))::numeric, 1) AS p90_hours,
    count(due.day) AS with_deadline,
    count(*) FILTER (WHERE (disposed_at AT TIME ZONE 'Asia/Shanghai')::date <= due.day) AS answered_in_time,
    count(*) FILTER (
        WHERE (coalesce(disposed_at, now()) AT TIME ZONE 'Asia/Shanghai')::date > due.day
    ) AS overdue,
    percentile_cont(0.5) WITHIN GROUP (
        ORDER BY greatest(until.number - came.number, 0)
    ) FILTER (WHERE disposed_at IS NOT NULL) AS median_working_days,
    percentile_cont(0.9) WITHIN GROUP (
        ORDER BY greatest(until.number - came.number, 0)
    ) FILTER (WHERE disposed_at IS NOT NULL) AS p90_working_days
FROM cases.payment_case
LEFT JOIN cases.calendar AS came
    ON came.day = (coalesce(decided_at, event_time) AT TIME ZONE 'Asia/Shanghai')::date
LEFT JOIN cases.calendar AS due ON due.working AND due.number = came.number + 3
LEFT JOIN cases.calendar AS until ON until.day = (disposed_at AT TIME ZONE 'Asia/Shanghai')::date
GROUP BY payment_case.day, verdict;

COMMENT ON COLUMN cases.all_cases.due_day IS '处置期限 · Last day to decide in time: three working days after the day of the decision; null in years whose holidays are not known';

COMMENT ON COLUMN cases.all_cases.working_days IS '历时（工作日） · Working days until it was decided, or until now; null in years whose holidays are not known';

COMMENT ON COLUMN cases.open_cases.due_day IS '处置期限 · Last day to decide in time: three working days after the day of the decision; null in years whose holidays are not known';

COMMENT ON COLUMN cases.open_cases.working_days IS '历时（工作日） · Working days until now; null in years whose holidays are not known';

COMMENT ON VIEW cases.timeliness IS '处置时效 · How soon cases are decided: in hours that pass, and in working days';

COMMENT ON COLUMN cases.timeliness.with_deadline IS '有期限数 · Cases whose deadline of three working days is known';

COMMENT ON COLUMN cases.timeliness.answered_in_time IS '按期处置数 · Decided by the end of their deadline';

COMMENT ON COLUMN cases.timeliness.overdue IS '超期数 · Decided after their deadline, or open after it';

COMMENT ON COLUMN cases.timeliness.median_working_days IS '处置工作日中位数 · Half of the decided ones took at most so many working days';

COMMENT ON COLUMN cases.timeliness.p90_working_days IS '处置工作日九成位 · Nine of ten took at most so many working days';
