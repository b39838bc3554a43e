"""What texts say, or fail to say (row 17)."""

from __future__ import annotations

from treasury_watch.adapters.simulation.violations.plan import Kind, Plant, one


def _changed(rule_id: str | None, **fields: str | None) -> Plant:
    """An ordinary purchase with some fields replaced."""
    return one(rule_id, lambda payments: payments.goods(payments.unit()) | fields)


KINDS = (
    Kind("no_purpose", 17, _changed("DATA-001", purpose=None)),
    Kind("no_payee_name", 17, _changed("DATA-002", payee_name=None)),
    Kind("no_payee_account", 17, _changed("DATA-003", payee_account=None)),
    Kind("purpose_without_chinese", 17, _changed("TEXT-001", purpose="20260302"), _changed(None, purpose="20260302款")),
    Kind("payee_name_without_chinese", 17, _changed("TEXT-002", payee_name="A-1024")),
    Kind("garbled_purpose", 17, _changed("TEXT-003", purpose="购买办公???品"), _changed(None, purpose="购买办公?品")),
    Kind("garbled_payee_name", 17, _changed("TEXT-004", payee_name="云川恒达*有限公司")),
)
