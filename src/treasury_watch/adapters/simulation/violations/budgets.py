"""What a budget does not allow: forbidden subjects (row 19), no allotment or too little (row 20), a unit's budgets used
up (rows 21, 22), staff paid from the goods budget (row 25), a project's year in December (row 28).
"""

from __future__ import annotations

from treasury_watch.adapters.simulation.city import (
    JURISDICTIONS,
    RECEPTIONS,
    SMALL_ALLOTMENT,
    UNION_FEE,
    WELFARE,
    small_allotment_of,
    unit_budgets,
)
from treasury_watch.adapters.simulation.payments import Draft, Payments
from treasury_watch.adapters.simulation.violations.plan import Kind, Plant, Step, one

SMALL_PROJECT = 50_000_000  # fen; below it, the shipped pack sees no rush

_A_YEAR = 366  # days


def _under(rule_id: str | None, subjects: tuple[str, str], purpose: str) -> Plant:
    def draft(payments: Payments) -> Draft:
        return payments.purchase(payments.unit(), subjects, purpose, payments.chance.between(50_000, 800_000))

    return one(rule_id, draft)


def _no_allotment(payments: Payments) -> Draft:
    return payments.oddity(payments.unit()) | {"allotment_ref": f"云财指〔{payments.today.year}〕999号"}


def _last_year_s_allotment(payments: Payments) -> Draft:
    draft = payments.oddity(payments.unit())
    return draft | {
        "allotment_ref": draft["allotment_ref"].replace(str(payments.today.year), str(payments.today.year - 1))
    }


def _over_the_allotment(payments: Payments) -> list[Step]:
    """One payment of more than a small allotment holds."""
    place = payments.chance.below(len(JURISDICTIONS))
    return [_from_small(payments, place, payments.chance.between(1, 5_000_000), "ALLOT-002")]


def _the_whole_allotment(payments: Payments) -> list[Step]:
    """A small allotment is used up to the fen; that can be done once a year."""
    place = payments.quiet_allotments.take(payments.today, _A_YEAR)
    return [] if place is None else [_from_small(payments, place, 0)]


def _from_small(payments: Payments, place: int, more: int, *rule_ids: str) -> Step:
    code = JURISDICTIONS[place].code
    unit = next(each for each in payments.units if each.payer["jurisdiction"] == code)
    draft = payments.purchase(unit, ("30227", "50205"), "第三方检测服务费", SMALL_ALLOTMENT * 100 + more)
    return Step(draft | {"allotment_ref": small_allotment_of(place, payments.today.year)}, rule_ids)


def _over_budget(rule_id: str, subjects: tuple[str, str], purpose: str) -> Plant:
    """One payment of more than a unit's budget for the year."""

    def draft(payments: Payments) -> Draft:
        budget = unit_budgets(payments.today.year)[subjects[0]] * 100
        unit = payments.chance.pick(payments.budgeted)
        return payments.purchase(unit, subjects, purpose, budget + payments.chance.between(1, 500_000))

    return one(rule_id, draft)


def _whole_budget(subjects: tuple[str, str], purpose: str) -> Plant:
    """The budget of a unit that has used none of it, to the fen; that can be done once a year."""

    def plant(payments: Payments) -> list[Step]:
        unit = payments.quiet_budget(subjects[0], _A_YEAR)
        if unit is None:
            return []
        fen = unit_budgets(payments.today.year)[subjects[0]] * 100
        return [Step(payments.purchase(unit, subjects, purpose, fen))]

    return plant


def _rush(rule_id: str | None, low: int, high: int) -> Plant:
    """A project whose whole year is one payment in December."""

    def plant(payments: Payments) -> list[Step]:
        if payments.today.month != 12:
            return []
        unit = next(each for each in iter(payments.unit, None) if each.level == "city")
        draft = payments.purchase(unit, ("31007", "50306"), "信息化平台建设费", payments.chance.between(low, high))
        draft |= {
            "project": f"信息化平台{draft['voucher_no'][-6:]}",
            "procurement_id": f"YCZC-{draft['voucher_no'][2:]}",
        }
        return [Step(draft, () if rule_id is None else (rule_id,))]

    return plant


_RECEPTION, _UNION_FEE, _WELFARE = (RECEPTIONS, "50206"), (UNION_FEE, "50201"), (WELFARE, "50201")

KINDS = (
    Kind(
        "forbidden_subject",
        19,
        _under("SUBJECT-007", ("39999", "59999"), "其他零星支出"),
        _under(None, ("30299", "50299"), "其他零星支出"),
    ),
    Kind("no_allotment", 20, one("ALLOT-001", _no_allotment)),
    Kind("last_years_allotment", 20, one("ALLOT-001", _last_year_s_allotment)),
    Kind("over_the_allotment", 20, _over_the_allotment, _the_whole_allotment),
    Kind(
        "three_publics",
        21,
        _over_budget("BUDGET-001", _RECEPTION, "公务接待餐费"),
        _whole_budget(_RECEPTION, "公务接待餐费"),
    ),
    Kind(
        "union_fee",
        22,
        _over_budget("BUDGET-002", _UNION_FEE, "拨缴工会经费"),
        _whole_budget(_UNION_FEE, "拨缴工会经费"),
    ),
    Kind("welfare", 22, _over_budget("BUDGET-002", _WELFARE, "职工体检费"), _whole_budget(_WELFARE, "职工体检费")),
    Kind(
        "staff_from_goods_budget",
        25,
        _under("SUBJECT-008", ("30103", "50201"), "编外人员绩效"),
        _under(None, ("30103", "50101"), "编外人员绩效"),
    ),
    Kind(
        "year_end_rush",
        28,
        _rush("RUSH-001", SMALL_PROJECT, 90_000_000),
        _rush(None, SMALL_PROJECT - 1, SMALL_PROJECT - 1),
    ),
)
