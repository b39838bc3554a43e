"""(g) Recovery: a worker is killed, and another one starts. How long until its first verdict, by what is remembered.

And what it costs to be able to: bytes of state for each instruction.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic

from aiokafka import AIOKafkaConsumer

from benchmarks.figures import Aim, Figure, Section
from benchmarks.metricspage import metrics_of
from benchmarks.services import BenchmarkError, Broker, Process
from benchmarks.sizes import Sizes
from benchmarks.throughput import messages_of, partitions, publish
from benchmarks.workload import values
from treasury_watch.adapters.kafka.connection import client_options
from treasury_watch.adapters.kafka.publish import Message
from treasury_watch.adapters.settings import Settings

AIM = Aim(10, at_most=True)
_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 120.0
_AIMED_KEYS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Recovered:
    keys: int
    seconds: float
    taking_over: float
    bytes_each: float
    restored: int


def measure(sizes: Sizes, broker: Broker) -> Section:
    """One run for each size, each on topics of its own."""
    every = messages_of(values(max(sizes.recovery) + 1))
    found = [asyncio.run(_recover(broker, count, every)) for count in sizes.recovery]
    figures = []
    for each in found:
        name = f"{each.keys:,} keys and ids"
        figures += [
            Figure(f"{name}: start of the process to first new verdict", each.seconds, "s", AIM),
            Figure(f"{name}: of it taking the partitions over", each.taking_over, "s"),
            Figure(f"{name}: state written for each instruction", each.bytes_each, "bytes"),
        ]
    return Section(
        "recovery",
        f"(g) Recovery: a worker killed after {', '.join(f'{count:,}' for count in sizes.recovery)} instructions, and "
        "another one started at once",
        tuple(figures),
        (
            f"the aim is for {_AIMED_KEYS:,} keys; all partitions are restored from their states, "
            f"{', '.join(str(each.restored) for each in found)} of them",
            "the next worker starts at once: the brokers' session timeout of the killed one, 6 s, is in the figures",
            "at 1,000 instructions/s the bytes for each instruction are kB/s",
        ),
    )


async def _recover(broker: Broker, count: int, messages: list[Message]) -> _Recovered:
    settings = await broker.topics(f"recovery-{count}")
    await publish(settings, messages[:count])
    async with AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False) as consumer:
        with broker.worker(settings) as process:
            await _decided(consumer, settings, count, 1, process)
            await asyncio.sleep(1)  # what changed is written every 200 ms
            before = await asyncio.to_thread(metrics_of, settings)
            process.popen.kill()
            await asyncio.to_thread(process.popen.wait)
        await publish(settings, messages[count : count + 1])
        started = monotonic()
        with broker.worker(settings) as process:
            await _decided(consumer, settings, count + 1, 2, process)
            seconds = monotonic() - started
            after = await asyncio.to_thread(metrics_of, settings)
    return _Recovered(
        round(before["treasury_watch_state_keys"]),
        seconds,
        after["treasury_watch_rebuild_seconds"],
        before["treasury_watch_state_bytes_total"] / count,
        round(after["treasury_watch_restored_partitions_total"]),
    )


async def _decided(
    consumer: AIOKafkaConsumer, settings: Settings, count: int, taken_over: int, process: Process
) -> None:
    """Waits until there are so many decisions. Every time that partitions are taken over leaves a marker on each."""
    wanted = count + taken_over * settings.partitions
    seen, seen_at = -1, monotonic()
    while seen < wanted:
        found = sum((await consumer.end_offsets(partitions(settings, "decisions"))).values())
        if found > seen:
            seen, seen_at = found, monotonic()
        elif monotonic() - seen_at > _PATIENCE_SECONDS:
            raise BenchmarkError(f"{seen:,} of {wanted:,} records of decisions: {process.last_words()}")
        process.check()
        await asyncio.sleep(_POLL_SECONDS)
