"""Ids: known as long as their instruction can come again, and not much longer."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import pytest

from tests.builders import make_instruction
from treasury_watch.engine.ids import GENERATIONS, Ids, fingerprint_in, fingerprint_of, seen_of, us_in

CONTENT = bytes(range(16))


@pytest.mark.parametrize("us", [0, -1, 253_402_300_799_999_999, -62_135_596_800_000_000])
def test_what_is_kept_of_an_id_is_the_fingerprint_of_its_content_and_its_time(us: int) -> None:
    seen = seen_of(CONTENT, us)
    assert (fingerprint_in(seen), us_in(seen), len(seen)) == (CONTENT, us, 24)


def remembered(ids: Ids, keep_us: int, until: int) -> None:
    """One id for each microsecond, named by it, forgotten as time goes on."""
    for us in range(until + 1):
        ids.newest[str(us)] = seen_of(CONTENT, us)
        ids.forget(us, keep_us)


@pytest.mark.parametrize("keep_us", [0, 1, 3, 4, 100])
def test_an_id_is_known_while_it_is_not_older_than_what_is_kept(keep_us: int) -> None:
    ids = Ids()
    for us in range(3 * keep_us + 10):
        ids.newest[str(us)] = seen_of(CONTENT, us)
        ids.forget(us, keep_us)
        assert all(ids.find(str(each)) is not None for each in range(max(0, us - keep_us), us + 1))
        assert len(ids) <= keep_us + keep_us // GENERATIONS + 3


def test_an_id_is_found_and_dropped_in_whatever_generation_it_is() -> None:
    ids = Ids()
    remembered(ids, 100, 100)
    assert len(ids.older) >= 2
    for us in (0, 50, 100):
        assert ids.find(str(us)) == seen_of(CONTENT, us)
        ids.drop(str(us))
        assert ids.find(str(us)) is None
    assert len(ids) == len(dict(ids.items())) == 98
    ids.drop("never known")
    assert len(ids) == 98


def test_a_leap_of_time_forgets_everything_before_it_but_the_newest_generation() -> None:
    ids = Ids()
    remembered(ids, 100, 100)
    ids.forget(10_000, 100)
    ids.forget(20_000, 100)
    assert ids.find("0") is ids.find("100") is None


# --- content ---


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"event_time": "2025-03-05T10:15:00+08:00"}, {"event_time": "2025-03-05T02:15:00+00:00"}),
        ({"event_time": "2025-03-05T10:15:00.5+08:00"}, {"event_time": "2025-03-04T21:15:00.500000-05:00"}),
        ({"attributes": {"x": 1}}, {"attributes": {"x": 1.0}}),
        ({"attributes": {"x": 0}}, {"attributes": {"x": -0.0}}),
        ({"attributes": {"x": 10**18}}, {"attributes": {"x": 1e18}}),
        ({"attributes": {"x": 1, "y": "甲"}}, {"attributes": {"y": "甲", "x": 1.0}}),
    ],
)
def test_what_is_equal_as_parsed_has_one_fingerprint(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert fingerprint_of(make_instruction(**one)) == fingerprint_of(make_instruction(**other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"event_time": "2025-03-05T10:15:00+08:00"}, {"event_time": "2025-03-05T10:15:00+00:00"}),
        ({"event_time": "2025-03-05T10:15:00+08:00"}, {"event_time": "2025-03-05T10:15:00.000001+08:00"}),
        ({"attributes": {"x": 1}}, {"attributes": {"x": True}}),
        ({"attributes": {"x": 1}}, {"attributes": {"x": "1"}}),
        ({"attributes": {"x": 1}}, {"attributes": {"x": 1.5}}),
        ({"attributes": {"x": 1e300}}, {"attributes": {"x": 1e301}}),
        ({"attributes": {"x": 1}}, {"attributes": {"X": 1}}),
    ],
)
def test_what_differs_as_parsed_has_two(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert fingerprint_of(make_instruction(**one)) != fingerprint_of(make_instruction(**other))


def test_a_fingerprint_in_chinese_time_is_that_of_the_instruction_as_it_is_encoded() -> None:
    """So the decision ids that were published before other forms were made equal stay what they were."""
    instruction = make_instruction(attributes={"x": 1, "y": 2.5})
    encoded = msgspec.json.encode(instruction, order="deterministic")
    assert fingerprint_of(instruction) == sha256(encoded).digest()[:16]
