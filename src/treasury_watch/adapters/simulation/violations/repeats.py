"""The same payment again (row 13), one payee again and again (row 14), corrections and refunds (row 39)."""

from __future__ import annotations

from treasury_watch.adapters.simulation.payments import Draft, Payments, yuan
from treasury_watch.adapters.simulation.violations.plan import Kind, Plant, Step, in_parts, pause

OFTEN_IN_A_DAY, OFTEN_IN_A_WEEK = 5, 10
SMALL = 100_000  # fen; below it, the shipped pack neither compares nor counts


def _purchase(payments: Payments) -> Draft:
    """Something that its purpose tells apart from everything else that the unit buys."""
    draft = payments.purchase(
        payments.unit(), ("30218", "50204"), "购买教学实验材料", payments.chance.between(SMALL, 3_000_000)
    )
    return draft | {"purpose": f"{draft['purpose']}（验收单{draft['voucher_no'][-6:]}）"}


def _twice(*rule_ids: str, days: int = 0, **second: str | None) -> Plant:
    """A purchase that names no invoice, and again: equal but for the fields of `second`."""

    def plant(payments: Payments) -> list[Step]:
        first = _purchase(payments) | {"invoice_no": None}
        return [Step(first), Step(first | payments.voucher() | second, rule_ids, pause(payments), days)]

    return plant


def _invoice_twice(rule_id: str, *, days: int = 0) -> Plant:
    """The same invoice again, in other words."""

    def plant(payments: Payments) -> list[Step]:
        first = _purchase(payments)
        again = first | payments.voucher() | {"purpose": f"补付{first['purpose']}"}
        return [Step(first), Step(again, (rule_id,), pause(payments), days)]

    return plant


def _two_invoices(payments: Payments) -> list[Step]:
    """Two purchases that only their invoices tell apart."""
    first = _purchase(payments)
    again = first | payments.voucher() | {"invoice_no": first["invoice_no"][:-1] + "X"}
    return [Step(first), Step(again, (), pause(payments))]


def _one_fen_more(payments: Payments) -> list[Step]:
    first = _purchase(payments) | {"invoice_no": None}
    fen = int(first["amount"].replace(".", "")) + 1
    return [Step(first), Step(first | payments.voucher() | {"amount": yuan(fen)}, (), pause(payments))]


def _often(payments: Payments, count: int, floor: int) -> list[Draft]:
    """Purchases of different amounts from one company that nobody else pays."""
    unit, payee = payments.unit(), payments.stranger()
    drafts = []
    for number in range(count):
        fen = floor + (0 if number == count - 1 else payments.chance.below(60_000) + number)
        draft = payments.purchase(unit, ("30201", "50201"), "购买办公用品", fen)
        drafts.append(draft | payee)
    return drafts


def _often_in_a_day(payments: Payments) -> list[Step]:
    return in_parts(payments, _often(payments, OFTEN_IN_A_DAY, SMALL), "FREQ-001")


def _not_so_often_in_a_day(payments: Payments) -> list[Step]:
    """As often, but the last one is a fen below the floor."""
    *drafts, last = _often(payments, OFTEN_IN_A_DAY, SMALL)
    return in_parts(payments, [*drafts, last | {"amount": yuan(SMALL - 1)}])


def _often_in_a_week(payments: Payments) -> list[Step]:
    return _over_days(payments, OFTEN_IN_A_WEEK, "FREQ-002")


def _not_so_often_in_a_week(payments: Payments) -> list[Step]:
    return _over_days(payments, OFTEN_IN_A_WEEK - 1)


def _over_days(payments: Payments, count: int, *rule_ids: str) -> list[Step]:
    """Four payments a working day, the last of which must be hit."""
    steps = [
        Step(draft, (), 0 if not number or number % 4 == 0 else pause(payments), int(number > 0 and number % 4 == 0))
        for number, draft in enumerate(_often(payments, count, SMALL))
    ]
    return [*steps[:-1], steps[-1]._replace(rule_ids=rule_ids)]


def _corrected(rule_id: str | None, times: int) -> Plant:
    """A purchase, and parts of it that come back."""

    def plant(payments: Payments) -> list[Step]:
        first = _purchase(payments)
        steps = [Step(first)]
        for number in range(times):
            back = first | payments.voucher() | {"amount": yuan(-(5_000 + number)), "business_type": "correction"}
            back["purpose"] = f"退回{first['purpose']}余款"
            steps.append(Step(back, (), pause(payments), corrects=0))
        if rule_id is None:
            return steps
        return [*steps[:-1], steps[-1]._replace(rule_ids=(rule_id,))]

    return plant


def _from_another_account(payments: Payments) -> list[Step]:
    """A refund from an account that was never paid."""
    first, refund = _corrected("CORR-002", 1)(payments)
    return [first, refund._replace(draft=refund.draft | payments.stranger())]


def _to_another_account(payments: Payments) -> list[Step]:
    """A payment is taken back and made again under its correction, to somebody else."""
    first, back = _corrected(None, 1)(payments)
    again = (
        back.draft | payments.voucher() | payments.stranger() | {"amount": first.draft["amount"], "invoice_no": None}
    )
    again["purpose"] = f"{first.draft['purpose']}（更正）"
    return [first, back, Step(again, ("CORR-003",), pause(payments), corrects=0)]


def _made_again(payments: Payments) -> list[Step]:
    """The same, to the account that was paid before."""
    first, back = _corrected(None, 1)(payments)
    again = back.draft | payments.voucher() | {"amount": first.draft["amount"], "invoice_no": None}
    again["purpose"] = f"{first.draft['purpose']}（更正）"
    return [first, back, Step(again, (), pause(payments), corrects=0)]


KINDS = (
    Kind("duplicate_24h", 13, _twice("DUP-001"), _one_fen_more),
    Kind("duplicate_30d", 13, _twice("DUP-002", days=4), _twice(days=4, purpose="购买教学实验材料（另一验收单）")),
    Kind("duplicate_invoice_24h", 13, _invoice_twice("DUP-003"), _two_invoices),
    Kind("duplicate_invoice_30d", 13, _invoice_twice("DUP-004", days=4)),
    Kind("often_in_a_day", 14, _often_in_a_day, _not_so_often_in_a_day),
    Kind("often_in_a_week", 14, _often_in_a_week, _not_so_often_in_a_week, within="week"),
    Kind("corrected_twice", 39, _corrected("CORR-001", 2), _corrected(None, 1)),
    Kind("refund_from_another_account", 39, _from_another_account),
    Kind("corrected_to_another_account", 39, _to_another_account, _made_again),
)
