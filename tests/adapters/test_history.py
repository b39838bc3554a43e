"""History that is fed: what is written, how it is found again, and how far back it makes everything known."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.builders import SHANGHAI, make_instruction
from treasury_watch.adapters.history import Feed, HistoryError, Manifest, feed, feeds_of, merged, reaching_back
from treasury_watch.adapters.jsonl import Line
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.settings import Settings, load_settings
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.calendar import Days
from treasury_watch.domain.payment import Instruction, microseconds

DAYS = Days("Asia/Shanghai")
NOON = datetime(2025, 3, 5, 12, tzinfo=SHANGHAI)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data", partitions=4)


def pay(number: int, at: datetime = NOON, **fields: Any) -> Instruction:
    return make_instruction(**{"instruction_id": f"I{number}", "event_time": at} | fields)


def lines(*values: Instruction | bytes) -> list[Line]:
    return [
        Line(number, value if isinstance(value, bytes) else encode_instruction(value))
        for number, value in enumerate(values, 1)
    ]


def fed(settings: Settings, given: Iterable[Line], **rest: Any) -> Feed:
    found, refused = feed(given, settings, "jurisdiction", DAYS, **rest)
    assert found is not None
    assert not refused
    return found


def test_payments_come_back_by_partition_and_in_order_of_event_time(settings: Settings) -> None:
    given = [
        pay(
            number,
            NOON + timedelta(hours=number % 7, minutes=number),
            jurisdiction=f"4201{number % 20:02}",
            purpose="培训",
        )
        for number in range(100)
    ]
    random.Random(1).shuffle(given)
    found = fed(settings, lines(*given))
    assert found.manifest.payments == 100
    partition_of, back = partitioner_of("murmur2", 4), []
    for part in found.manifest.parts:
        instructions = list(found.instructions(part.partition))
        back += instructions
        assert len(instructions) == part.payments
        assert {partition_of(each.jurisdiction.encode()) for each in instructions} == {part.partition}
        assert instructions == sorted(instructions, key=lambda each: each.event_time)
        assert (instructions[0].event_time, instructions[-1].event_time) == (part.first, part.last)
    assert sorted(back, key=lambda each: each.instruction_id) == sorted(given, key=lambda each: each.instruction_id)
    assert feeds_of(settings, "jurisdiction") == [found]


def test_the_same_payments_in_another_order_and_twice_are_the_same_feed(settings: Settings) -> None:
    given = [pay(number, NOON + timedelta(hours=number)) for number in range(10)]
    first = fed(settings, lines(*given))
    before = sorted(path.stat().st_mtime_ns for path in first.path.iterdir())
    assert fed(settings, lines(*given[::-1], *given)) == first
    assert sorted(path.stat().st_mtime_ns for path in first.path.iterdir()) == before
    assert [path.name for path in first.path.parent.iterdir()] == [first.path.name]


def test_other_payments_of_the_same_days_are_another_feed(settings: Settings) -> None:
    one, other = fed(settings, lines(pay(1))), fed(settings, lines(pay(2)))
    assert one.path.name.startswith("2025-03-05_2025-03-05-")
    assert other.path.name.startswith("2025-03-05_2025-03-05-")
    assert feeds_of(settings, "jurisdiction") == sorted([one, other], key=lambda each: each.path)
    (partition,) = (part.partition for part in one.manifest.parts)
    assert [each.instruction_id for each in merged([one, other], partition)] == ["I1", "I2"]


def test_two_payments_of_one_moment_are_two_and_one_id_under_two_keys_too(settings: Settings) -> None:
    assert fed(settings, lines(pay(1), pay(2), pay(1, jurisdiction="420200"), pay(1))).manifest.payments == 3


def test_the_days_are_those_of_the_first_and_the_last_payment_unless_they_are_said(settings: Settings) -> None:
    given = lines(pay(1, NOON), pay(2, NOON + timedelta(days=2)))
    manifest = fed(settings, given).manifest
    assert (manifest.start.isoformat(), manifest.end.isoformat()) == (
        "2025-03-05T00:00:00+08:00",
        "2025-03-08T00:00:00+08:00",
    )
    manifest = fed(settings, given, first=date(2025, 1, 1), last=date(2025, 3, 31)).manifest
    assert (manifest.start.isoformat(), manifest.end.isoformat()) == (
        "2025-01-01T00:00:00+08:00",
        "2025-04-01T00:00:00+08:00",
    )
    with pytest.raises(ValueError, match="the last day is before the first"):
        fed(settings, given, first=date(2025, 3, 31), last=date(2025, 3, 30))


def test_bad_lines_are_counted_and_named_and_nothing_is_fed(settings: Settings) -> None:
    named: list[tuple[int, str]] = []
    found, refused = feed(
        lines(pay(1), b"{", b"{}", pay(2)), settings, "jurisdiction", DAYS,
        refused=lambda line, refusal: named.append((line, refusal.reason)),
    )  # fmt: skip
    assert (found, dict(refused)) == (None, {"malformed_json": 1, "schema": 1})
    assert named == [(2, "malformed_json"), (3, "schema")]
    assert feeds_of(settings, "jurisdiction") == []
    assert list((settings.data_dir / "history" / "treasury.payments").iterdir()) == []


def test_a_payment_without_the_partition_key_is_a_bad_line(settings: Settings) -> None:
    found, refused = feed(lines(pay(1, department=None)), settings, "department", DAYS)
    assert (found, dict(refused)) == (None, {"wrong_key": 1})


def test_no_payments_are_no_feed(settings: Settings) -> None:
    assert feed([], settings, "jurisdiction", DAYS) == (None, {})
    assert feeds_of(settings, "jurisdiction") == []


def test_history_of_another_topic_is_none(settings: Settings) -> None:
    fed(settings, lines(pay(1)))
    assert feeds_of(settings.model_copy(update={"topic_prefix": "other."}), "jurisdiction") == []


def test_history_for_other_partitions_is_an_error_that_says_what_to_do(settings: Settings) -> None:
    fed(settings, lines(pay(1)))
    with pytest.raises(HistoryError, match=r"made for 4 partitions by jurisdiction \(murmur2\), expected 8 .*feed the"):
        feeds_of(settings.model_copy(update={"partitions": 8}), "jurisdiction")
    with pytest.raises(HistoryError, match=r"expected 4 by budget_unit \(murmur2\)"):
        feeds_of(settings, "budget_unit")


def test_a_damaged_file_and_a_changed_manifest_are_errors(settings: Settings) -> None:
    found = fed(settings, lines(pay(1)))
    (part,) = found.manifest.parts
    file = found.path / f"partition-{part.partition}.jsonl.gz"
    whole = file.read_bytes()
    file.write_bytes(gzip.compress(encode_instruction(pay(2)) + b"\n"))
    with pytest.raises(HistoryError, match="is not what was fed; remove the directory"):
        list(found.instructions(part.partition))
    for damaged in (whole[:-9], b"", b"no gzip", gzip.compress(b"{}\n")):
        file.write_bytes(damaged)
        with pytest.raises(HistoryError, match=r"remove the directory and feed the history again$"):
            list(found.instructions(part.partition))
    manifest = found.path / "manifest.json"
    text = manifest.read_bytes()
    for changed in (text.replace(b"2025-03-05", b"2024-03-05"), b"{}", b"\xff"):
        manifest.write_bytes(changed)
        with pytest.raises(HistoryError, match=r"manifest|no history"):
            feeds_of(settings, "jurisdiction")
    manifest.unlink()
    with pytest.raises(HistoryError, match="no history"):
        feeds_of(settings, "jurisdiction")


# --- how far back ---


def of_days(first: int, last: int) -> Feed:
    """A feed of days of March, the last one inclusive."""
    start, end = datetime(2025, 3, first, tzinfo=SHANGHAI), datetime(2025, 3, last, tzinfo=SHANGHAI) + timedelta(days=1)
    return Feed(Path(), Manifest(1, "", "", 4, "murmur2", start, end, ()))


@pytest.mark.parametrize(
    ("feeds", "begin", "known_from"),
    [
        ([], 20, 20),
        ([of_days(10, 19)], 20, 10),
        ([of_days(10, 18)], 20, 20),
        ([of_days(10, 25)], 20, 10),
        ([of_days(20, 25)], 20, 20),
        ([of_days(1, 9), of_days(10, 19)], 20, 1),
        ([of_days(10, 19), of_days(1, 9)], 20, 1),
        ([of_days(1, 8), of_days(10, 19)], 20, 10),
        ([of_days(5, 19), of_days(10, 19), of_days(1, 6)], 20, 1),
    ],
    ids=["none", "up to it", "a day short", "over it", "after it", "two", "in any order", "a gap", "overlapping"],
)  # fmt: skip
def test_feeds_reach_back_as_far_as_there_is_no_gap(feeds: list[Feed], begin: int, known_from: int) -> None:
    at, expected = (microseconds(datetime(2025, 3, day, tzinfo=SHANGHAI)) for day in (begin, known_from))
    assert reaching_back(feeds, at) == expected
