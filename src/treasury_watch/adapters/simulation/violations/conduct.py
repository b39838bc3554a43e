"""How payments are made: by one person alone (row 34)."""

from __future__ import annotations

from treasury_watch.adapters.simulation.payments import Draft, Payments
from treasury_watch.adapters.simulation.violations.plan import Kind, one


def _same_person(payments: Payments) -> Draft:
    draft = payments.goods(payments.unit())
    return draft | {"approver": draft["initiator"]}


KINDS = (Kind("same_person", 34, one("ROLE-001", _same_person)),)
