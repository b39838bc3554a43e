"""Who is paid: people (row 9), debarred parties (row 35)."""

from __future__ import annotations

from treasury_watch.adapters.simulation.city import DEBARRED
from treasury_watch.adapters.simulation.payments import Draft, Payments
from treasury_watch.adapters.simulation.violations.plan import Kind, one

TO_A_PERSON = 1_000_000


def _personal_account(payments: Payments) -> Draft:
    return payments.labour(payments.unit(), TO_A_PERSON + payments.chance.below(4_000_000))


def _one_fen_less_to_a_person(payments: Payments) -> Draft:
    return payments.labour(payments.unit(), TO_A_PERSON - 1)


def _debarred_account(payments: Payments) -> Draft:
    """The account of a debarred party, under another name."""
    return payments.goods(payments.unit()) | {"payee_account": payments.chance.pick(DEBARRED).account}


def _debarred_name(payments: Payments) -> Draft:
    """The name of a debarred party, on an account that is not listed."""
    return payments.goods(payments.unit()) | {"payee_name": payments.chance.pick(DEBARRED).name}


KINDS = (
    Kind("personal_account", 9, one("PERSON-001", _personal_account), one(None, _one_fen_less_to_a_person)),
    Kind("debarred_account", 35, one("DEBAR-001", _debarred_account)),
    Kind("debarred_name", 35, one("DEBAR-002", _debarred_name)),
)
