"""What is refused before the engine sees it, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.adapters.kafka.records import NOON_MS, FakeRecord
from tests.builders import make_instruction
from treasury_watch.adapters.kafka.admission import Admission
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Refusal


def check(
    instruction: Instruction | Refusal, *, partition_by: str = "jurisdiction", home: int = 0, **record: Any
) -> Instruction | Refusal:
    """Of one message on partition 0; all keys belong to partition `home`."""
    admission = Admission(partition_by, lambda key: home, 0)
    (result,) = admission.check([FakeRecord(**record)], [instruction])
    return result


def test_a_message_keyed_and_partitioned_as_agreed_is_admitted() -> None:
    instruction = make_instruction(jurisdiction="420100")
    assert check(instruction, key=b"420100") is instruction


def test_a_refusal_stays_what_it_is() -> None:
    refusal = Refusal("schema", "amount: …")
    assert check(refusal, key=None) is refusal


@pytest.mark.parametrize(
    ("key", "detail"),
    [
        (b"420200", "the key is not the jurisdiction of the instruction"),
        (b"420100 ", "the key is not the jurisdiction of the instruction"),
        (b"\xff\xfe", "the key is not the jurisdiction of the instruction"),
        (b"", "the key is not the jurisdiction of the instruction"),
        (None, "the message has no key, expected jurisdiction"),
    ],
)
def test_another_key_is_refused(key: bytes | None, detail: str) -> None:
    assert check(make_instruction(jurisdiction="420100"), key=key) == Refusal("wrong_key", detail)


def test_the_right_key_on_another_partition_is_refused() -> None:
    assert check(make_instruction(), home=3) == Refusal("wrong_key", "the key belongs to partition 3, found on 0")


def test_a_key_seen_before_is_still_compared() -> None:
    admission = Admission("jurisdiction", lambda key: 0, 0)
    records = [FakeRecord(key=b"420100"), FakeRecord(key=b"420100"), FakeRecord(key=b"420100")]
    decoded = [make_instruction(jurisdiction=each) for each in ("420100", "420200", "420100")]
    first, second, third = admission.check(records, decoded)
    assert (first, third) == (decoded[0], decoded[2])
    assert isinstance(second, Refusal)


@pytest.mark.parametrize(
    ("field", "overrides", "key"),
    [
        ("budget_unit", {"budget_unit": "市教育局"}, "市教育局".encode()),
        ("fiscal_year", {"fiscal_year": 2025}, b"2025"),
        ("attributes.county", {"attributes": {"county": "洪山"}}, "洪山".encode()),
        ("attributes.urgent", {"attributes": {"urgent": True}}, b"true"),
    ],
)
def test_any_field_may_be_the_partition_key(field: str, overrides: dict[str, Any], key: bytes) -> None:
    instruction = make_instruction(**overrides)
    assert check(instruction, partition_by=field, key=key) is instruction
    assert isinstance(check(instruction, partition_by=field, key=b"other"), Refusal)


@pytest.mark.parametrize("key", [None, b"", b"None"])
@pytest.mark.parametrize("field", ["department", "attributes.county"])
def test_a_missing_partition_key_is_refused(field: str, key: bytes | None) -> None:
    expected = Refusal("wrong_key", f"{field} is missing, and it is the partition key")
    assert check(make_instruction(department=None), partition_by=field, key=key) == expected


def test_five_minutes_ahead_of_the_message_is_admitted_and_a_microsecond_more_is_not() -> None:
    in_time = make_instruction(event_time="2025-03-05T12:05:00+08:00")
    assert check(in_time, timestamp=NOON_MS) is in_time
    ahead = check(make_instruction(event_time="2025-03-05T12:05:00.000001+08:00"), timestamp=NOON_MS)
    assert ahead == Refusal(
        "future_event_time",
        "event_time 2025-03-05T12:05:00.000001+08:00 is more than 5 minutes ahead of the message's timestamp "
        "2025-03-05T04:00:00.000+00:00",
    )


@pytest.mark.parametrize("timestamp", [-1, 10**17])
def test_a_message_whose_timestamp_says_nothing_is_admitted(timestamp: int) -> None:
    instruction = make_instruction(event_time="9999-12-31T00:00:00+00:00")
    assert check(instruction, timestamp=timestamp) is instruction


def test_each_message_is_compared_with_its_own_timestamp() -> None:
    instruction = make_instruction(event_time="2025-03-05T12:06:00+08:00")
    admission = Admission("jurisdiction", lambda key: 0, 0)
    stamps = [NOON_MS + 60_000, NOON_MS, NOON_MS + 60_000]
    results = admission.check([FakeRecord(timestamp=each) for each in stamps], [instruction] * 3)
    assert [isinstance(each, Refusal) for each in results] == [False, True, False]
