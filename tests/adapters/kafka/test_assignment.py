"""Partitions taken over and given back. Where windows are read again from Kafka, the integration tests look."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import cast

import pytest
from faust.types import TP

from tests.adapters.kafka.records import FakeRecord
from tests.builders import make_instruction
from tests.rulesets import make_ruleset
from treasury_watch.adapters.kafka.assignment import Assignment
from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.driver import Batch, Consumer
from treasury_watch.adapters.kafka.publisher import Judged, Publisher, PublishError, Sent
from treasury_watch.adapters.metrics import Metrics
from treasury_watch.adapters.settings import load_settings
from treasury_watch.adapters.wire import encode_instruction

RULESET = make_ruleset()
P0, P1 = TP("payments", 0), TP("payments", 1)


class Group:
    """A consumer that knows committed offsets; every partition begins at offset 0."""

    def __init__(self, **committed: int) -> None:
        self.offsets = {TP("payments", int(name.removeprefix("p"))): offset for name, offset in committed.items()}
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.answer.set()

    async def committed(self, tps: Iterable[TP]) -> dict[TP, int | None]:
        self.asked.set()
        await self.answer.wait()
        return {tp: self.offsets.get(tp) for tp in tps}

    async def earliest_offsets(self, *tps: TP) -> Mapping[TP, int]:
        return dict.fromkeys(tps, 0)

    def assignment(self) -> set[TP]:
        return set()


class Outbox:
    """A publisher that acknowledges at once, or does not take anything."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.offsets: list[int] = []
        self._failure = failure

    async def send(self, partition: int, judged: Judged) -> list[Sent]:
        if self._failure:
            raise self._failure
        self.offsets += [record.offset for record in judged.records]
        return []


class Setting:
    def __init__(self) -> None:
        self.failures: list[Exception] = []
        settings = load_settings(partitions=4)
        self.assignment = Assignment(settings, RULESET, Metrics(RULESET), self.failures.append)

    async def take_over(self, *tps: TP, group: Group) -> bool:
        return await self.assignment.take_over(tps, cast(Consumer, group))

    async def judge(self, tp: TP, offset: int, outbox: Outbox) -> None:
        value = encode_instruction(make_instruction(instruction_id=f"P{offset}"))
        batch = Batch(tp, [FakeRecord(value, offset=offset)], lambda tp, offset: None)
        await self.assignment.judge(batch, cast(Publisher, outbox))
        await self.assignment.idle()


@pytest.fixture
def setting() -> Setting:
    return Setting()


async def test_a_partition_never_judged_is_read_from_its_beginning(setting: Setting) -> None:
    assert not setting.assignment.ready
    assert await setting.take_over(P0, P1, group=Group())
    assert setting.assignment.ready
    assert setting.assignment.positions() == {P0: 0, P1: 0}


async def test_a_worker_without_partitions_is_ready(setting: Setting) -> None:
    assert await setting.take_over(group=Group())
    assert setting.assignment.ready


async def test_a_batch_of_a_partition_that_is_not_held_is_left_alone(setting: Setting) -> None:
    outbox = Outbox()
    await setting.take_over(P0, group=Group())
    await setting.judge(P1, 0, outbox)
    setting.assignment.give_back([P0])
    await setting.judge(P0, 0, outbox)
    assert outbox.offsets == []
    assert not setting.assignment.ready
    assert setting.assignment.positions() == {}


async def test_a_partition_that_comes_back_unchanged_keeps_its_windows(setting: Setting) -> None:
    group = Group()
    await setting.take_over(P0, group=group)
    await setting.judge(P0, 0, Outbox())
    setting.assignment.give_back([P0])
    group.offsets[P0] = 1
    assert await setting.take_over(P0, group=group)  # anything else would be read from Kafka, and there is none
    assert setting.assignment.positions() == {P0: 1}


async def test_taking_over_is_abandoned_when_the_next_rebalance_begins(setting: Setting) -> None:
    group = Group()
    group.answer.clear()
    taking_over = asyncio.create_task(setting.take_over(P0, group=group))
    await group.asked.wait()
    setting.assignment.give_back([])
    group.answer.set()
    assert not await taking_over
    assert setting.assignment.positions() == {}
    assert not setting.assignment.ready


async def test_after_a_failure_nothing_is_held_and_nothing_is_taken_over(setting: Setting) -> None:
    await setting.take_over(P0, P1, group=Group())
    failure = PublishError("disk full")
    await setting.judge(P0, 0, Outbox(failure))
    outbox = Outbox()
    await setting.judge(P0, 1, outbox)
    await setting.judge(P1, 0, outbox)
    assert (setting.failures, outbox.offsets) == ([failure], [])
    assert not await setting.take_over(P0, P1, group=Group())
    assert setting.assignment.positions() == {}


async def test_more_partitions_than_the_settings_say_are_an_error(setting: Setting) -> None:
    with pytest.raises(BrokerError, match=r"^payments has a partition 4, expected 4 partitions$"):
        await setting.take_over(P0, TP("payments", 4), group=Group())


async def test_messages_deleted_before_they_were_judged_are_said_aloud(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    class Shortened(Group):
        async def earliest_offsets(self, *tps: TP) -> Mapping[TP, int]:
            return dict.fromkeys(tps, 10)

    await setting.take_over(P0, group=Shortened(p0=4))
    assert "partition 0: the messages of offsets 4 to 9 were deleted before they were judged" in caplog.text
    assert setting.assignment.positions() == {P0: 10}
