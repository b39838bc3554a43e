"""Violations to plant: one kind is one small function and one line in KINDS.

Each names the rules of the shipped pack that must hit it. Parts that add up come in rising amounts, on spare units and
cards or to a payee of their own, so the last one goes over the limit whatever else is paid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from treasury_watch.adapters.simulation.city import DEBARRED, Level, Unit
from treasury_watch.adapters.simulation.items import GOODS
from treasury_watch.adapters.simulation.traffic import Draft, Traffic, yuan

# Levels of the shipped pack in fen: from the first on evidence is asked for, from the second on payments are held.
LARGE: dict[Level, tuple[int, int]] = {
    "city": (50_000_000, 100_000_000),
    "county": (20_000_000, 50_000_000),
    "town": (10_000_000, 20_000_000),
}
LARGE_CASH = (1_000_000, 5_000_000)
TO_A_PERSON = 1_000_000

_BUILDING = next(item for item in GOODS if item.subject == "31005")


class Step(NamedTuple):
    """One instruction of a plant and the rules that must hit it.

    It comes `days` working days after the step before or, where that is 0, on the same day `seconds` after it.
    """

    draft: Draft
    rule_ids: tuple[str, ...] = ()
    seconds: int = 0
    days: int = 0


Plant = Callable[[Traffic], list[Step]]


class Kind(NamedTuple):
    """A kind of violation; its steps share a calendar month or year where `within` says so.

    Once planted, it is not planted again for `rest` days.
    """

    name: str
    plant: Plant
    within: Literal["month", "year"] | None = None
    rest: int = 0


# --- one payment ---


def _changed(rule_id: str, **fields: Any) -> Plant:
    """An ordinary purchase with some fields replaced."""
    return lambda traffic: [Step(traffic.goods(traffic.unit()) | fields, (rule_id,))]


def _large_payment_notice(traffic: Traffic) -> list[Step]:
    unit = traffic.unit()
    notice, limit = LARGE[unit.level]
    return [Step(_building(traffic, unit, traffic.chance.between(notice, limit - 1)), ("AMT-001",))]


def _large_payment(traffic: Traffic) -> list[Step]:
    unit = traffic.unit()
    _, limit = LARGE[unit.level]
    return [Step(_building(traffic, unit, traffic.chance.between(limit, 4 * limit)), ("AMT-002",))]


def _large_cash_notice(traffic: Traffic) -> list[Step]:
    notice, limit = LARGE_CASH
    return [Step(traffic.cash(traffic.spare_unit(), traffic.chance.between(notice, limit - 1)), ("CASH-001",))]


def _large_cash(traffic: Traffic) -> list[Step]:
    _, limit = LARGE_CASH
    return [Step(traffic.cash(traffic.spare_unit(), traffic.chance.between(limit, 3 * limit)), ("CASH-002",))]


def _card_over_limit(traffic: Traffic) -> list[Step]:
    card = traffic.spare_card()
    fen = card.limit * 100 + traffic.chance.between(1, 2_000_000)
    return [Step(traffic.card_repayment(card, fen), ("CARD-001",))]


def _same_person(traffic: Traffic) -> list[Step]:
    draft = traffic.goods(traffic.unit())
    return [Step(draft | {"approver": draft["initiator"]}, ("ROLE-001",))]


def _debarred_account(traffic: Traffic) -> list[Step]:
    """The account of a debarred party, under another name."""
    draft = traffic.goods(traffic.unit())
    return [Step(draft | {"payee_account": traffic.chance.pick(DEBARRED).account}, ("DEBAR-001",))]


def _debarred_name(traffic: Traffic) -> list[Step]:
    """The name of a debarred party, on an account that is not listed."""
    draft = traffic.goods(traffic.unit())
    return [Step(draft | {"payee_name": traffic.chance.pick(DEBARRED).name}, ("DEBAR-002",))]


def _personal_account(traffic: Traffic) -> list[Step]:
    fen = TO_A_PERSON + traffic.chance.below(4_000_000)
    return [Step(traffic.labour(traffic.unit(), fen), ("PERSON-001",))]


# --- several payments ---


def _cash_day(traffic: Traffic) -> list[Step]:
    """Six withdrawals, each below the single notice level, go over 50,000 in a day."""
    return _withdrawals(traffic, 6, 900_000, "CASH-003", seconds=600)


def _cash_month(traffic: Traffic) -> list[Step]:
    """Five days' withdrawals, each below the day's limit, go over 200,000 in a month."""
    return _withdrawals(traffic, 5, 4_400_000, "CASH-004", "CASH-001", days=1)


def _cash_year(traffic: Traffic) -> list[Step]:
    """Withdrawals every sixth working day stay below the month's limit and go over 1,000,000 in the fiscal year."""
    return _withdrawals(traffic, 22, 4_700_000, "CASH-005", "CASH-001", days=6)


def _withdrawals(
    traffic: Traffic, count: int, fen: int, last: str, *each: str, seconds: int = 0, days: int = 0
) -> list[Step]:
    """Withdrawals of at least `fen`, all hit by the rules of `each`, the last one by `last` too."""
    unit = traffic.spare_unit()
    steps = []
    for number in range(count):
        draft = traffic.cash(unit, fen + number * 4_000 + traffic.chance.below(4_000))
        rule_ids = (*each, last) if number == count - 1 else each
        steps.append(Step(draft, rule_ids, seconds, days) if number else Step(draft, rule_ids))
    return steps


def _card_split(traffic: Traffic) -> list[Step]:
    """Three repayments, each within the card's limit, go over it together."""
    card = traffic.spare_card()
    parts = [card.limit * percent + traffic.chance.below(10_000) for percent in (34, 36, 38)]
    return _in_parts(traffic, [traffic.card_repayment(card, fen) for fen in parts], "CARD-002")


def _split_payment(traffic: Traffic) -> list[Step]:
    """Three instalments, each below the notice level, reach the limit together."""
    unit = traffic.unit()
    whole = _building(traffic, unit, LARGE[unit.level][1]) | {"invoice_no": None}
    parts = [LARGE[unit.level][1] * percent // 100 + traffic.chance.below(10_000) for percent in (34, 36, 38)]
    words = [f"{whole['purpose']}（{number}期）" for number in "一二三"]
    return _in_parts(
        traffic,
        [whole | {"amount": yuan(fen), "purpose": purpose} for fen, purpose in zip(parts, words, strict=True)],
        "SPLIT-001",
    )


def _duplicate(rule_id: str, *, days: int, same_invoice: bool) -> Plant:
    """A purchase paid twice: for the same purpose with no invoice named, or on the same invoice in other words."""

    def plant(traffic: Traffic) -> list[Step]:
        first = traffic.goods(traffic.unit())
        if same_invoice:
            second = first | {"purpose": f"补付{first['purpose']}"}
        else:
            first |= {"invoice_no": None}
            second = first
        return [Step(first), Step(second | traffic.voucher(), (rule_id,), _pause(traffic), days)]

    return plant


def _in_parts(traffic: Traffic, drafts: list[Draft], rule_id: str) -> list[Step]:
    first, *others, last = drafts
    return [
        Step(first),
        *(Step(each, (), _pause(traffic)) for each in others),
        Step(last, (rule_id,), _pause(traffic)),
    ]


def _building(traffic: Traffic, unit: Unit, fen: int) -> Draft:
    return traffic.goods(unit, _BUILDING) | {"amount": yuan(fen), "payment_mode": "direct"}


def _pause(traffic: Traffic) -> int:
    return traffic.chance.between(120, 1_200)


KINDS = (
    Kind("large_payment_notice", _large_payment_notice),
    Kind("large_payment", _large_payment),
    Kind("large_cash_notice", _large_cash_notice),
    Kind("large_cash", _large_cash),
    Kind("cash_day", _cash_day),
    Kind("cash_month", _cash_month, within="month", rest=5),
    Kind("cash_year", _cash_year, within="year", rest=60),
    Kind("card_over_limit", _card_over_limit),
    Kind("card_split", _card_split),
    Kind("duplicate_24h", _duplicate("DUP-001", days=0, same_invoice=False)),
    Kind("duplicate_30d", _duplicate("DUP-002", days=4, same_invoice=False)),
    Kind("duplicate_invoice_24h", _duplicate("DUP-003", days=0, same_invoice=True)),
    Kind("duplicate_invoice_30d", _duplicate("DUP-004", days=4, same_invoice=True)),
    Kind("split_payment", _split_payment),
    Kind("same_person", _same_person),
    Kind("debarred_account", _debarred_account),
    Kind("debarred_name", _debarred_name),
    Kind("personal_account", _personal_account),
    Kind("no_purpose", _changed("DATA-001", purpose=None)),
    Kind("no_payee_name", _changed("DATA-002", payee_name=None)),
    Kind("no_payee_account", _changed("DATA-003", payee_account=None)),
    Kind("purpose_without_chinese", _changed("TEXT-001", purpose="20260302")),
    Kind("payee_name_without_chinese", _changed("TEXT-002", payee_name="A-1024")),
    Kind("garbled_purpose", _changed("TEXT-003", purpose="购买办公???品")),
    Kind("garbled_payee_name", _changed("TEXT-004", payee_name="云川恒达*有限公司")),
)
