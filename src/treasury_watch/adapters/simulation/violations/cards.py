"""Official cards: repayments over the limit (row 4), and what should have been paid by card (row 5)."""

from __future__ import annotations

from treasury_watch.adapters.simulation.payments import Draft, Payments
from treasury_watch.adapters.simulation.violations.plan import Kind, Step, in_parts, one


def _card_over_limit(payments: Payments) -> Draft:
    card = payments.spare_card()
    return payments.card_repayment(card, card.limit * 100 + payments.chance.between(1, 2_000_000))


def _card_split(payments: Payments) -> list[Step]:
    """Three repayments, each within the card's limit, go over it together."""
    card = payments.spare_card()
    parts = [card.limit * percent + payments.chance.below(10_000) for percent in (34, 36, 38)]
    return in_parts(payments, [payments.card_repayment(card, fen) for fen in parts], "CARD-002")


KINDS = (
    Kind("card_over_limit", 4, one("CARD-001", _card_over_limit)),
    Kind("card_split", 4, _card_split),
)
