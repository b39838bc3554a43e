-- depends: 0005-working-days
-- What is held now and how right the rules are is asked of all years, so their indexes hold what is asked.

DROP INDEX cases.case_open;

CREATE INDEX case_open ON cases.payment_case (event_time DESC) INCLUDE (verdict, jurisdiction, currency, amount)
    WHERE coalesce(disposition, 'open') = 'open';

DROP INDEX cases.case_labelled;

CREATE INDEX case_labelled ON cases.payment_case (label) INCLUDE (rules) WHERE label IS NOT NULL;
