-- The views as 0002 makes them, and what 0003 grants on them.

DROP VIEW cases.open_cases;

DROP VIEW cases.all_cases, cases.timeliness;

DROP TABLE cases.calendar;

CREATE OR REPLACE FUNCTION cases.masked_numbers(words text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(words, '(?:[0-9０-９][ -]?){8,}([0-9０-９]{4})', '********\1', 'g');

CREATE VIEW cases.all_cases AS
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
    hits
FROM cases.payment_case;

CREATE VIEW cases.open_cases AS
SELECT * FROM cases.all_cases WHERE status = 'open';

CREATE VIEW cases.timeliness AS
SELECT
    day,
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
    ))::numeric, 1) AS p90_hours
FROM cases.payment_case
GROUP BY day, verdict;

COMMENT ON VIEW cases.all_cases IS '全部案件 · Every payment that was warned of, intercepted or prohibited, with what was decided about it';

COMMENT ON COLUMN cases.all_cases.day IS '本地日（东八区） · Local day in China, of the event time';

COMMENT ON COLUMN cases.all_cases.event_time IS '提交时间 · When the payment was submitted';

COMMENT ON COLUMN cases.all_cases.decided_at IS '判定时间 · When the machine decided';

COMMENT ON COLUMN cases.all_cases.instruction_id IS '支付指令号 · Payment instruction';

COMMENT ON COLUMN cases.all_cases.decision_id IS '判定号 · Decision';

COMMENT ON COLUMN cases.all_cases.jurisdiction IS '行政区划 · Jurisdiction';

COMMENT ON COLUMN cases.all_cases.budget_unit IS '预算单位 · Budget unit';

COMMENT ON COLUMN cases.all_cases.budget_unit_name IS '预算单位名称 · Name of the budget unit';

COMMENT ON COLUMN cases.all_cases.amount IS '金额 · Amount, in the currency beside it';

COMMENT ON COLUMN cases.all_cases.currency IS '币种 · Currency';

COMMENT ON COLUMN cases.all_cases.verdict IS '判定结果 · Verdict: warn 预警, intercept 拦截, prohibit 禁止';

COMMENT ON COLUMN cases.all_cases.level IS '级别 · Highest level of the hits: grey 灰, red 红, orange 橙, yellow 黄, blue 蓝';

COMMENT ON COLUMN cases.all_cases.rules IS '命中规则 · Rules that fired, live and without exception';

COMMENT ON COLUMN cases.all_cases.reasons_zh IS '原因（中文） · Reasons in Chinese';

COMMENT ON COLUMN cases.all_cases.reasons_en IS '原因（英文） · Reasons in English';

COMMENT ON COLUMN cases.all_cases.evidence_required IS '须备案材料 · The unit must file evidence';

COMMENT ON COLUMN cases.all_cases.late IS '迟到 · Came after newer payments';

COMMENT ON COLUMN cases.all_cases.payee_name IS '收款人 · Payee';

COMMENT ON COLUMN cases.all_cases.payee_account IS '收款账号（脱敏） · Payee account, last four only';

COMMENT ON COLUMN cases.all_cases.payer_account IS '付款账户（脱敏） · Payer account, last four only';

COMMENT ON COLUMN cases.all_cases.card_no IS '公务卡号（脱敏） · Official card, last four only';

COMMENT ON COLUMN cases.all_cases.purpose IS '用途 · Purpose, long numbers masked';

COMMENT ON COLUMN cases.all_cases.p_value IS 'p值 · p-value of the anomaly model';

COMMENT ON COLUMN cases.all_cases.status IS '状态 · open 未处置, release 放行, return 退回, confirm 认定';

COMMENT ON COLUMN cases.all_cases.open_hours IS '历时（小时） · Hours until it was decided, or until now';

COMMENT ON COLUMN cases.all_cases.disposed_at IS '处置时间 · When a person decided';

COMMENT ON COLUMN cases.all_cases.disposed_by IS '处置人 · Who decided';

COMMENT ON COLUMN cases.all_cases.disposition_reason IS '处置理由 · Why, long numbers masked';

COMMENT ON COLUMN cases.all_cases.label IS '标注 · true_alarm 属实, false_alarm 误报';

COMMENT ON COLUMN cases.all_cases.hits IS '命中明细 · Every hit with its evidence';

COMMENT ON VIEW cases.open_cases IS '未处置案件 · Cases that nobody has decided yet';

COMMENT ON COLUMN cases.open_cases.day IS '本地日（东八区） · Local day in China, of the event time';

COMMENT ON COLUMN cases.open_cases.event_time IS '提交时间 · When the payment was submitted';

COMMENT ON COLUMN cases.open_cases.decided_at IS '判定时间 · When the machine decided';

COMMENT ON COLUMN cases.open_cases.instruction_id IS '支付指令号 · Payment instruction';

COMMENT ON COLUMN cases.open_cases.decision_id IS '判定号 · Decision';

COMMENT ON COLUMN cases.open_cases.jurisdiction IS '行政区划 · Jurisdiction';

COMMENT ON COLUMN cases.open_cases.budget_unit IS '预算单位 · Budget unit';

COMMENT ON COLUMN cases.open_cases.budget_unit_name IS '预算单位名称 · Name of the budget unit';

COMMENT ON COLUMN cases.open_cases.amount IS '金额 · Amount, in the currency beside it';

COMMENT ON COLUMN cases.open_cases.currency IS '币种 · Currency';

COMMENT ON COLUMN cases.open_cases.verdict IS '判定结果 · Verdict: warn 预警, intercept 拦截, prohibit 禁止';

COMMENT ON COLUMN cases.open_cases.level IS '级别 · Highest level of the hits: grey 灰, red 红, orange 橙, yellow 黄, blue 蓝';

COMMENT ON COLUMN cases.open_cases.rules IS '命中规则 · Rules that fired, live and without exception';

COMMENT ON COLUMN cases.open_cases.reasons_zh IS '原因（中文） · Reasons in Chinese';

COMMENT ON COLUMN cases.open_cases.reasons_en IS '原因（英文） · Reasons in English';

COMMENT ON COLUMN cases.open_cases.evidence_required IS '须备案材料 · The unit must file evidence';

COMMENT ON COLUMN cases.open_cases.late IS '迟到 · Came after newer payments';

COMMENT ON COLUMN cases.open_cases.payee_name IS '收款人 · Payee';

COMMENT ON COLUMN cases.open_cases.payee_account IS '收款账号（脱敏） · Payee account, last four only';

COMMENT ON COLUMN cases.open_cases.payer_account IS '付款账户（脱敏） · Payer account, last four only';

COMMENT ON COLUMN cases.open_cases.card_no IS '公务卡号（脱敏） · Official card, last four only';

COMMENT ON COLUMN cases.open_cases.purpose IS '用途 · Purpose, long numbers masked';

COMMENT ON COLUMN cases.open_cases.p_value IS 'p值 · p-value of the anomaly model';

COMMENT ON COLUMN cases.open_cases.status IS '状态 · open 未处置, release 放行, return 退回, confirm 认定';

COMMENT ON COLUMN cases.open_cases.open_hours IS '历时（小时） · Hours until it was decided, or until now';

COMMENT ON COLUMN cases.open_cases.disposed_at IS '处置时间 · When a person decided';

COMMENT ON COLUMN cases.open_cases.disposed_by IS '处置人 · Who decided';

COMMENT ON COLUMN cases.open_cases.disposition_reason IS '处置理由 · Why, long numbers masked';

COMMENT ON COLUMN cases.open_cases.label IS '标注 · true_alarm 属实, false_alarm 误报';

COMMENT ON COLUMN cases.open_cases.hits IS '命中明细 · Every hit with its evidence';

COMMENT ON VIEW cases.timeliness IS '处置时效 · How soon cases are decided, in hours that pass, not working hours';

COMMENT ON COLUMN cases.timeliness.day IS '本地日（东八区） · Local day in China, of the event time';

COMMENT ON COLUMN cases.timeliness.verdict IS '判定结果 · Verdict: warn 预警, intercept 拦截, prohibit 禁止';

COMMENT ON COLUMN cases.timeliness.cases IS '案件数 · Cases';

COMMENT ON COLUMN cases.timeliness.answered IS '已处置数 · Cases decided';

COMMENT ON COLUMN cases.timeliness.answered_within_3_days IS '三日内处置数 · Decided within three calendar days';

COMMENT ON COLUMN cases.timeliness.median_hours IS '处置时长中位数（小时） · Half of the decided ones took at most so many hours';

COMMENT ON COLUMN cases.timeliness.p90_hours IS '处置时长九成位（小时） · Nine of ten took at most so many hours';

GRANT SELECT ON cases.all_cases, cases.open_cases, cases.timeliness TO treasury_watch_viewer, treasury_watch_auditor;
