"""Records as workers publish them, made of builders and not of brokers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tests.builders import make_instruction
from treasury_watch.adapters.wire import encode_case, encode_decision, stamp
from treasury_watch.domain.verdict import Decision, Hit, Text

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Made:
    """A record of Kafka."""

    topic: str
    offset: int
    value: bytes | None
    partition: int = 0
    timestamp: int = int(START.timestamp() * 1000)
    key: bytes | None = b"420100"
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def hit(rule: str = "CASH-001", action: Any = "intercept", **overrides: Any) -> Hit:
    reason = Text(f"{rule}的原因", f"the reason of {rule}")
    given = {"revision": 1, "mode": "live", "level": "red", "risk_point": None, "evidence": {}, **overrides}
    return Hit(rule=rule, action=action, reason=reason, **given)


def case(
    offset: int,
    *,
    topic: str = "treasury.intercepts",
    partition: int = 0,
    verdict: Any = "intercept",
    hits: tuple[Hit, ...] | None = None,
    decided: datetime | None = None,
    decision_id: str | None = None,
    **instruction: Any,
) -> Made:
    """A case, or with the topic of decisions a decision, of one instruction `I-offset` unless it is named."""
    given = {"instruction_id": f"I-{partition}-{offset}", "event_time": START + timedelta(seconds=offset)}
    judged = make_instruction(**{**given, **instruction})
    decision = Decision(
        schema_version=1,
        decision_id=decision_id or f"D-{judged.instruction_id}",
        instruction_id=judged.instruction_id,
        jurisdiction=judged.jurisdiction,
        budget_unit=judged.budget_unit,
        amount=judged.amount,
        currency=judged.currency or "CNY",
        event_time=judged.event_time,
        verdict=verdict,
        evidence_required=False,
        late=False,
        hits=(hit(),) if hits is None else hits,
        anomaly=msgspec.UNSET,
        ruleset="sha256:" + "0" * 64,
        reference="sha256:" + "0" * 64,
        engine="1.0.0",
    )
    encoded = encode_decision(decision) if topic.endswith("decisions") else encode_case(decision, judged)
    moment = (decided or judged.event_time).isoformat()
    return Made(topic, offset, stamp(encoded, moment), partition)


def decision(offset: int, **given: Any) -> Made:
    return case(offset, **{"topic": "treasury.decisions", "verdict": "pass", "hits": (), **given})


def warning(offset: int, **given: Any) -> Made:
    fired = (hit("AMT-001", "warn", level="yellow"),)
    return case(offset, **{"topic": "treasury.warnings", "verdict": "warn", "hits": fired, **given})


def dead_letter(offset: int, value: bytes | None = b"{", partition: int = 0, **headers: str) -> Made:
    given = {
        "reason": "malformed_json",
        "detail": "column 2",
        "source_topic": "treasury.payments",
        "source_partition": str(partition),
        "source_offset": str(offset),
        "failed_at": START.isoformat(),
        **headers,
    }
    encoded = [(name, text.encode()) for name, text in given.items()]
    return Made("treasury.dead-letters", offset, value, partition, headers=encoded)


def disposition(offset: int, instruction_id: str, answer: str = "release", **given: Any) -> Made:
    message = {
        "schema_version": 1,
        "disposition_id": f"P-{offset}",
        "instruction_id": instruction_id,
        "jurisdiction": "420100",
        "decision_id": f"D-{instruction_id}",
        "disposition": answer,
        "decided_by": "王敏",
        "decided_at": (START + timedelta(hours=5)).isoformat(),
        "reason": "资料齐全",
        "label": None,
        **given,
    }
    return Made("treasury.dispositions", offset, msgspec.json.encode(message))
