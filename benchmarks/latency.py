"""(c) Latency (延迟): from the moment an instruction is due to be sent until its decision is back with its sender.

An open loop: instructions are sent at their time whether or not decisions come back. Sender, worker and broker share
this machine, and its clock.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator, Sequence
from itertools import islice
from time import monotonic, process_time, time
from typing import NamedTuple
from urllib.request import urlopen

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.figures import Aim, Figure, Section, quantile
from benchmarks.services import PARTITIONS, BenchmarkError, Broker, Process, cpu_seconds
from benchmarks.sizes import RATES, Sizes
from benchmarks.throughput import partitions
from benchmarks.workload import decoded, values
from treasury_watch.adapters.kafka.connection import client_options
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.kafka.publish import payments_producer
from treasury_watch.adapters.settings import Settings

AIM, AIM_RATE = Aim(20, at_most=True), 1_000
_QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
_READY_SECONDS = 60.0
_PATIENCE_SECONDS = 30.0  # for the last decisions
_FETCH_WAIT_MS = 10  # so that the sender's own reading adds little


class Message(NamedTuple):
    instruction_id: bytes
    partition: int
    key: bytes
    value: bytes


class Decided(NamedTuple):
    """When a decision was handed to the worker's producer (to the millisecond), and when it was back."""

    handed: float
    received: float


def measure(sizes: Sizes, broker: Broker) -> Section:
    messages = _messages(sum(RATES) * (sizes.latency_seconds + sizes.warm_up_seconds))
    gc.collect()
    gc.freeze()  # what was measured before must not be looked through again and again now
    try:
        return asyncio.run(_measure(sizes, broker, iter(messages)))
    finally:
        gc.unfreeze()


def _messages(count: int) -> list[Message]:
    partition_of = partitioner_of("murmur2", PARTITIONS)
    messages = []
    for value in values(count):
        instruction = decoded(value)
        key = instruction.jurisdiction.encode()
        messages.append(Message(instruction.instruction_id.encode(), partition_of(key), key, value))
    return messages


async def _measure(sizes: Sizes, broker: Broker, messages: Iterator[Message]) -> Section:
    settings = await broker.topics("latency")
    figures: list[Figure] = []
    with broker.worker(settings) as worker:
        await _ready(settings, worker)
        async with (
            payments_producer(settings) as producer,
            AIOKafkaConsumer(
                **client_options(settings), enable_auto_commit=False, fetch_max_wait_ms=_FETCH_WAIT_MS
            ) as consumer,
        ):
            consumer.assign(partitions(settings, "decisions"))
            for rate in RATES:
                some = list(islice(messages, rate * (sizes.warm_up_seconds + sizes.latency_seconds)))
                before = _moment(worker, broker)
                due, decided = await _at_rate(rate, some, settings, producer, consumer)
                shares = _shares(rate, before, _moment(worker, broker))
                figures += [*_figures(rate, some[rate * sizes.warm_up_seconds :], due, decided), *shares]
        await asyncio.to_thread(worker.popen.terminate)
    return Section(
        "latency",
        f"(c) Latency from due to be sent until the decision is back, {sizes.latency_seconds} s at each rate, "
        f"after {sizes.warm_up_seconds} s that are not counted",
        tuple(figures),
        (
            "one client process sends one message at a time and reads the decisions; client, worker and broker share "
            "the cores of this machine",
        ),
    )


async def _ready(settings: Settings, worker: Process) -> None:
    address = f"http://{settings.web_host}:{settings.web_port}/readyz"
    deadline = monotonic() + _READY_SECONDS
    while not await asyncio.to_thread(_answers, address):
        worker.check()
        if monotonic() > deadline:
            raise BenchmarkError(f"the worker did not become ready: {worker.last_words()}")
        await asyncio.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def _at_rate(
    rate: int,
    messages: Sequence[Message],
    settings: Settings,
    producer: AIOKafkaProducer,
    consumer: AIOKafkaConsumer,
) -> tuple[dict[bytes, float], dict[bytes, Decided]]:
    """Sends messages at a rate; when each was due, and when it was decided."""
    due: dict[bytes, float] = {}
    decided: dict[bytes, Decided] = {}

    async def receive() -> None:
        while len(decided) < len(messages):
            fetched = await consumer.getmany(timeout_ms=1000)
            now = time()
            for records in fetched.values():
                for record in records:
                    decided[record.key] = Decided(record.timestamp / 1000, now)

    receiving = asyncio.create_task(receive())
    topic = settings.topic("payments")
    started = time()
    for number, message in enumerate(messages):
        moment = started + number / rate
        if (wait := moment - time()) > 0:
            await asyncio.sleep(wait)
        due[message.instruction_id] = moment
        await producer.send(topic, message.value, message.key, message.partition)
    try:
        await asyncio.wait_for(receiving, _PATIENCE_SECONDS)
    except TimeoutError:
        raise BenchmarkError(f"{len(decided):,} of {len(messages):,} decisions came back") from None
    return due, decided


def _figures(
    rate: int, messages: Sequence[Message], due: dict[bytes, float], decided: dict[bytes, Decided]
) -> Iterator[Figure]:
    ids = [message.instruction_id for message in messages]
    back = sorted((decided[each].received - due[each]) * 1000 for each in ids)
    handed = sorted((decided[each].handed - due[each]) * 1000 for each in ids)
    for name, share in _QUANTILES:
        aim = AIM if (name, rate) == ("p99", AIM_RATE) else None
        yield Figure(f"{rate:,}/s, {name}", quantile(back, share), "ms", aim)
    for name, share in (_QUANTILES[0], _QUANTILES[2]):
        yield Figure(f"{rate:,}/s, {name} until the worker hands the decision over", quantile(handed, share), "ms")


Moment = tuple[float, tuple[float | None, ...]]  # clock; CPU of worker, broker and this process so far


def _moment(worker: Process, broker: Broker) -> Moment:
    return monotonic(), (cpu_seconds(worker.pid), cpu_seconds(broker.pid), process_time())


def _shares(rate: int, before: Moment, after: Moment) -> Iterator[Figure]:
    for name, start, end in zip(("worker", "broker", "client"), before[1], after[1], strict=True):
        if start is not None and end is not None:
            yield Figure(f"{rate:,}/s, {name}'s share of a core", 100 * (end - start) / (after[0] - before[0]), "%")
