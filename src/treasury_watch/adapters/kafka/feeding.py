"""History that was fed, taken into a partition's windows before the topic is read again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from time import monotonic

from aiokafka import TopicPartition

from treasury_watch.adapters.history import Feed, merged, reaching_back
from treasury_watch.adapters.kafka.admission import Record, complete_from
from treasury_watch.adapters.kafka.partition import SLICE, Partition
from treasury_watch.adapters.kafka.reader import reader, until_now
from treasury_watch.adapters.settings import Settings
from treasury_watch.domain.payment import microseconds
from treasury_watch.engine.warming import LAST

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """What a partition of the topic holds: everything from the event time `begin` on (microseconds; `None` while it
    holds nothing at all), and of before what is in `late`: partition-key values and ids.
    """

    begin: int | None
    late: AbstractSet[tuple[str, str]]


async def held(partition: Partition, settings: Settings, abandoned: Callable[[], bool]) -> Held:
    """Reads the partition from its beginning to its end, judged or not, and says what it holds."""
    tp = TopicPartition(settings.topic("payments"), partition.number)
    begin: int | None = None
    late: set[tuple[str, str]] = set()
    records: list[Record] = []
    async with reader(settings, [tp]) as consumer:
        consumer.seek(tp, partition.position)
        async for record in until_now(consumer, tp):
            if begin is None:
                begin = complete_from(record.timestamp)
            records.append(record)
            if len(records) == SLICE:
                late.update(partition.keys_of(records, begin))
                records.clear()
                await asyncio.sleep(0)
            if abandoned():
                break
    late.update(partition.keys_of(records, begin))
    return Held(begin, late)


async def take_history(
    partition: Partition, feeds: Sequence[Feed], topic: Held, abandoned: Callable[[], bool] = lambda: False
) -> None:
    """Takes what the feeds hold of before the topic's first record, silently; what the topic holds is left to it.

    Returns early when `abandoned` says so: the partition is then not fit for use. Raises HistoryError.
    """
    started, taken = monotonic(), 0
    begin = topic.begin
    if begin is None:  # its first record will say
        begin = LAST
        if partition.position > 0:
            partition.starts_at(reaching_back(feeds, max(microseconds(each.manifest.end) for each in feeds)))
    key_of = partition.program.partition_key
    instructions = (
        each
        for each in merged(feeds, partition.number)
        if microseconds(each.event_time) < begin and (key_of(each), each.instruction_id) not in topic.late
    )
    while not abandoned() and (chunk := list(islice(instructions, SLICE))):
        partition.feed(chunk)
        taken += len(chunk)
        await asyncio.sleep(0)
    partition.fed()
    log.info("partition %d: %d payments taken from history in %.1f s", partition.number, taken, monotonic() - started)
