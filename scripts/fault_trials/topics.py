"""What is on the topics of a trial: its load going in, records, committed offsets, ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from treasury_watch.adapters.kafka.driver import OUTPUT_BATCH_BYTES
from treasury_watch.adapters.kafka.topics import TOPICS, create_topics
from treasury_watch.adapters.settings import Settings

from .fleet import Stuck
from .load import Message

OUTPUTS = ("decisions", "intercepts", "warnings", "dead-letters")
WRITTEN = (*OUTPUTS, "state")  # what has to be there before an offset is committed
TICKS = 50  # a second, in which the load is sent
REQUEST_MS = 5_000
READ_SECONDS = 120.0
SAMPLE_SECONDS = 0.25
# What clients raise while the broker is away; aiokafka asserts that it found one when it started.
AWAY = (KafkaError, TimeoutError, OSError, AssertionError)


class Sample(NamedTuple):
    """The committed offset of a payments partition, and where what is written of it ended after that was asked."""

    partition: int
    committed: int
    ends: dict[str, int]


class Load:
    """Messages on their way to the payments topic, at a rate that may change, until `stop`."""

    def __init__(self, settings: Settings, messages: Iterable[Message], rate: int) -> None:
        self.rate = rate
        self.sent = 0
        self._settings = settings
        self._messages = iter(messages)
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Sends no more, and waits until what was sent is on the topic, or never will be."""
        self._stopping.set()
        await self._task

    async def _run(self) -> None:
        topic = self._settings.topic("payments")
        under_way: set[asyncio.Future[Any]] = set()
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.bootstrap_servers,
            acks="all",
            enable_idempotence=True,
            max_batch_size=OUTPUT_BATCH_BYTES,
            request_timeout_ms=60_000,
        )
        await producer.start()
        try:
            due = 0.0
            before = time.monotonic()
            while not self._stopping.is_set():
                await asyncio.sleep(1 / TICKS)
                now = time.monotonic()
                due = min(due + (now - before) * self.rate, float(self.rate))  # what an outage held up is not made up
                before = now
                while due >= 1:
                    due -= 1
                    message = next(self._messages)
                    future = await producer.send(topic, message.value, message.key, message.partition)
                    under_way.add(future)
                    future.add_done_callback(under_way.discard)
                    self.sent += 1
            # What the topic holds is what counts: a message that failed is none.
            await asyncio.gather(*under_way, return_exceptions=True)
        finally:
            await producer.stop()


async def ended(task: asyncio.Task[None]) -> None:
    """Cancels a task until it has ended: `wait_for` of Python 3.11 may let a cancellation go unheard."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1.0)
    if not task.cancelled():
        task.result()  # what it failed with


class Watch:
    """Samples of what is committed and what is published, taken while a trial goes on."""

    def __init__(self, settings: Settings) -> None:
        self.samples: list[Sample] = []
        self.seen = 0  # how often the broker answered
        self._settings = settings
        self._payments = [TopicPartition(settings.topic("payments"), number) for number in range(settings.partitions)]
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        await ended(self._task)

    async def done(self, limit: float) -> dict[int, int]:
        """Waits until everything on the payments topic is committed; returns where its partitions end. Raises Stuck."""
        deadline = time.monotonic() + limit
        lags: dict[int, int] = {}
        while time.monotonic() < deadline:
            with suppress(*AWAY):
                async with consuming(self._settings, group=self._settings.group) as consumer:
                    while time.monotonic() < deadline:
                        ends = await asyncio.wait_for(consumer.end_offsets(self._payments), REQUEST_MS / 1000)
                        lags = {tp.partition: end - await _committed(consumer, tp) for tp, end in ends.items()}
                        if not any(lags.values()):
                            return {tp.partition: end for tp, end in ends.items()}
                        await asyncio.sleep(SAMPLE_SECONDS)
            await asyncio.sleep(SAMPLE_SECONDS)
        raise Stuck(f"after {limit:.0f} s there are messages that are not committed, by partition: {lags}")

    async def _run(self) -> None:
        outputs = [
            TopicPartition(self._settings.topic(name), each.partition) for name in WRITTEN for each in self._payments
        ]
        while True:
            with suppress(*AWAY):  # the broker is away: look again
                async with consuming(self._settings, group=self._settings.group) as consumer:
                    while True:
                        committed = {tp.partition: await _committed(consumer, tp) for tp in self._payments}
                        ends = await asyncio.wait_for(consumer.end_offsets(outputs), REQUEST_MS / 1000)
                        self._keep(committed, ends)
                        await asyncio.sleep(SAMPLE_SECONDS)
            await asyncio.sleep(SAMPLE_SECONDS)

    def _keep(self, committed: dict[int, int], ends: dict[TopicPartition, int]) -> None:
        self.seen += 1
        for partition, offset in committed.items():
            if offset:
                here = {name: ends[TopicPartition(self._settings.topic(name), partition)] for name in WRITTEN}
                self.samples.append(Sample(partition, offset, here))


async def make_topics(settings: Settings) -> None:
    await create_topics(settings)


async def delete_topics(settings: Settings) -> None:
    """So that a broker of hundreds of trials holds the topics of one."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([settings.topic(name) for name in TOPICS])
    finally:
        await admin.close()


async def records(settings: Settings, names: Sequence[str]) -> dict[str, list[list[Any]]]:
    """All records of topics of the contract: name → partition number → records in order. Raises Stuck."""
    tps = [TopicPartition(settings.topic(name), number) for name in names for number in range(settings.partitions)]
    found: dict[TopicPartition, list[Any]] = {tp: [] for tp in tps}
    deadline = time.monotonic() + READ_SECONDS
    async with consuming(settings) as consumer:
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        await consumer.seek_to_beginning(*tps)
        while not all([await consumer.position(tp) >= end for tp, end in ends.items()]):
            if time.monotonic() > deadline:
                raise Stuck(f"the topics were not read to their ends within {READ_SECONDS:.0f} s")
            for tp, batch in (await consumer.getmany(timeout_ms=100)).items():
                found[tp] += batch
    return {
        name: [found[TopicPartition(settings.topic(name), number)] for number in range(settings.partitions)]
        for name in names
    }


async def applied_ends(settings: Settings) -> dict[int, int]:
    """Where the partitions of the applied log end."""
    tps = [TopicPartition(settings.topic("applied"), number) for number in range(settings.partitions)]
    async with consuming(settings) as consumer:
        return {tp.partition: end for tp, end in (await consumer.end_offsets(tps)).items()}


async def _committed(consumer: AIOKafkaConsumer, tp: TopicPartition) -> int:
    return await asyncio.wait_for(consumer.committed(tp), REQUEST_MS / 1000) or 0


@asynccontextmanager
async def consuming(settings: Settings, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that joins nothing and commits nothing; with a group it can ask what that has committed."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        request_timeout_ms=REQUEST_MS,
    )
    try:
        await asyncio.wait_for(consumer.start(), REQUEST_MS / 1000)
        yield consumer
    finally:
        with suppress(*AWAY):
            await asyncio.wait_for(consumer.stop(), REQUEST_MS / 1000)
