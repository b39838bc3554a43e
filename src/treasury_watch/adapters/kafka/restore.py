"""Making the state of a partition again from what `treasury.state` holds of it (ADR 0019)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from treasury_watch.adapters.kafka.connection import BrokerError, administering
from treasury_watch.adapters.kafka.reader import last_record, reader, until_now
from treasury_watch.adapters.kafka.standby import Followed, Standby
from treasury_watch.adapters.kafka.statelog import is_reset, newest_whole
from treasury_watch.adapters.settings import Settings
from treasury_watch.engine import Engine, Program, StateError
from treasury_watch.engine.journal import BEGIN, WHOLE, Restoring, kind_of, number_of

_AT_ONCE = 50  # records, until others may go on
_POLL_MS = 20  # how long brokers may wait for more where there is nothing

log = logging.getLogger(__name__)


class StateDamaged(Exception):
    """No state can be made of what is on the topic: what is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A state as it was at `position`, the offset of the next payment."""

    engine: Engine
    position: int
    number: int  # of the last record that was taken
    whole: int  # the offset at which the whole rotation begins that it was made of
    size: int  # bytes that were read for it
    damage: str | None  # what was found behind it, if records there cannot be used


class StateTopic:
    """What `treasury.state` holds of each partition, for who takes partitions over; a standby has read most of it."""

    def __init__(self, settings: Settings, standby: Standby | None = None) -> None:
        self._settings = settings
        self._standby = standby
        self._topic = settings.topic("state")

    async def restore(
        self, program: Program, partition: int, abandoned: Callable[[], bool] = lambda: False
    ) -> Restored | None:
        """See `restore`."""
        followed = None if self._standby is None else self._standby.take(partition, program)
        return await restore(self._settings, program, partition, abandoned, followed)

    async def last_number(self, partition: int) -> int | None:
        """The number of the last record of a partition's state; `None` where there is none, or it says none."""
        tp = TopicPartition(self._topic, partition)
        async with reader(self._settings, [tp], _POLL_MS) as consumer:
            last = await last_record(consumer, tp)
        try:
            return None if last is None else number_of(last.value or b"")
        except StateError:
            return None

    async def delete_before(self, offsets: Mapping[int, int]) -> None:
        """Deletes what no recovery needs any more: records before these offsets, by partition.

        That it cannot be done is logged, and costs nothing but room.
        """
        wanted = {TopicPartition(self._topic, number): RecordsToDelete(offset) for number, offset in offsets.items()}
        try:
            async with administering(self._settings) as admin:
                await admin.delete_records(wanted)
        except BrokerError as error:
            log.warning("records of %s that are needed no more stay: %s", self._topic, error)


async def restore(
    settings: Settings,
    program: Program,
    partition: int,
    abandoned: Callable[[], bool] = lambda: False,
    followed: Followed | None = None,
) -> Restored | None:
    """The newest state that can be made; `None` if none was ever written, or when `abandoned` says so.

    With what was `followed` of it only the rest is read, unless that is damaged. A record that is torn, missing or of
    another version ends what can be used: payments from there on are to be judged again. Raises StateDamaged when
    nothing can be used, and BrokerError.
    """
    started = monotonic()
    topic = settings.topic("state")
    tp = TopicPartition(topic, partition)
    async with reader(settings, [tp], _POLL_MS) as consumer:
        last = await last_record(consumer, tp)
        if last is None or is_reset(last):
            return None
        whole = newest_whole(last)
        errors: list[str] = []
        if followed is not None and whole is not None:
            restored = await _made(consumer, tp, followed.restoring, followed.next, whole, [], abandoned)
            if (restored is not None and restored.damage is None) or abandoned():
                return _told(restored, partition, started)
        if whole is not None:
            restored = await _made(consumer, tp, Restoring(program), whole, whole, errors, abandoned)
            if restored is not None or abandoned():
                return _told(restored, partition, started)
        for begin in reversed(await _whole_rotations(consumer, tp)):
            if begin == whole:
                continue
            restored = await _made(consumer, tp, Restoring(program), begin, begin, errors, abandoned)
            if restored is not None or abandoned():
                return _told(restored, partition, started)
    if whole is None and not errors:
        return None  # the first rotation was not whole yet: nothing was committed
    why = "; ".join(errors) or f"the rotation that begins at offset {whole} is not there"
    raise StateDamaged(
        f"{topic}[{partition}] cannot be used: {why}. Nothing is judged with wrong sums. See what is there: "
        f"treasury-watch state verify; have windows built from the payments again: treasury-watch state rebuild"
    )


def _told(restored: Restored | None, partition: int, started: float) -> Restored | None:
    if restored is not None:
        log.info(
            "partition %d: state of offset %d restored in %.1f s", partition, restored.position, monotonic() - started
        )
        if restored.damage:
            log.error(
                "partition %d: its state is damaged: %s; payments from offset %d on are judged again to make it good",
                partition,
                restored.damage,
                restored.position,
            )
    return restored


async def _made(
    consumer: AIOKafkaConsumer,
    tp: TopicPartition,
    restoring: Restoring,
    begin: int,
    whole: int,
    errors: list[str],
    abandoned: Callable[[], bool],
) -> Restored | None:
    """The state that the records from an offset on make, of which `whole` is the rotation that they began with; what is
    wrong with them is added to `errors`.
    """
    damage, taken, size = None, 0, 0
    consumer.seek(tp, begin)
    async for record in until_now(consumer, tp):
        try:
            restoring.take(record.value or b"")
        except StateError as error:
            damage = f"offset {record.offset}: {error}"
            break
        taken += 1
        size += len(record.value or b"")
        if taken % _AT_ONCE == 0:
            await asyncio.sleep(0)
            if abandoned():
                return None
    try:
        engine = restoring.finished()
    except StateError as error:
        errors.append(damage or f"from offset {begin} on {error}")
        return None
    assert restoring.position is not None
    assert restoring.number is not None
    return Restored(engine, restoring.position, restoring.number, whole, size, damage)


async def _whole_rotations(consumer: AIOKafkaConsumer, tp: TopicPartition) -> list[int]:
    """The offsets at which rotations begin that came to their end, oldest first."""
    (beginning,) = (await consumer.beginning_offsets([tp])).values()
    consumer.seek(tp, beginning)
    found: list[int] = []
    begin: int | None = None
    async for record in until_now(consumer, tp):
        if is_reset(record):
            found, begin = [], None
            continue
        try:
            kind = kind_of(record.value or b"")
        except StateError:
            continue
        if kind == BEGIN:
            begin = record.offset
        elif kind == WHOLE and begin is not None:
            found.append(begin)
            begin = None
    return found
