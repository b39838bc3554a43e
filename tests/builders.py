"""The one builder of payment instructions for tests: valid as it stands, each test says only what matters to it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from treasury_watch.domain.payment import Instruction

SHANGHAI = timezone(timedelta(hours=8))


def make_instruction(**overrides: Any) -> Instruction:
    """An ordinary transfer of 1,234.50 yuan on a Wednesday morning in Wuhan; `overrides` replace fields.

    `event_time` may be given as RFC 3339 text.
    """
    fields: dict[str, Any] = {
        "instruction_id": "PI-0001",
        "event_time": datetime(2025, 3, 5, 10, 15, tzinfo=SHANGHAI),
        "jurisdiction": "420100",
        "budget_unit": "101001",
        "amount": "1234.50",
        "payment_mode": "authorised",
        "settlement": "transfer",
        "budget_unit_name": "市教育局",
        "payer_account": "42001000000000001111",
        "payee_name": "江汉办公用品有限公司",
        "payee_account": "42002000000000002222",
        "payee_kind": "organisation",
        "business_type": "normal",
        "purpose": "办公用品采购",
        "initiator": "张敏",
        "approver": "李强",
    } | overrides
    if isinstance(fields["event_time"], str):
        fields["event_time"] = datetime.fromisoformat(fields["event_time"])
    return Instruction(**fields)
