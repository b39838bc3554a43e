"""What is durable of the states: how far the state topic says that each has come, and the digests that workers show."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from treasury_watch.adapters.settings import Settings
from treasury_watch.engine.journal import BEGIN, POSITION

from .fleet import Fleet, Stuck
from .topics import AWAY, applied_ends, consuming, ended

HEAD_BYTES = 24  # number and digest, before the body of a record
POSITION_CELL = {POSITION: 1, BEGIN: 5}  # where in a body the offset of the next payment stands
UNKNOWN = -1
ASK_SECONDS = 0.3


class Written(NamedTuple):
    """A record of the state topic that says how far it has come: its own offset, that of the next payment.

    UNKNOWN stands for records that were deleted before they were read.
    """

    offset: int
    position: int


class Positions:
    """Reads the state topic while a trial goes on, since what is needed no more is deleted from it."""

    def __init__(self, settings: Settings) -> None:
        self.written: dict[int, list[Written]] = {number: [] for number in range(settings.partitions)}
        self._settings = settings
        self._next: dict[TopicPartition, int] = {
            TopicPartition(settings.topic("state"), number): 0 for number in range(settings.partitions)
        }
        self._last = dict.fromkeys(self.written, 0)  # the number of the last record that was read
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        await ended(self._task)

    async def _run(self) -> None:
        while True:
            with suppress(*AWAY):  # the broker is away: begin again where it was
                async with consuming(self._settings) as consumer:
                    await self._read(consumer)
            await asyncio.sleep(ASK_SECONDS)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        consumer.assign(list(self._next))
        for tp, offset in self._next.items():
            consumer.seek(tp, offset)
        while True:
            for tp, batch in (await consumer.getmany(timeout_ms=500)).items():
                for record in batch:
                    self._take(tp.partition, record)
                self._next[tp] = batch[-1].offset + 1

    def _take(self, partition: int, record: Any) -> None:
        number, body = int.from_bytes(record.value[:8], "big"), msgspec.msgpack.decode(record.value[HEAD_BYTES:])
        if number > self._last[partition] + 1:
            self.written[partition].append(Written(record.offset - 1, UNKNOWN))
        self._last[partition] = number
        if body[0] in POSITION_CELL:
            self.written[partition].append(Written(record.offset, body[POSITION_CELL[body[0]]]))


class Shown(NamedTuple):
    """The digest of each partition's state at the end of its payments, and where its applied log ended at that time."""

    digests: dict[int, str]
    applied: dict[int, int]


async def shown(fleet: Fleet, ends: dict[int, int], limit: float) -> Shown:
    """What the workers show of the partitions, which end at these offsets. Raises Stuck."""
    deadline = time.monotonic() + limit
    found: dict[int, str] = {}
    while time.monotonic() < deadline:
        with suppress(*AWAY):
            before = await applied_ends(fleet.settings)
            pages = await asyncio.gather(*(worker.page("/state") for worker in fleet.living))
            states = [(int(number), each) for page in pages if page for number, each in json.loads(page).items()]
            found = {number: str(each["digest"]) for number, each in states if each["position"] == ends[number]}
            if found.keys() == ends.keys() and before == await applied_ends(fleet.settings):
                return Shown(found, before)
        await asyncio.sleep(ASK_SECONDS)
    raise Stuck(f"after {limit:.0f} s no worker shows the states of partitions {sorted(ends.keys() - found)}")
