"""Who is paid: units and fiscal accounts (rows 6-8), people (row 9), unions and associations (rows 10, 11), shops
(row 16), debarred parties (row 35), payees and accounts that nobody knows (rows 36, 37).
"""

from __future__ import annotations

from treasury_watch.adapters.simulation.city import DEBARRED, DEPARTMENTS, seat_in_the_city
from treasury_watch.adapters.simulation.items import TO_A_UNIT
from treasury_watch.adapters.simulation.names import account_number
from treasury_watch.adapters.simulation.payments import Draft, Payments
from treasury_watch.adapters.simulation.violations.plan import Kind, Plant, Step, one

TO_A_PERSON = 1_000_000  # fen
LARGE_FOR_A_NEW_PAYEE = 20_000_000
ROUND, ROUND_FLOOR = 10_000, 100_000

_SUNDRIES, _SALARIES, _UNION_FUNDS = ("30299", "50299"), ("30101", "50101"), ("30228", "50201")


# --- units and fiscal accounts ---


def _own_account(rule_id: str | None, subjects: tuple[str, str], purpose: str) -> Plant:
    """Money from a unit's zero-balance account to its basic account."""

    def draft(payments: Payments) -> Draft:
        unit = payments.unit()
        draft = payments.purchase(unit, subjects, purpose, payments.chance.between(100_000, 5_000_000))
        return draft | payments.to_unit(unit) | {"invoice_no": None}

    return one(rule_id, draft)


def _to_a_bureau(rule_id: str | None, department: int) -> Plant:
    """Money of one of the city's institutions to the bureau of its department, or of so many departments on."""

    def draft(payments: Payments) -> Draft:
        seat = payments.chance.below(len(DEPARTMENTS))
        bureau = seat_in_the_city((seat + department) % len(DEPARTMENTS))
        institution = seat_in_the_city(len(DEPARTMENTS) + seat)
        draft = payments.draft(institution, TO_A_UNIT, payments.chance.between(100_000, 5_000_000))
        return draft | payments.to_unit(bureau)

    return one(rule_id, draft)


def _to(rule_id: str | None, payee: Draft, subjects: tuple[str, str], purpose: str, **fields: str) -> Plant:
    """Money to a certain payee, by any unit."""

    def draft(payments: Payments) -> Draft:
        fen = payments.chance.between(100_000, 5_000_000)
        return payments.purchase(payments.unit(), subjects, purpose, fen) | payee | {"invoice_no": None} | fields

    return one(rule_id, draft)


def _payee(name: str, number: int, kind: str = "organisation") -> Draft:
    return {"payee_name": name, "payee_account": account_number("9944", number), "payee_kind": kind}


_FISCAL, _BUREAU = _payee("云川市非税收入专户", 1, "fiscal"), _payee("云川市财政局收入待缴户", 2)
_FINANCE_SCHOOL = _payee("云川市财政学校", 3)
_UNION, _ASSOCIATION, _CONGRESS = (
    _payee("云川市教育工会委员会", 4),
    _payee("云川市会计学会", 5),
    _payee("云川市大学会堂", 6),
)


# --- people, shops ---


def _personal_account(payments: Payments) -> Draft:
    return payments.labour(payments.unit(), TO_A_PERSON + payments.chance.below(4_000_000))


def _one_fen_less_to_a_person(payments: Payments) -> Draft:
    return payments.labour(payments.unit(), TO_A_PERSON - 1)


def _at_a_shop(rule_id: str | None, fen_more: int) -> Plant:
    """Whole hundreds at a supermarket, or not quite."""

    def draft(payments: Payments) -> Draft:
        fen = ROUND_FLOOR + payments.chance.between(1, 90) * ROUND + fen_more
        draft = payments.purchase(payments.unit(), _SUNDRIES, "购买慰问物资", fen)
        return draft | {"payee_name": f"{draft['payee_name'][:4]}百货超市有限公司"}

    return one(rule_id, draft)


# --- debarred, new and changed ---


def _debarred_account(payments: Payments) -> Draft:
    """The account of a debarred party, under another name."""
    return payments.oddity(payments.unit()) | {"payee_account": payments.chance.pick(DEBARRED).account}


def _debarred_name(payments: Payments) -> Draft:
    """The name of a debarred party, on an account that is not listed."""
    return payments.oddity(payments.unit()) | {"payee_name": payments.chance.pick(DEBARRED).name}


def _longer_name(payments: Payments) -> Draft:
    return payments.oddity(payments.unit()) | {"payee_name": f"{payments.chance.pick(DEBARRED).name}第一分公司"}


def _new_payee(rule_id: str | None, low: int, high: int) -> Plant:
    def draft(payments: Payments) -> Draft:
        return payments.purchase(
            payments.unit(), ("30227", "50205"), "规划编制服务费", payments.chance.between(low, high)
        )

    return one(rule_id, draft)


def _paid_again(rule_id: str | None, **fields: str) -> Plant:
    """A company is paid, and again the next working day: on another account, or as before."""

    def plant(payments: Payments) -> list[Step]:
        unit = payments.unit()
        first = payments.purchase(
            unit, ("30227", "50205"), "信息系统运维服务费", payments.chance.between(100_000, 900_000)
        )
        other = account_number("9966", int(first["payee_account"][4:]))
        second = payments.purchase(
            unit, ("30227", "50205"), "信息系统升级服务费", payments.chance.between(100_000, 900_000)
        )
        second |= {name: first[name] for name in ("payee_name", "payee_account", "payee_bank", "payee_bank_code")}
        if rule_id is None:
            return [Step(first), Step(second, (), days=1)]
        return [Step(first), Step(second | {"payee_account": other}, (rule_id,), days=1)]

    return plant


KINDS = (
    Kind(
        "own_account",
        6,
        _own_account("TRANSFER-001", _SUNDRIES, "划转往来款"),
        _own_account(None, _SALARIES, "划转工资"),
    ),
    Kind(
        "same_department",
        7,
        _to_a_bureau("TRANSFER-002", 0),
        _to_a_bureau(None, 1),
    ),
    Kind(
        "fiscal_account",
        8,
        _to("TRANSFER-003", _FISCAL, _SUNDRIES, "上缴结余资金"),
        _to(None, _FINANCE_SCHOOL, _SUNDRIES, "支付培训协作费"),
    ),
    Kind("finance_bureau", 8, _to("TRANSFER-003", _BUREAU, _SUNDRIES, "上缴结余资金")),
    Kind(
        "personal_account",
        9,
        one("PERSON-001", _personal_account),
        one(None, _one_fen_less_to_a_person),
    ),
    Kind(
        "union_account",
        10,
        _to("PAYEE-001", _UNION, _SUNDRIES, "职工活动经费"),
        _to(None, _UNION, _UNION_FUNDS, "拨缴工会经费"),
    ),
    Kind(
        "association",
        11,
        _to("TRANSFER-004", _ASSOCIATION, _SUNDRIES, "支付会费"),
        _to(None, _CONGRESS, _SUNDRIES, "支付场地费"),
    ),
    Kind("round_sum_at_a_shop", 16, _at_a_shop("SHOP-001", 0), _at_a_shop(None, 1)),
    Kind("debarred_account", 35, one("DEBAR-001", _debarred_account)),
    Kind("debarred_name", 35, one("DEBAR-002", _debarred_name), one(None, _longer_name)),
    Kind(
        "new_payee",
        36,
        _new_payee("PAYEE-002", LARGE_FOR_A_NEW_PAYEE, 49_000_000),
        _new_payee(None, LARGE_FOR_A_NEW_PAYEE - 1, LARGE_FOR_A_NEW_PAYEE - 1),
    ),
    Kind("changed_account", 37, _paid_again("PAYEE-003"), _paid_again(None)),
)
