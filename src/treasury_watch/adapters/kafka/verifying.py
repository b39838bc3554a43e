"""Records that tell a verdict, as they are on the topics, for who verifies their signatures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from aiokafka import TopicPartition

from treasury_watch.adapters.kafka.reader import reader, until_now
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.verdictsigning import SIGNED_TOPICS


async def verdict_records(settings: Settings) -> AsyncIterator[Any]:
    """The records of decisions, intercepts and warnings that are there now, partition by partition.

    Raises BrokerError.
    """
    partitions = [
        TopicPartition(settings.topic(name), number) for name in SIGNED_TOPICS for number in range(settings.partitions)
    ]
    async with reader(settings, partitions) as consumer:
        for tp in partitions:
            async for record in until_now(consumer, tp):
                yield record
