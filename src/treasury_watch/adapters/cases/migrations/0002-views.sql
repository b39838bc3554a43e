-- depends: 0001-tables
-- What people see, in plain words. Views show no whole card or account number; whoever may read them need not be
-- allowed to read the tables.

-- All but the last four characters of an account or card number replaced, as everywhere else.
CREATE FUNCTION cases.masked(number text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN repeat('*', CASE WHEN length(number) > 4 THEN length(number) - 4 ELSE length(number) END)
    || CASE WHEN length(number) > 4 THEN right(number, 4) ELSE '' END;

-- Free text with what may be an account or card number in it, 12 digits or more with or without gaps, masked.
CREATE FUNCTION cases.masked_numbers(words text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
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

CREATE VIEW cases.cases_by_unit AS
SELECT
    day,
    jurisdiction,
    budget_unit,
    max(instruction ->> 'budget_unit_name') AS budget_unit_name,
    verdict,
    currency,
    count(*) AS cases,
    count(*) FILTER (WHERE disposition IS NULL) AS open_cases,
    sum(amount) AS amount
FROM cases.payment_case
GROUP BY day, jurisdiction, budget_unit, verdict, currency;

CREATE VIEW cases.cases_by_rule AS
SELECT
    day,
    rule,
    verdict,
    currency,
    count(*) AS cases,
    count(*) FILTER (WHERE disposition IS NULL) AS open_cases,
    sum(amount) AS amount
FROM cases.payment_case, unnest(rules) AS rule
GROUP BY day, rule, verdict, currency;

CREATE VIEW cases.cases_by_day AS
SELECT
    day,
    verdict,
    currency,
    count(*) AS cases,
    count(*) FILTER (WHERE disposition IS NULL) AS open_cases,
    sum(amount) AS amount
FROM cases.payment_case
GROUP BY day, verdict, currency;

CREATE VIEW cases.payments_by_day AS
SELECT day, verdict, count(*) AS payments
FROM cases.decision
GROUP BY day, verdict;

CREATE VIEW cases.amounts_held AS
SELECT
    jurisdiction,
    currency,
    count(*) AS payments,
    sum(greatest(amount, 0)) AS amount,
    min(event_time) AS oldest
FROM cases.payment_case
WHERE coalesce(disposition, 'open') = 'open' AND verdict IN ('intercept', 'prohibit')
GROUP BY jurisdiction, currency;

CREATE VIEW cases.rule_precision AS
SELECT
    rule,
    count(*) AS answered,
    count(*) FILTER (WHERE label = 'true_alarm') AS true_alarms,
    count(*) FILTER (WHERE label = 'false_alarm') AS false_alarms,
    round(count(*) FILTER (WHERE label = 'true_alarm') / count(*)::numeric, 4) AS precision
FROM cases.payment_case, unnest(rules) AS rule
WHERE label IS NOT NULL
GROUP BY rule;

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

CREATE VIEW cases.refused_messages AS
SELECT
    day,
    failed_at,
    reason,
    cases.masked_numbers(detail) AS detail,
    instruction_id,
    refused_topic,
    refused_partition,
    refused_offset
FROM cases.dead_letter;

CREATE VIEW cases.not_understood AS
SELECT
    day,
    arrived_at,
    cases.masked_numbers(reason) AS reason,
    source_topic,
    source_partition,
    source_offset
FROM cases.unreadable;

CREATE VIEW cases.sink_progress AS
SELECT source_topic, source_partition, next_offset, written_at
FROM cases.progress;

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

COMMENT ON VIEW cases.cases_by_unit IS '按单位统计 · Cases by day and budget unit; add up over days';

COMMENT ON COLUMN cases.cases_by_unit.day IS '本地日（东八区） · Local day in China, of the event time';

COMMENT ON COLUMN cases.cases_by_unit.jurisdiction IS '行政区划 · Jurisdiction';

COMMENT ON COLUMN cases.cases_by_unit.budget_unit IS '预算单位 · Budget unit';

COMMENT ON COLUMN cases.cases_by_unit.budget_unit_name IS '预算单位名称 · Name of the budget unit';

COMMENT ON COLUMN cases.cases_by_unit.verdict IS '判定结果 · Verdict: warn 预警, intercept 拦截, prohibit 禁止';

COMMENT ON COLUMN cases.cases_by_unit.currency IS '币种 · Currency';

COMMENT ON COLUMN cases.cases_by_unit.cases IS '案件数 · Cases';

COMMENT ON COLUMN cases.cases_by_unit.open_cases IS '未处置数 · Cases not decided yet';

COMMENT ON COLUMN cases.cases_by_unit.amount IS '金额 · Amount, in the currency beside it';

COMMENT ON VIEW cases.cases_by_rule IS '按规则统计 · Cases by day and rule; one case counts for each rule that fired';

COMMENT ON COLUMN cases.cases_by_rule.day IS '本地日（东八区） · Local day in China, of the event time';

COMMENT ON COLUMN cases.cases_by_rule.rule IS '规则 · Rule';

COMMENT ON COLUMN cases.cases_by_rule.verdict IS '判定结果 · Verdict: warn 预警, intercept 拦截, prohibit 禁止';

COMMENT ON COLUMN cases.cases_by_rule.currency IS '币种 · Currency';

COMMENT ON COLUMN cases.cases_by_rule.cases IS '案件数 · Cases';

COMMENT ON COLUMN cases.cases_by_rule.open_cases IS '未处置数 · Cases not decided yet';

COMMENT ON COLUMN cases.cases_by_rule.amount IS '金额 · Amount, in the currency beside it';

COMMENT ON VIEW cases.cases_by_day IS '按日统计 · Cases by day';

COMMENT ON COLUMN cases.cases_by_day.day IS '本地日（东八区） · Local day in China, of the event time';

COMMENT ON COLUMN cases.cases_by_day.verdict IS '判定结果 · Verdict: warn 预警, intercept 拦截, prohibit 禁止';

COMMENT ON COLUMN cases.cases_by_day.currency IS '币种 · Currency';

COMMENT ON COLUMN cases.cases_by_day.cases IS '案件数 · Cases';

COMMENT ON COLUMN cases.cases_by_day.open_cases IS '未处置数 · Cases not decided yet';

COMMENT ON COLUMN cases.cases_by_day.amount IS '金额 · Amount, in the currency beside it';

COMMENT ON VIEW cases.payments_by_day IS '每日支付笔数 · All judged payments by day and verdict';

COMMENT ON COLUMN cases.payments_by_day.day IS '本地日（东八区） · Local day in China, of the event time';

COMMENT ON COLUMN cases.payments_by_day.verdict IS '判定结果 · Verdict: pass 放行, warn 预警, intercept 拦截, prohibit 禁止';

COMMENT ON COLUMN cases.payments_by_day.payments IS '支付笔数 · Payments';

COMMENT ON VIEW cases.amounts_held IS '在拦金额 · Payments that are held now, refunds counted as nothing';

COMMENT ON COLUMN cases.amounts_held.jurisdiction IS '行政区划 · Jurisdiction';

COMMENT ON COLUMN cases.amounts_held.currency IS '币种 · Currency';

COMMENT ON COLUMN cases.amounts_held.payments IS '支付笔数 · Payments';

COMMENT ON COLUMN cases.amounts_held.amount IS '金额 · Amount, in the currency beside it';

COMMENT ON COLUMN cases.amounts_held.oldest IS '最早提交时间 · Event time of the oldest';

COMMENT ON VIEW cases.rule_precision IS '规则准确率 · How often a rule was right, by the labels that people gave; unlabelled cases do not count';

COMMENT ON COLUMN cases.rule_precision.rule IS '规则 · Rule';

COMMENT ON COLUMN cases.rule_precision.answered IS '已标注数 · Cases with a label';

COMMENT ON COLUMN cases.rule_precision.true_alarms IS '属实数 · Right';

COMMENT ON COLUMN cases.rule_precision.false_alarms IS '误报数 · Wrong';

COMMENT ON COLUMN cases.rule_precision.precision IS '准确率 · Right of all labelled, 0 to 1';

COMMENT ON VIEW cases.timeliness IS '处置时效 · How soon cases are decided, in hours that pass, not working hours';

COMMENT ON COLUMN cases.timeliness.day IS '本地日（东八区） · Local day in China, of the event time';

COMMENT ON COLUMN cases.timeliness.verdict IS '判定结果 · Verdict: warn 预警, intercept 拦截, prohibit 禁止';

COMMENT ON COLUMN cases.timeliness.cases IS '案件数 · Cases';

COMMENT ON COLUMN cases.timeliness.answered IS '已处置数 · Cases decided';

COMMENT ON COLUMN cases.timeliness.answered_within_3_days IS '三日内处置数 · Decided within three calendar days';

COMMENT ON COLUMN cases.timeliness.median_hours IS '处置时长中位数（小时） · Half of the decided ones took at most so many hours';

COMMENT ON COLUMN cases.timeliness.p90_hours IS '处置时长九成位（小时） · Nine of ten took at most so many hours';

COMMENT ON VIEW cases.refused_messages IS '死信 · Messages that were refused, and why';

COMMENT ON COLUMN cases.refused_messages.day IS '本地日（东八区） · Local day in China, of the refusal';

COMMENT ON COLUMN cases.refused_messages.failed_at IS '拒收时间 · When it was refused';

COMMENT ON COLUMN cases.refused_messages.reason IS '原因 · Reason';

COMMENT ON COLUMN cases.refused_messages.detail IS '详情 · What exactly, long numbers masked';

COMMENT ON COLUMN cases.refused_messages.instruction_id IS '支付指令号 · Payment instruction';

COMMENT ON COLUMN cases.refused_messages.refused_topic IS '来源主题 · Topic it came from';

COMMENT ON COLUMN cases.refused_messages.refused_partition IS '来源分区 · Partition it came from';

COMMENT ON COLUMN cases.refused_messages.refused_offset IS '来源位点 · Offset it came from';

COMMENT ON VIEW cases.not_understood IS '无法识别的记录 · Records on our own topics that are none of ours, and why';

COMMENT ON COLUMN cases.not_understood.day IS '本地日（东八区） · Local day in China, of the arrival';

COMMENT ON COLUMN cases.not_understood.arrived_at IS '到达时间 · When the broker got it';

COMMENT ON COLUMN cases.not_understood.reason IS '原因 · Reason';

COMMENT ON COLUMN cases.not_understood.source_topic IS '主题 · Topic';

COMMENT ON COLUMN cases.not_understood.source_partition IS '分区 · Partition';

COMMENT ON COLUMN cases.not_understood.source_offset IS '位点 · Offset';

COMMENT ON VIEW cases.sink_progress IS '入库进度 · Up to where each partition is written';

COMMENT ON COLUMN cases.sink_progress.source_topic IS '主题 · Topic';

COMMENT ON COLUMN cases.sink_progress.source_partition IS '分区 · Partition';

COMMENT ON COLUMN cases.sink_progress.next_offset IS '下一位点 · Offset that is written next';

COMMENT ON COLUMN cases.sink_progress.written_at IS '写入时间 · When it was last written';
