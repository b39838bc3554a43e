"""What was applied to a partition, to be applied again by whoever takes it over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from tests.adapters.kafka.control.test_applied import switched, unused
from tests.adapters.kafka.control.test_applying import PROGRAM, standing
from tests.adapters.kafka.control.test_applying import Inputs as Topics
from tests.adapters.kafka.records import FakeRecord
from treasury_watch.adapters.kafka.control.applied import (
    Applied,
    AppliedLog,
    Disposed,
    Entry,
    Place,
    Seen,
    Standing,
    Unused,
)
from treasury_watch.adapters.kafka.control.applying import Again
from treasury_watch.adapters.kafka.control.inputs import ControlInputs
from treasury_watch.adapters.kafka.control.steering import Course, Steering
from treasury_watch.adapters.settings import load_settings
from treasury_watch.engine import Program


class Inputs(Topics):
    async def program_of(self, found: Standing) -> Program:
        return PROGRAM


@pytest.fixture
def steering() -> Steering:
    inputs = Inputs()
    inputs.publish(standing(0))
    return Steering(load_settings(), cast(ControlInputs, inputs))


async def test_nothing_new_applies_before_a_refusal_that_is_on_record(steering: Steering) -> None:
    """Else the log went back, and nobody could take the partition over any more."""
    log = AppliedLog([Entry(0, switched(0, 0)), Entry(1, switched(8, 1)), Entry(2, unused(10, 1))])
    applying = await Course(steering, 0, log, None).applying(5)
    assert applying.firsts_before(11) == [8, 10]
    assert applying.redo(8) == [Again(8, PROGRAM)]
    assert not applying.is_due
    assert applying.redo(10) == [Again(10)]
    assert applying.next_again is None


def disposition(offset: int) -> Place:
    return Place("treasury.dispositions", 0, offset, "sha256:0")


def refused(first: int, offset: int, reason: str = "wrong_key: the key belongs to partition 1, found on 0") -> Applied:
    return Unused(
        input=disposition(offset), first=first, applied_at="then", standing=standing(0), seen=Seen(), reason=reason
    )


def disposed(first: int, offset: int) -> Applied:
    return Disposed(
        input=disposition(offset),
        first=first,
        applied_at="then",
        standing=standing(0),
        seen=Seen(),
        disposition_id="D",
    )


def letter(topic: str, offset: int) -> FakeRecord:
    return FakeRecord(b"", headers=[("source_topic", f"treasury.{topic}".encode()), ("source_offset", b"%d" % offset)])


LOG = (refused(8, 2), refused(10, 4), disposed(10, 5), refused(10, 6))


@pytest.mark.parametrize(
    ("log", "last", "owed"),
    [
        (LOG, letter("dispositions", 2), [4, 6]),  # none of this payment was sent
        (LOG, letter("dispositions", 4), [6]),
        (LOG, letter("dispositions", 6), []),
        (LOG, letter("payments", 9), [4, 6]),
        (LOG, letter("payments", 10), []),  # judged, so they were sent before
        ((refused(0, 0),), letter("payments", 0), []),
        ((refused(0, 0), unused(0, 0)), None, [0]),  # no dead letter is there at all
        ((*LOG, disposed(11, 7)), letter("dispositions", 6), []),
        ((unused(10, 1),), None, []),  # of rules: they get none
        ((), None, []),
    ],
)
async def test_dead_letters_are_owed_that_a_predecessor_put_on_record_and_did_not_come_to(
    steering: Steering, monkeypatch: pytest.MonkeyPatch, log: Sequence[Applied], last: Any, owed: list[int]
) -> None:
    async def records(places: Sequence[Place]) -> dict[int, Any]:
        return {each.offset: FakeRecord(b"value %d" % each.offset, key=b"key") for each in places}

    monkeypatch.setattr(steering, "_records", records)
    course = Course(steering, 0, AppliedLog([Entry(at, each) for at, each in enumerate(log)]), last)
    found = (await course.applying(20)).owed
    assert [(key, value) for key, value, _ in found] == [(b"key", b"value %d" % offset) for offset in owed]
    for _, _, headers in found:
        said = dict(headers)
        assert (said["reason"], said["detail"]) == (b"wrong_key", b"the key belongs to partition 1, found on 0")
        assert said["source_topic"] == b"treasury.dispositions"
    assert [dict(headers)["source_offset"] for _, _, headers in found] == [b"%d" % offset for offset in owed]
