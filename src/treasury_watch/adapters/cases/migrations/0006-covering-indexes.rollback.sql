DROP INDEX cases.case_open;

CREATE INDEX case_open ON cases.payment_case (event_time DESC) WHERE coalesce(disposition, 'open') = 'open';

DROP INDEX cases.case_labelled;

CREATE INDEX case_labelled ON cases.payment_case (label) WHERE label IS NOT NULL;
