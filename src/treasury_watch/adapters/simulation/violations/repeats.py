"""The same payment again (row 13), one payee again and again (row 14), corrections of corrections (row 39)."""

from __future__ import annotations

from treasury_watch.adapters.simulation.payments import Payments
from treasury_watch.adapters.simulation.violations.plan import Kind, Plant, Step, pause


def _duplicate(rule_id: str, *, days: int, same_invoice: bool) -> Plant:
    """A purchase paid twice: for the same purpose with no invoice named, or on the same invoice in other words."""

    def plant(payments: Payments) -> list[Step]:
        first = payments.goods(payments.unit())
        if same_invoice:
            second = first | {"purpose": f"补付{first['purpose']}"}
        else:
            first |= {"invoice_no": None}
            second = first
        return [Step(first), Step(second | payments.voucher(), (rule_id,), pause(payments), days)]

    return plant


KINDS = (
    Kind("duplicate_24h", 13, _duplicate("DUP-001", days=0, same_invoice=False)),
    Kind("duplicate_30d", 13, _duplicate("DUP-002", days=4, same_invoice=False)),
    Kind("duplicate_invoice_24h", 13, _duplicate("DUP-003", days=0, same_invoice=True)),
    Kind("duplicate_invoice_30d", 13, _duplicate("DUP-004", days=4, same_invoice=True)),
)
