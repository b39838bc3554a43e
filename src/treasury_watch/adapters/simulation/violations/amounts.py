"""Amounts that are large, alone (rows 1, 2) or together (rows 3, 12).

Parts that add up come in rising amounts, on spare units or to a payee of their own, so the last one goes over the limit
whatever else is paid.
"""

from __future__ import annotations

from treasury_watch.adapters.simulation.city import Level, Unit
from treasury_watch.adapters.simulation.items import GOODS
from treasury_watch.adapters.simulation.payments import Draft, Payments, yuan
from treasury_watch.adapters.simulation.violations.plan import Kind, Step, in_parts, one

# Levels of the shipped pack in fen: from the first on evidence is asked for, from the second on payments are held.
LARGE: dict[Level, tuple[int, int]] = {
    "city": (50_000_000, 100_000_000),
    "county": (20_000_000, 50_000_000),
    "town": (10_000_000, 20_000_000),
}
LARGE_CASH = (1_000_000, 5_000_000)

_BUILDING = next(item for item in GOODS if item.subject == "31005")


def _building(payments: Payments, unit: Unit, fen: int) -> Draft:
    return payments.goods(unit, _BUILDING, fen, payments.stranger())


def _large_payment_notice(payments: Payments) -> Draft:
    unit, (notice, limit) = _with_limits(payments)
    return _building(payments, unit, payments.chance.between(notice, limit - 1))


def _large_payment(payments: Payments) -> Draft:
    unit, (_, limit) = _with_limits(payments)
    return _building(payments, unit, payments.chance.between(limit, 4 * limit))


def _just_below_notice(payments: Payments) -> Draft:
    unit, (notice, _) = _with_limits(payments)
    return _building(payments, unit, notice - 1)


def _large_cash_notice(payments: Payments) -> Draft:
    notice, limit = LARGE_CASH
    return payments.cash(payments.spare_unit(), payments.chance.between(notice, limit - 1))


def _large_cash(payments: Payments) -> Draft:
    _, limit = LARGE_CASH
    return payments.cash(payments.spare_unit(), payments.chance.between(limit, 3 * limit))


def _just_below_cash_notice(payments: Payments) -> Draft:
    return payments.cash(payments.spare_unit(), LARGE_CASH[0] - 1)


def _cash_day(payments: Payments) -> list[Step]:
    """Six withdrawals, each below the single notice level, go over 50,000 in a day."""
    return _withdrawals(payments, 6, 900_000, "CASH-003", seconds=600)


def _cash_day_at_its_limit(payments: Payments) -> list[Step]:
    """Six withdrawals that are 50,000 to the fen; a quiet unit has no others on that day."""
    unit = payments.quiet_unit(rest=31)
    if unit is None:
        return []
    parts = [833_000] * 5 + [835_000]
    return [Step(payments.cash(unit, fen), (), 600 if part else 0) for part, fen in enumerate(parts)]


def _cash_month(payments: Payments) -> list[Step]:
    """Five days' withdrawals, each below the day's limit, go over 200,000 in a month."""
    return _withdrawals(payments, 5, 4_400_000, "CASH-004", "CASH-001", days=1)


def _cash_year(payments: Payments) -> list[Step]:
    """Withdrawals every sixth working day stay below the month's limit and go over 1,000,000 in the fiscal year."""
    return _withdrawals(payments, 22, 4_700_000, "CASH-005", "CASH-001", days=6)


def _withdrawals(
    payments: Payments, count: int, fen: int, last: str, *each: str, seconds: int = 0, days: int = 0
) -> list[Step]:
    """Withdrawals of at least `fen`, all hit by the rules of `each`, the last one by `last` too."""
    unit = payments.spare_unit()
    steps = []
    for number in range(count):
        draft = payments.cash(unit, fen + number * 4_000 + payments.chance.below(4_000))
        rule_ids = (*each, last) if number == count - 1 else each
        steps.append(Step(draft, rule_ids, seconds, days) if number else Step(draft, rule_ids))
    return steps


def _split_payment(payments: Payments) -> list[Step]:
    """Three instalments, each below the notice level, reach the limit together."""
    unit, (_, limit) = _with_limits(payments)
    parts = [limit * percent // 100 + payments.chance.below(10_000) for percent in (34, 36, 38)]
    return in_parts(payments, _instalments(payments, unit, parts), "SPLIT-001")


def _one_fen_short_of_a_split(payments: Payments) -> list[Step]:
    unit, (_, limit) = _with_limits(payments)
    parts = [limit * 32 // 100, limit * 33 // 100, limit * 35 // 100 - 1]
    return in_parts(payments, _instalments(payments, unit, parts))


def _with_limits(payments: Payments) -> tuple[Unit, tuple[int, int]]:
    unit = payments.unit()
    return unit, LARGE[unit.level]


def _instalments(payments: Payments, unit: Unit, parts: list[int]) -> list[Draft]:
    whole = _building(payments, unit, LARGE[unit.level][1]) | {"invoice_no": None}
    words = [f"{whole['purpose']}（{number}期）" for number in "一二三"]
    return [whole | {"amount": yuan(fen), "purpose": purpose} for fen, purpose in zip(parts, words, strict=True)]


KINDS = (
    Kind("large_payment_notice", 1, one("AMT-001", _large_payment_notice), one(None, _just_below_notice)),
    Kind("large_payment", 1, one("AMT-002", _large_payment)),
    Kind("large_cash_notice", 2, one("CASH-001", _large_cash_notice), one(None, _just_below_cash_notice)),
    Kind("large_cash", 2, one("CASH-002", _large_cash)),
    Kind("cash_day", 3, _cash_day, _cash_day_at_its_limit, rest=1),
    Kind("cash_month", 3, _cash_month, within="month", rest=5),
    Kind("cash_year", 3, _cash_year, within="year", rest=60),
    Kind("split_payment", 12, _split_payment, _one_fen_short_of_a_split),
)
