DROP FUNCTION cases.make_month;

DROP TABLE cases.progress, cases.unreadable, cases.disposition, cases.dead_letter, cases.payment_case, cases.decision;
