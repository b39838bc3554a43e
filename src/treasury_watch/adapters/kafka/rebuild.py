"""Windows of a newly assigned partition, rebuilt by reading the partition again from its beginning, silently."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic

from aiokafka import TopicPartition

from treasury_watch.adapters.kafka.control.applying import Again
from treasury_watch.adapters.kafka.partition import SLICE, Partition
from treasury_watch.adapters.kafka.reader import reader
from treasury_watch.adapters.settings import Settings

_PROGRESS_SECONDS = 5.0

log = logging.getLogger(__name__)


async def rebuild(
    partition: Partition,
    committed: int,
    settings: Settings,
    abandoned: Callable[[], bool],
    dispositions: Iterable[Again] = (),
) -> int:
    """Judges a partition again, from its position up to the committed offset, silently; returns how many messages.

    `dispositions`: those that counted from a payment before the committed offset on.

    Returns early when `abandoned` says so: the partition is then not fit for use.
    """
    if partition.position >= committed:
        return 0
    messages = 0
    remaining = deque(dispositions)
    started = said = monotonic()
    tp = TopicPartition(settings.topic("payments"), partition.number)
    async with reader(settings, [tp]) as consumer:
        consumer.seek(tp, partition.position)
        while await consumer.position(tp) < committed and not abandoned():
            fetched = await consumer.getmany(tp, timeout_ms=1000)
            records = [record for record in fetched.get(tp, ()) if record.offset < committed]
            for start in range(0, len(records), SLICE):
                if abandoned():
                    break
                part = records[start : start + SLICE]
                partition.rebuild(part, remaining)
                messages += len(part)
                await asyncio.sleep(0)
            if monotonic() - said > _PROGRESS_SECONDS:
                said = monotonic()
                log.info(
                    "partition %d: rebuilding windows, offset %d of %d", partition.number, partition.position, committed
                )
    if abandoned():
        return messages
    partition.position = committed
    log.info(
        "partition %d: windows rebuilt from %d messages up to offset %d in %.1f s",
        partition.number,
        messages,
        committed,
        monotonic() - started,
    )
    return messages
