"""Reading partitions outside any group: nothing is committed, nobody is rebalanced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from treasury_watch.adapters.kafka.connection import broker_error, client_options
from treasury_watch.adapters.settings import Settings

_POLL_MS = 20  # how long the client may wait where there is nothing to hand over, such as the end of a transaction
_STEP_GROWTH = 4


@asynccontextmanager
async def reader(
    settings: Settings, partitions: Sequence[TopicPartition], max_wait_ms: int = 500
) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer of exactly these partitions, at their beginnings. Raises BrokerError.

    `max_wait_ms` is how long a broker may wait for something new, during which it answers nothing else.
    """
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=max_wait_ms,
    )
    consumer.assign(partitions)
    try:
        await consumer.start()
        yield consumer
    except KafkaError as error:
        raise broker_error(settings, error) from error
    finally:
        # aiokafka's stop lets the cancellation of its own pending fetch through, and then leaves the connection open.
        stopping = asyncio.create_task(consumer.stop())
        await asyncio.wait([stopping])
        if stopping.cancelled():
            await consumer._client.close()


async def until_now(consumer: AIOKafkaConsumer, tp: TopicPartition) -> AsyncIterator[Any]:
    """The records of a partition from where the consumer stands to what was its end when reading began.

    The end is that of the first fetch: the embedded broker's answer to "where is the end" is wrong after a batch.
    """
    end: int | None = None
    while end is None or await consumer.position(tp) < end:
        fetched = await consumer.getmany(tp, timeout_ms=_POLL_MS)
        end = consumer.last_stable_offset(tp) if end is None else end
        for record in fetched.get(tp, ()):
            if end is None or record.offset < end:
                yield record


async def last_record(consumer: AIOKafkaConsumer, tp: TopicPartition) -> Any:
    """The last record of a partition, behind which there may be any number of transactions' end markers; or `None`."""
    beginning = (await consumer.beginning_offsets([tp]))[tp]
    end = (await consumer.end_offsets([tp]))[tp]
    step = 1
    while end > beginning:
        consumer.seek(tp, max(end - step, beginning))
        found = None
        async for record in until_now(consumer, tp):
            found = record
        if found is not None or end - step <= beginning:
            return found
        step *= _STEP_GROWTH
    return None
