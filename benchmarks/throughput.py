"""(b) From Kafka to Kafka: one worker process, messages published beforehand; and an ordinary Faust app beside it.

The ordinary app judges by few rules, which it has in Python: it is compared with a worker that has the same few.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import monotonic

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks import ordinary_app
from benchmarks.figures import Aim, Figure, Section
from benchmarks.packs import FIRST, write_first
from benchmarks.services import PARTITIONS, BenchmarkError, Broker, Process, cpu_seconds
from benchmarks.sizes import Sizes
from benchmarks.workload import decoded, values
from treasury_watch.adapters.kafka.connection import client_options
from treasury_watch.adapters.kafka.publish import Message, payments_producer, send_payments
from treasury_watch.adapters.settings import Settings

AIM, AIM_RATIO = Aim(30_000), Aim(10)
_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 90.0  # without a new decision


class _Decision(msgspec.Struct):
    verdict: str


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds from the process's start to its first and last decision, and what was used between those two."""

    first: float
    last: float
    counted: int  # decisions after the first that were seen
    process_cpu: float | None
    broker_cpu: float | None

    @property
    def rate(self) -> float:
        return self.counted / (self.last - self.first)

    def figures(self, name: str) -> list[Figure]:
        figures = []
        if self.process_cpu is not None:
            figures.append(Figure(f"{name}'s CPU for each instruction", self.process_cpu / self.counted * 1e6, "µs"))
            figures.append(Figure(f"{name}'s share of a core", 100 * self.process_cpu / (self.last - self.first), "%"))
        if self.broker_cpu is not None:
            figures.append(
                Figure(f"broker's CPU for each instruction of the {name}", self.broker_cpu / self.counted * 1e6, "µs")
            )
        return figures


def measure(sizes: Sizes, broker: Broker) -> Section:
    messages = messages_of(values(sizes.throughput))
    return asyncio.run(_measure(sizes, broker, messages))


def messages_of(encoded: Sequence[bytes]) -> list[Message]:
    """Messages with the key that the default pack asks for."""
    return [(decoded(value).jurisdiction.encode(), value, []) for value in encoded]


async def _measure(sizes: Sizes, broker: Broker, messages: list[Message]) -> Section:
    settings = await broker.topics("worker")
    await publish(settings, messages)
    ours = await _run(broker, settings, broker.worker(settings), len(messages))

    first_pack = broker.folder / "first-pack"
    write_first(first_pack)
    settings_first = (await broker.topics("first")).model_copy(update={"rules_dir": first_pack})
    await publish(settings_first, messages)
    first = await _run(broker, settings_first, broker.worker(settings_first), len(messages))

    few = messages[: sizes.ordinary]
    settings_ordinary = await broker.topics(ordinary_app.NAME)
    await _create_changelogs(settings_ordinary)
    await publish(settings_ordinary, few)
    variables = {
        ordinary_app.BROKER: broker.address,
        ordinary_app.FOLDER: str(settings_ordinary.data_dir),
    }
    app = broker.process(ordinary_app.NAME, ["-m", "benchmarks.ordinary_app"], variables)
    ordinary = await _run(broker, settings_ordinary, app, len(few), markers=0)

    theirs = await _verdicts(settings_ordinary, len(few))
    own = await _verdicts(settings_first, len(messages))
    await _verdicts(settings, len(messages))
    agreed = sum(own[key] == verdict for key, verdict in theirs.items())
    return Section(
        "throughput",
        f"(b) Kafka to Kafka: {len(messages):,} instructions on {PARTITIONS} partitions, Apache Kafka on this machine, "
        "one worker process",
        (
            Figure("first decision to last", ours.rate, "instructions/s", AIM),
            Figure("start of the process to last decision", len(messages) / ours.last, "instructions/s"),
            Figure("start of the process to first decision", ours.first, "s"),
            *ours.figures("worker"),
            Figure("first pack, first decision to last", first.rate, "instructions/s"),
            Figure(f"ordinary Faust app, first pack, {len(few):,} instructions", ordinary.rate, "instructions/s"),
            *ordinary.figures("ordinary app"),
            Figure("ratio, first pack", first.rate / ordinary.rate, "times", AIM_RATIO),
        ),
        (
            f"every instruction got one decision; {agreed:,} of {len(few):,} verdicts of the ordinary app are ours",
            f"the default pack, but for the comparison with the ordinary app: {len(FIRST)} rules of it, the first pack",
            "broker and worker share the cores of this machine",
        ),
    )


async def publish(settings: Settings, messages: Sequence[Message]) -> None:
    """Publishes messages, acknowledged."""
    async with payments_producer(settings) as producer:
        for start in range(0, len(messages), 1000):
            await send_payments(settings, producer, list(messages[start : start + 1000]))


async def _create_changelogs(settings: Settings) -> None:
    """The ordinary app's: created by Faust at its start, they are at times not all there when they are first needed."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        names = [table.changelog_topic_name for table in ordinary_app.app.tables.values()]
        wanted = [NewTopic(name, PARTITIONS, 1, topic_configs={"cleanup.policy": "compact"}) for name in names]
        await admin.create_topics(wanted)
    finally:
        await admin.close()


async def _run(
    broker: Broker,
    settings: Settings,
    starting: AbstractContextManager[Process],
    expected: int,
    markers: int = PARTITIONS,
) -> Run:
    """Runs a process until it has published so many decisions. `markers` is how many records besides them it leaves on
    their topic: our worker one on each partition that it takes over.
    """
    tps = partitions(settings, "decisions")
    async with AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False) as consumer:
        started = seen_at = monotonic()
        with starting as process:
            seen, first_seen = 0, 0
            first, before = 0.0, _used(process, broker)
            while seen < expected:
                found = sum((await consumer.end_offsets(tps)).values()) - markers
                now = monotonic()
                if found > seen:
                    if seen <= 0:
                        first_seen, first, before = found, now - started, _used(process, broker)
                    seen, seen_at = found, now
                elif now - seen_at > _PATIENCE_SECONDS:
                    raise BenchmarkError(f"{seen:,} of {expected:,} decisions: {process.last_words()}")
                process.check()
                await asyncio.sleep(_POLL_SECONDS)
            after = _used(process, broker)
            await asyncio.to_thread(process.popen.terminate)
    if seen_at - started == first:
        raise BenchmarkError(f"all {expected:,} decisions came at once: too few instructions to measure")
    return Run(first, seen_at - started, expected - first_seen, *map(_difference, before, after))


def _used(process: Process, broker: Broker) -> tuple[float | None, float | None]:
    return cpu_seconds(process.pid), cpu_seconds(broker.pid)


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


async def _verdicts(settings: Settings, expected: int) -> dict[bytes, str]:
    """The verdict on each instruction, by id. Raises BenchmarkError unless each has exactly one."""
    tps = partitions(settings, "decisions")
    decode = msgspec.json.Decoder(_Decision).decode
    verdicts: dict[bytes, str] = {}
    read = 0
    async with AIOKafkaConsumer(
        **client_options(settings), enable_auto_commit=False, auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign(tps)
        while read < expected:
            fetched = await consumer.getmany(timeout_ms=1000)
            for record in (record for records in fetched.values() for record in records):
                verdicts[record.key] = decode(record.value).verdict
                read += 1
    if len(verdicts) != expected or read != expected:
        raise BenchmarkError(f"{read:,} decisions on {len(verdicts):,} of {expected:,} instructions")
    return verdicts


def partitions(settings: Settings, name: str) -> list[TopicPartition]:
    """All partitions of a topic of the contract."""
    return [TopicPartition(settings.topic(name), number) for number in range(settings.partitions)]
