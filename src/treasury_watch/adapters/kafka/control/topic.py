"""Reading and writing the topics of control inputs, outside any group."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.publish import payments_producer
from treasury_watch.adapters.kafka.reader import reader, until_now
from treasury_watch.adapters.kafka.topics import MAX_CONTROL_BYTES, advice, check_topics
from treasury_watch.adapters.settings import Settings

_POLL_MS = 20


async def records(settings: Settings, name: str, partition: int = 0, first: int = 0) -> AsyncIterator[Any]:
    """The records of a partition of a topic of the contract, from an offset on to its end as it is now."""
    tp = TopicPartition(settings.topic(name), partition)
    async with reader(settings, [tp], _POLL_MS) as consumer:
        if (await consumer.end_offsets([tp]))[tp] == (await consumer.beginning_offsets([tp]))[tp]:
            return  # waiting for the first fetch of nothing takes long
        if first:
            consumer.seek(tp, first)
        async for record in until_now(consumer, tp):
            yield record


async def record_at(settings: Settings, name: str, offset: int, partition: int = 0) -> Any:
    """The record of an offset. Raises BrokerError if it is not there."""
    async for record in records(settings, name, partition, offset):
        if record.offset == offset:
            return record
        break
    raise BrokerError(f"{settings.topic(name)}[{partition}] has no record {offset} any more; it is to be kept for ever")


async def send(settings: Settings, name: str, key: bytes, value: bytes, partition: int = 0) -> int:
    """Sends a record and waits until all in-sync replicas have it; returns its offset. Raises BrokerError."""
    topic = settings.topic(name)
    async with payments_producer(settings, MAX_CONTROL_BYTES) as producer:
        try:
            sent = await producer.send_and_wait(topic, value, key, partition)
        except TopicAuthorizationFailedError:
            raise BrokerError(f"{topic}: this login may not write on it") from None
        except KafkaError as error:
            raise BrokerError(f"{topic} did not take the record: {error}") from error
    return int(sent.offset)


async def there(settings: Settings, *names: str) -> None:
    """Raises BrokerError when a topic is missing or has another partition count than the settings say."""
    wanted = {settings.topic(name) for name in names}
    for finding in await check_topics(settings):
        if finding.topic in wanted:
            raise BrokerError(f"{finding}; {advice([finding])}")
