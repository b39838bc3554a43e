"""A standby (热备): follows the states of other workers' partitions, so that taking one over reads only the rest.

What it holds of a partition is what `restore` would have made of the records so far; where it is of no use (other
rules, damage, a reset), it is dropped and begun again, and `restore` reads everything as without it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.reader import last_record, reader
from treasury_watch.adapters.kafka.statelog import is_reset, newest_whole
from treasury_watch.adapters.settings import Settings
from treasury_watch.engine import Program, StateError
from treasury_watch.engine.journal import Restoring

_POLL_MS = 200
_AGAIN_SECONDS = 5.0  # before a partition is looked at again of which nothing could be followed
_FORGET = 512  # keys that are looked at for what has expired, for each record

log = logging.getLogger(__name__)

# By which rules the next takeover will be, and of which partitions; nothing while partitions are being taken over.
Wanted = Callable[[], "tuple[Program, Collection[int]] | None"]


@dataclass(slots=True, eq=False)
class Followed:
    """The state of a partition as far as it was read: `next` is the offset of the record that comes next."""

    program: Program
    restoring: Restoring
    next: int


class Standby:
    """Follows states; `take` hands one over."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._followed: dict[int, Followed] = {}
        self._moved = True  # the consumer does not stand in what is followed
        self._not_before: dict[int, float] = {}

    @property
    def partitions(self) -> int:
        """Of how many partitions a whole state is held."""
        return sum(each.restoring.whole for each in self._followed.values())

    def take(self, number: int, program: Program) -> Followed | None:
        """What was followed of a partition, which is not followed from now on; `None` if it is of no use."""
        followed = self._drop(number)
        if followed is None or followed.program is not program or not followed.restoring.whole:
            return None
        return followed

    async def follow(self, wanted: Wanted) -> None:
        """Follows what is wanted, for ever. Brokers that are away are waited for."""
        while True:
            try:
                async with reader(self._settings, [], _POLL_MS) as consumer:
                    self._moved = True
                    while True:
                        await self._step(consumer, wanted)
            except BrokerError as error:
                log.debug("standby: %s", error)
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _step(self, consumer: AIOKafkaConsumer, wanted: Wanted) -> None:
        found = wanted()
        if found is not None:
            await self._choose(*found)
        if not self._followed:
            await asyncio.sleep(_POLL_MS / 1000)
            return
        if self._moved:
            consumer.assign([self._tp(number) for number in self._followed])
            for number, each in self._followed.items():
                consumer.seek(self._tp(number), each.next)
            self._moved = False
        for tp, records in (await consumer.getmany(timeout_ms=_POLL_MS)).items():
            for record in records:
                self._take_in(tp.partition, record)
                await asyncio.sleep(0)

    async def _choose(self, program: Program, numbers: Collection[int]) -> None:
        """Begins what is wanted, and drops what is not."""
        dropped = [at for at, each in self._followed.items() if at not in numbers or each.program is not program]
        for number in dropped:
            self._drop(number)
        for number in sorted(numbers):
            if number not in self._followed and monotonic() >= self._not_before.get(number, 0.0):
                self._not_before[number] = monotonic() + _AGAIN_SECONDS
                async with reader(self._settings, [self._tp(number)]) as consumer:
                    last = await last_record(consumer, self._tp(number))
                begin = None if last is None else newest_whole(last)
                if begin is not None:
                    self._followed[number] = Followed(program, Restoring(program), begin)
                    self._moved = True

    def _take_in(self, number: int, record: Any) -> None:
        followed = self._followed.get(number)
        if followed is None or record.offset < followed.next:
            return
        try:
            if is_reset(record):
                raise StateError("it counts nothing any more")
            followed.restoring.take(record.value or b"")
        except StateError as error:
            log.info("partition %d: its state is not followed from offset %d on: %s", number, record.offset, error)
            self._drop(number)
            return
        followed.next = record.offset + 1
        followed.restoring.engine.state.forget(_FORGET)

    def _drop(self, number: int) -> Followed | None:
        self._moved = True
        return self._followed.pop(number, None)

    def _tp(self, number: int) -> TopicPartition:
        return TopicPartition(self._settings.topic("state"), number)
