"""What has a standard, a list or a procedure of its own: meetings (rows 23, 24), project money (row 26), prepayments
(row 27), earmarked money (row 30), allowances (row 31), procurement (row 33).
"""

from __future__ import annotations

from treasury_watch.adapters.simulation.city import GARAGES, KEEPS_VENDOR_LISTS, MEETING_STANDARD, VENUES, Party, person
from treasury_watch.adapters.simulation.items import SALARY
from treasury_watch.adapters.simulation.payments import Draft, Payments
from treasury_watch.adapters.simulation.violations.plan import Kind, Plant, Step, one

PROCUREMENT_LIMIT = 50_000_000  # fen, of office equipment
DECEMBER_PREPAYMENT = 1_000_000

_MEETING, _VEHICLES, _EQUIPMENT = ("30215", "50202"), ("30231", "50208"), ("31002", "50306")
_SUNDRIES, _SERVICES = ("30299", "50299"), ("30227", "50205")


def _meeting(rule_id: str | None, fen_more: int) -> Plant:
    """A meeting at the standard to the fen, and so much more."""

    def draft(payments: Payments) -> Draft:
        attendees, days = payments.chance.between(20, 60), payments.chance.between(1, 3)
        fen = MEETING_STANDARD * 100 * attendees * days
        draft = payments.purchase(payments.unit(), _MEETING, "业务工作会议会务费", fen + fen_more)
        draft |= payments.party(payments.chance.pick(VENUES))
        return draft | {"attributes": {"meeting_class": "三类", "attendees": attendees, "days": days}}

    return one(rule_id, draft)


def _vendor(rule_id: str | None, subjects: tuple[str, str], purpose: str, vendors: tuple[Party, ...]) -> Plant:
    """A meeting or repair of a unit that has a list, at one of those vendors or at a stranger's."""

    def draft(payments: Payments) -> Draft:
        unit = next(unit for unit in iter(payments.unit, None) if unit.payer["jurisdiction"] == KEEPS_VENDOR_LISTS.code)
        fen = payments.chance.between(50_000, 800_000)
        draft = payments.purchase(unit, subjects, purpose, fen)
        if vendors:
            draft |= payments.party(payments.chance.pick(vendors))
        return draft | (payments.meeting(fen) if subjects is _MEETING else {})

    return one(rule_id, draft)


def _project(rule_id: str | None, purpose: str, payee_name: str | None = None) -> Plant:
    """Project money that pays for something."""

    def draft(payments: Payments) -> Draft:
        fen = payments.chance.between(50_000, 900_000)
        draft = payments.purchase(payments.unit(), _SERVICES, purpose, fen) | {"project": "数字档案馆建设项目"}
        return draft if payee_name is None else draft | {"payee_name": draft["payee_name"][:4] + payee_name}

    return one(rule_id, draft)


def _prepayment(rule_id: str | None, months: tuple[int, ...], purpose: str, low: int, high: int) -> Plant:
    def plant(payments: Payments) -> list[Step]:
        if payments.today.month not in months:
            return []
        draft = payments.purchase(payments.unit(), _VEHICLES, purpose, payments.chance.between(low, high))
        return [Step(draft, () if rule_id is None else (rule_id,))]

    return plant


def _direct_money(rule_id: str | None, *, to_a_unit: bool) -> Plant:
    """Money that must reach its beneficiary, paid to a unit or to a company."""

    def draft(payments: Payments) -> Draft:
        fen = payments.chance.between(500_000, 9_000_000)
        draft = payments.purchase(payments.unit(), ("31204", "50799"), "企业稳岗补助", fen)
        draft |= {"fund_type": "中央直达资金", "project": "稳岗补助"}
        return draft | payments.to_unit(payments.unit()) if to_a_unit else draft

    return one(rule_id, draft)


def _with_the_salary(rule_id: str | None, purpose: str) -> Plant:
    """One line that is paid with the salaries."""

    def draft(payments: Payments) -> Draft:
        unit = payments.unit()
        draft = payments.draft(unit, SALARY, payments.chance.between(50_000, 400_000))
        draft |= payments.to_person(person(unit.number, payments.chance.below(unit.staff)))
        return draft | {"purpose": purpose, "business_type": "salary", "payment_mode": "direct"}

    return one(rule_id, draft)


def _equipment(rule_id: str | None, low: int, high: int) -> Plant:
    """Office equipment without a procurement id."""

    def plant(payments: Payments) -> list[Step]:
        draft = payments.purchase(payments.unit(), _EQUIPMENT, "购置台式计算机", payments.chance.between(low, high))
        return [Step(draft, () if rule_id is None else (rule_id,))]

    return plant


KINDS = (
    Kind("meeting_over_standard", 23, _meeting("MEETING-001", 1), _meeting(None, 0)),
    Kind(
        "meeting_elsewhere_than_designated",
        24,
        _vendor("VENDOR-001", _MEETING, "业务工作会议会务费", ()),
        _vendor(None, _MEETING, "业务工作会议会务费", VENUES),
    ),
    Kind(
        "repair_elsewhere_than_designated",
        24,
        _vendor("VENDOR-002", _VEHICLES, "公务用车维修费", ()),
        _vendor(None, _VEHICLES, "公务用车维修费", GARAGES),
    ),
    Kind(
        "project_pays_bonuses",
        26,
        _project("PROJECT-001", "项目组人员奖金"),
        _project(None, "档案整理竞赛奖金"),
    ),
    Kind(
        "project_pays_a_hotel",
        26,
        _project("PROJECT-001", "项目评审服务费", "大酒店有限公司"),
        _project(None, "项目评审服务费", "酒店用品有限公司"),
    ),
    Kind(
        "prepayment_in_autumn",
        27,
        _prepayment("PREPAY-001", (10, 11), "预存公务用车燃油费", 50_000, 900_000),
        _prepayment(None, (10, 11), "公务用车燃油费", 50_000, 900_000),
    ),
    Kind(
        "prepayment_in_december",
        27,
        _prepayment("PREPAY-001", (12,), "预存公务用车燃油费", DECEMBER_PREPAYMENT, 3 * DECEMBER_PREPAYMENT),
        _prepayment(None, (12,), "预存公务用车燃油费", DECEMBER_PREPAYMENT - 1, DECEMBER_PREPAYMENT - 1),
    ),
    Kind(
        "direct_money_to_a_unit",
        30,
        _direct_money("EARMARK-001", to_a_unit=True),
        _direct_money(None, to_a_unit=False),
    ),
    Kind(
        "unapproved_allowance",
        31,
        _with_the_salary("ALLOW-001", "通讯补贴"),
        _with_the_salary(None, "公务交通补贴"),
    ),
    Kind(
        "procurement_bypassed",
        33,
        _equipment("PROC-001", PROCUREMENT_LIMIT, 2 * PROCUREMENT_LIMIT),
        _equipment(None, PROCUREMENT_LIMIT - 1, PROCUREMENT_LIMIT - 1),
    ),
)
