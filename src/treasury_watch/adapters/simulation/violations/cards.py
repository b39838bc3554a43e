"""Official cards: repayments over the limit (row 4), and what should have been paid by card (row 5)."""

from __future__ import annotations

from treasury_watch.adapters.simulation.city import Card, person
from treasury_watch.adapters.simulation.items import CARD_ITEMS
from treasury_watch.adapters.simulation.names import check_digit
from treasury_watch.adapters.simulation.payments import Draft, Payments
from treasury_watch.adapters.simulation.violations.plan import Kind, Plant, Step, in_parts, one

# Limits of the shipped pack in fen for cards that are not registered.
LOWEST_LIMIT, HIGHEST_LIMIT = 2_000_000, 5_000_000
NO_CARD_NEEDED = 20_000  # single expenses up to it

_RESTS = 4  # days; the shipped pack adds up 72 hours


def _repayment(payments: Payments, card: Card, fen: int) -> Draft:
    return payments.card_repayment(card, fen, CARD_ITEMS[0])  # travel: no unit has a budget of its own for it


def _card_over_limit(payments: Payments) -> Draft:
    card = payments.spare_card()
    return _repayment(payments, card, card.limit * 100 + payments.chance.between(1, 2_000_000))


def _card_at_its_limit(payments: Payments) -> list[Step]:
    card = payments.quiet_card(_RESTS)
    return [] if card is None else [Step(_repayment(payments, card, card.limit * 100))]


def _card_split(payments: Payments) -> list[Step]:
    """Three repayments, each within the card's limit, go over it together."""
    card = payments.spare_card()
    parts = [card.limit * percent + payments.chance.below(10_000) for percent in (34, 36, 38)]
    return in_parts(payments, [_repayment(payments, card, fen) for fen in parts], "CARD-002")


def _card_filled(payments: Payments) -> list[Step]:
    """Three repayments that are the limit together, to the fen."""
    card = payments.quiet_card(_RESTS)
    if card is None:
        return []
    return in_parts(payments, [_repayment(payments, card, card.limit * percent) for percent in (32, 33, 35)])


def _unregistered(rule_id: str | None, low: int, high: int) -> Plant:
    """A repayment to a card that the register does not have."""

    def draft(payments: Payments) -> Draft:
        unit = payments.unit()
        body = f"628999{payments.chance.below(10**9):09d}"
        holder = person(unit.number, payments.chance.below(unit.staff)).name
        card = Card(body + check_digit(body), holder, unit.number, unit.payer["budget_unit"], 0)
        return _repayment(payments, card, payments.chance.between(low, high))

    return one(rule_id, draft)


def _not_by_card(rule_id: str | None, low: int, high: int, *, cash: bool) -> Plant:
    """Travel costs of somebody on the payroll, in cash or by transfer, which a card should have paid."""

    def plant(payments: Payments) -> list[Step]:
        unit = next(each for each in iter(payments.unit, None) if each.level != "town")
        draft = payments.purchase(
            unit, ("30211", "50201"), "赴省城开会差旅费", payments.chance.between(low, high)
        ) | payments.to_person(person(unit.number, payments.chance.below(unit.staff)))
        draft["invoice_no"] = None
        if cash:
            draft |= {"settlement": "cash", "payee_account": None}
        return [Step(draft, () if rule_id is None else (rule_id,))]

    return plant


KINDS = (
    Kind("card_over_limit", 4, one("CARD-001", _card_over_limit), _card_at_its_limit),
    Kind("card_split", 4, _card_split, _card_filled),
    Kind(
        "unregistered_card_notice",
        4,
        _unregistered("CARD-003", LOWEST_LIMIT + 1, HIGHEST_LIMIT),
        _unregistered(None, LOWEST_LIMIT, LOWEST_LIMIT),
    ),
    Kind("unregistered_card", 4, _unregistered("CARD-004", HIGHEST_LIMIT + 1, 2 * HIGHEST_LIMIT)),
    Kind(
        "transfer_instead_of_card",
        5,
        _not_by_card("CARD-005", NO_CARD_NEEDED + 1, 300_000, cash=False),
        _not_by_card(None, NO_CARD_NEEDED, NO_CARD_NEEDED, cash=False),
    ),
    Kind("cash_instead_of_card", 5, _not_by_card("CARD-005", NO_CARD_NEEDED + 1, 300_000, cash=True)),
)
