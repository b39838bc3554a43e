"""Publishing a file of instructions (one JSON object a line) on the payments topic, keyed and partitioned as agreed."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaConnectionError, KafkaError

from treasury_watch.adapters.jsonl import Lines
from treasury_watch.adapters.kafka.connection import BrokerError, broker_error, client_options
from treasury_watch.adapters.kafka.driver import OUTPUT_BATCH_BYTES
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.kafka.publisher import Header, Output, Sent, acknowledged, send
from treasury_watch.adapters.kafka.topics import check_topics
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.wire import decode
from treasury_watch.domain.payment import partition_key_of
from treasury_watch.domain.verdict import Refusal

_CHUNK = 1000  # lines sent together where there is no rate
_TICKS = 20  # a second, where there is one

Message = tuple[bytes, bytes, list[Header]]  # key, value, headers


class BadLine(ValueError):
    """A line that is no instruction, or has no partition key: one line that names it and says why."""


async def publish(
    settings: Settings,
    source: Path,
    partition_by: str,
    *,
    rate: float | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> int:
    """Publishes the instructions of a file, acknowledged by all in-sync replicas; returns how many.

    A file is read to its end first, so that nothing is sent when a line is bad; standard input is checked on the way.
    `rate` is in instructions per second; `progress` is told how many are acknowledged so far. Raises BadLine,
    UnreadableFile, BrokerError and PublishError.
    """
    if str(source) != "-":
        for _ in _messages(source, partition_by):
            pass
    await check_payments(settings)
    count = 0
    started = time.monotonic()
    async with payments_producer(settings) as producer:
        messages = _messages(source, partition_by)
        while chunk := list(islice(messages, _CHUNK if rate is None else max(1, round(rate / _TICKS)))):
            await send_payments(settings, producer, chunk)
            count += len(chunk)
            progress(count)
            if rate is not None:
                await asyncio.sleep(max(0.0, started + count / rate - time.monotonic()))
    return count


async def check_payments(settings: Settings) -> None:
    """Raises BrokerError when the payments topic is missing, has another partition count or may not be written."""
    for finding in await check_topics(settings, "payment-system"):
        if finding.topic == settings.topic("payments"):
            raise BrokerError(str(finding))


@asynccontextmanager
async def payments_producer(settings: Settings, max_request_size: int = 1 << 20) -> AsyncIterator[AIOKafkaProducer]:
    """A producer whose messages are acknowledged by all in-sync replicas. Raises BrokerError if it cannot start."""
    producer = AIOKafkaProducer(
        **client_options(settings),
        acks="all",
        enable_idempotence=settings.idempotence,
        max_batch_size=OUTPUT_BATCH_BYTES,
        max_request_size=max_request_size,
    )
    try:
        try:
            await producer.start()
        except (KafkaConnectionError, ClusterAuthorizationFailedError) as error:
            raise broker_error(settings, error) from error
        except KafkaError as error:
            raise BrokerError(
                f"{settings.bootstrap_servers} lets no idempotent producer start: {error}; a broker that has none, as "
                "the embedded one, needs TREASURY_WATCH_IDEMPOTENCE=false"
            ) from error
        yield producer
    finally:
        await producer.stop()


async def send_payments(settings: Settings, producer: AIOKafkaProducer, messages: list[Message]) -> None:
    """Sends messages to the partitions that their keys belong to and waits until they are acknowledged."""
    partition_of = partitioner_of(settings.partitioner, settings.partitions)
    by_partition: defaultdict[int, list[Output]] = defaultdict(list)
    for message in messages:
        by_partition[partition_of(message[0])].append(message)
    sent: list[Sent] = []
    for partition, outputs in by_partition.items():
        sent += await send(producer, settings.topic("payments"), partition, outputs)
    await acknowledged(sent)


def _messages(source: Path, partition_by: str) -> Iterator[Message]:
    """The messages of a file. Raises BadLine and UnreadableFile."""
    with Lines(source) as lines:
        for line in lines:
            decoded = decode(line.value)
            if isinstance(decoded, Refusal):
                raise BadLine(f"{lines.name}:{line.number}: {decoded.reason}: {decoded.detail}")
            key = partition_key_of(decoded, partition_by)
            if key is None:
                raise BadLine(f"{lines.name}:{line.number}: {partition_by} is missing, and it is the partition key")
            yield key.encode(), line.value, []
