"""How payments are made: by one person alone (row 34), after hours (row 38), oddly if within every rule (row 40)."""

from __future__ import annotations

from treasury_watch.adapters.simulation.items import GOODS
from treasury_watch.adapters.simulation.payments import Draft, Payments
from treasury_watch.adapters.simulation.violations.plan import Kind, Plant, Step, one
from treasury_watch.adapters.simulation.workdays import is_working

_ELECTRICITY = next(item for item in GOODS if item.subject == "30206")
_SUPPLIES = next(item for item in GOODS if item.subject == "30218")
_SMALLEST_NOTICE = 10_000_000  # fen: of no unit is evidence asked for below it


def _same_person(payments: Payments) -> Draft:
    draft = payments.oddity(payments.unit())
    return draft | {"approver": draft["initiator"]}


def _after_hours(low: int, high: int, *rule_ids: str) -> Plant:
    """A payment so many seconds after closing time of a working day."""

    def plant(payments: Payments) -> list[Step]:
        if not is_working(payments.today):
            return []
        fen = payments.chance.between(50_000, 3_000_000)
        draft = payments.purchase(payments.unit(), ("30218", "50204"), "购买防护物资", fen)
        return [Step(draft, rule_ids, payments.chance.between(low, high), evening=True)]

    return plant


def _odd_bill(payments: Payments) -> list[Step]:
    """A month's electricity many times as dear as ever."""
    fen = payments.chance.between(_SMALLEST_NOTICE * 8 // 10, _SMALLEST_NOTICE - 1)
    return [Step(payments.goods(payments.unit(), _ELECTRICITY, fen))]


def _odd_purchase(payments: Payments) -> list[Step]:
    """Medical supplies for an office that never buys any, in a large round sum."""
    units = [unit for unit in payments.units if unit.department.code in ("117", "118", "119")]
    fen = _SMALLEST_NOTICE * 9 // 10
    return [Step(payments.goods(payments.chance.pick(units), _SUPPLIES, fen, payments.stranger()))]


KINDS = (
    Kind("same_person", 34, one("ROLE-001", _same_person)),
    Kind("after_hours", 38, _after_hours(60, 14_400, "HOURS-001"), _after_hours(-1, -1)),
    Kind("odd_bill", 40, _odd_bill),
    Kind("odd_purchase", 40, _odd_purchase),
)
