"""Dispositions as they come: what is one, and why something is none."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from treasury_watch.adapters.kafka.control.applied import Place
from treasury_watch.adapters.kafka.control.dispositions import MAX_BYTES, admitted, read_disposition
from treasury_watch.adapters.messages import DispositionMessage
from treasury_watch.domain.verdict import Refusal

FIELDS = {
    "schema_version": 1,
    "disposition_id": "D1",
    "instruction_id": "P1",
    "jurisdiction": "420100",
    "decision_id": "d",
    "disposition": "release",
    "decided_by": "王芳",
    "decided_at": "2025-03-06T09:00:00+08:00",
    "reason": "核实无误",
    "label": "false_alarm",
}


def value(**overrides: Any) -> bytes:
    return json.dumps(FIELDS | overrides, ensure_ascii=False).encode()


def refusal(found: DispositionMessage | Refusal) -> tuple[str, str]:
    assert isinstance(found, Refusal)
    return found.reason, found.detail


def test_a_disposition_of_the_contract_is_read() -> None:
    found = read_disposition(value())
    assert isinstance(found, DispositionMessage)
    assert (found.disposition, found.decided_by, found.label) == ("release", "王芳", "false_alarm")
    assert isinstance(read_disposition(value(label=None, new="field")), DispositionMessage)


@pytest.mark.parametrize("data", [None, b"", b"{", b"\xff", b"[" * 20_000])
def test_what_is_no_json_is_malformed(data: bytes | None) -> None:
    assert refusal(read_disposition(data))[0] == "malformed_json"


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        ({"disposition": "forget"}, "disposition"),
        ({"disposition_id": ""}, "disposition_id"),
        ({"disposition_id": "D" * 65}, "disposition_id"),
        ({"instruction_id": 5}, "instruction_id"),
        ({"decided_at": "2025-03-06T09:00:00"}, "decided_at"),
        ({"decided_at": "yesterday"}, "decided_at"),
        ({"label": "perhaps"}, "label"),
        ({"schema_version": 2}, "schema_version"),
    ],
)
def test_a_field_that_is_not_as_the_contract_says_is_named(overrides: dict[str, Any], where: str) -> None:
    reason, detail = refusal(read_disposition(value(**overrides)))
    assert reason == "schema"
    assert detail.startswith(f"{where}: ")


def test_the_limit_of_size_is_that_of_payments() -> None:
    room = MAX_BYTES - len(value(reason=""))
    assert isinstance(read_disposition(value(reason="x" * room)), DispositionMessage)
    assert refusal(read_disposition(value(reason="x" * (room + 1)))) == ("too_large", "65,537 bytes, at most 65,536")


@pytest.mark.parametrize(
    ("key", "partition_by", "partition", "detail"),
    [
        (b"420100", "jurisdiction", 1, None),
        (None, "jurisdiction", 1, "the message has no key, expected jurisdiction"),
        (b"420200", "jurisdiction", 1, "the key is not the jurisdiction of the disposition"),
        (b"101001", "budget_unit", 1, None),
        (b"420100", "jurisdiction", 2, "the key belongs to partition 1, found on 2"),
    ],
)
def test_a_disposition_under_a_key_of_another_partition_is_refused(
    key: bytes | None, partition_by: str, partition: int, detail: str | None
) -> None:
    record = SimpleNamespace(key=key, value=value())
    found = admitted(record, Place("treasury.dispositions", partition, 0, ""), lambda _: 1, partition_by)
    assert (None if isinstance(found.message, DispositionMessage) else found.message.detail) == detail


@pytest.mark.parametrize("decided_at", ["0001-01-01T00:00:00Z", "1899-12-31T23:59:59+08:00", "9999-12-31T23:59:59Z"])
def test_a_day_that_cases_cannot_have_is_refused_so_that_both_say_the_same(decided_at: str) -> None:
    """One that was applied before is on record, and can still be read to be applied again."""
    record = SimpleNamespace(key=b"420100", value=value(decided_at=decided_at))
    found = admitted(record, Place("treasury.dispositions", 1, 0, ""), lambda _: 1, "jurisdiction")
    assert refusal(found.message) == ("schema", "decided_at: expected a year from 1900 to 9998")
    assert isinstance(read_disposition(record.value), DispositionMessage)
