DROP VIEW cases.open_cases;

DROP VIEW cases.all_cases, cases.cases_by_unit, cases.cases_by_rule, cases.cases_by_day, cases.payments_by_day,
    cases.amounts_held, cases.rule_precision, cases.timeliness, cases.refused_messages, cases.not_understood,
    cases.sink_progress;

DROP FUNCTION cases.masked(text), cases.masked_numbers(text);
