"""What is durable of the states: how far the state topic says that each has come, and the digests that workers show."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from treasury_watch.adapters.settings import Settings
from treasury_watch.engine.journal import BEGIN, POSITION

from .fleet import Fleet, Stuck
from .topics import consuming

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
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            with suppress(KafkaError, TimeoutError, OSError):  # the broker is away: begin again where it was
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


async def digests(fleet: Fleet, ends: dict[int, int], limit: float) -> dict[int, str]:
    """The digest of each partition's state at the end of its payments, as the workers show them. Raises Stuck."""
    deadline = time.monotonic() + limit
    while True:
        pages = await asyncio.gather(*(worker.page("/state") for worker in fleet.living))
        shown = [(int(number), each) for page in pages if page for number, each in json.loads(page).items()]
        found = {number: str(each["digest"]) for number, each in shown if each["position"] == ends[number]}
        if found.keys() == ends.keys():
            return found
        if time.monotonic() > deadline:
            raise Stuck(f"after {limit:.0f} s no worker shows the states of partitions {sorted(ends.keys() - found)}")
        await asyncio.sleep(ASK_SECONDS)
