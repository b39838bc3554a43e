"""How old the state is that a restore of a partition would make, and how much it would read for that."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.adapters.kafka.test_partition import Outbox, Setting, records
from treasury_watch.adapters.kafka import partition as module
from treasury_watch.adapters.kafka.publisher import Output, PublishError, Sent
from treasury_watch.engine.journal import BEGIN, WHOLE, kind_of


class Written:
    """A topic of states that keeps what is written; `answer` is the brokers', `None` while they are silent."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.silent = False
        self.waiting: list[asyncio.Future[Any]] = []

    async def send_state(self, outputs: Sequence[Output]) -> list[Sent]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        place = type("Place", (), {"offset": len(self.records)})
        self.records += [value or b"" for _, value, _ in outputs]
        if self.silent:
            self.waiting.append(answer)
        else:
            answer.set_result(place)
        return [Sent("state", 0, answer)]

    @property
    def to_be_read(self) -> int:
        """Bytes from the begin of the newest whole rotation on."""
        kinds = [kind_of(each) for each in self.records]
        whole = max(at for at, kind in enumerate(kinds) if kind == WHOLE)
        begin = max(at for at, kind in enumerate(kinds[:whole]) if kind == BEGIN)
        return sum(map(len, self.records[begin:]))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


async def begun() -> tuple[Setting, Written]:
    setting, topic = Setting(), Written()
    outbox: Outbox = setting.outbox
    outbox.send_state = topic.send_state  # type: ignore[attr-defined]
    await setting.partition.write_from_now_on()
    return setting, topic


async def test_the_state_is_as_old_as_its_last_writing_also_when_there_was_nothing_to_write(clock: Clock) -> None:
    setting, topic = await begun()
    await setting.judge(records(0, 3))
    clock.now += 5
    assert setting.partition.snapshot_age == 5
    await setting.partition.write()
    assert (setting.done, setting.partition.snapshot_age) == ([3], 0)
    written = len(topic.records)
    clock.now += 7
    await setting.partition.write()
    assert (len(topic.records), setting.partition.snapshot_age) == (written, 0)


async def test_what_the_brokers_do_not_acknowledge_makes_the_state_no_younger(clock: Clock) -> None:
    setting, topic = await begun()
    await setting.judge(records(0, 3))
    topic.silent = True
    clock.now += 1
    writing = asyncio.create_task(setting.partition.write())
    await asyncio.sleep(0.01)
    clock.now += 60
    assert (setting.done, setting.partition.snapshot_age) == ([], 61)
    topic.waiting[0].set_exception(PublishError("gone"))
    await writing
    assert setting.partition.snapshot_age == 61


async def test_what_a_restore_would_read_is_counted_from_the_begin_of_the_newest_whole_rotation_on() -> None:
    setting, topic = await begun()
    sizes = []
    for start in range(0, 400, 40):
        await setting.judge(records(start, 40))
        await setting.partition.write()
        sizes.append(setting.partition.snapshot_bytes)
        assert sizes[-1] == topic.to_be_read
    assert sizes != sorted(sizes)  # it fell when another rotation was whole
