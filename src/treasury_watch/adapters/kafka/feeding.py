"""History that was fed, taken into a partition's windows before the topic is read again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
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


async def take_history(
    partition: Partition, feeds: Sequence[Feed], settings: Settings, abandoned: Callable[[], bool]
) -> None:
    """Takes what the feeds hold of before the topic's first record, silently; what the topic holds is left to it.

    Returns early when `abandoned` says so: the partition is then not fit for use. Raises HistoryError.
    """
    started = monotonic()
    begin, on_topic = await _on_topic(partition, settings, abandoned)
    if begin is None:  # the first record will say
        begin = LAST
        if partition.position > 0:
            partition.starts_at(reaching_back(feeds, max(microseconds(each.manifest.end) for each in feeds)))
    taken = 0
    key_of = partition.program.partition_key
    instructions = (
        each
        for each in merged(feeds, partition.number)
        if microseconds(each.event_time) < begin and (key_of(each), each.instruction_id) not in on_topic
    )
    while not abandoned() and (chunk := list(islice(instructions, SLICE))):
        partition.feed(chunk)
        taken += len(chunk)
        await asyncio.sleep(0)
    partition.fed()
    log.info("partition %d: %d payments taken from history in %.1f s", partition.number, taken, monotonic() - started)


async def _on_topic(
    partition: Partition, settings: Settings, abandoned: Callable[[], bool]
) -> tuple[int | None, set[tuple[str, str]]]:
    """The event time from which on the topic holds everything, unknown where it holds nothing, and what it holds of
    before: few, the late ones.
    """
    tp = TopicPartition(settings.topic("payments"), partition.number)
    begin: int | None = None
    found: set[tuple[str, str]] = set()
    records: list[Record] = []
    async with reader(settings, [tp]) as consumer:
        consumer.seek(tp, partition.position)
        async for record in until_now(consumer, tp):
            if begin is None:
                begin = complete_from(record.timestamp)
            records.append(record)
            if len(records) == SLICE:
                found.update(partition.keys_of(records, begin))
                records.clear()
                await asyncio.sleep(0)
            if abandoned():
                break
        found.update(partition.keys_of(records, begin))
    return begin, found
