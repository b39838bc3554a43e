"""Overload: ten times what one worker can do, for a minute. `python -m benchmarks.overload --seconds 60 --times 10`.

First the worker's rate is measured, with payments that lie there already. Then so many times that rate is published,
and what grows is noted each second: lag and memory. Then it catches up, and everything is counted: one decision for
each payment, in the order of each partition. What the worker holds grows with the payments that it has judged, since
their windows and ids are kept; it must not grow with those that wait. Broker and publisher share the worker's cores.
Exit status 1 when something is lost, comes twice or is out of order.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer

from benchmarks.services import BenchmarkError, Broker, Process, apache_kafka
from benchmarks.throughput import messages_of, partitions
from benchmarks.workload import values
from treasury_watch.adapters.kafka.connection import client_options
from treasury_watch.adapters.kafka.publish import Message, payments_producer, send_payments
from treasury_watch.adapters.settings import Settings

_CHUNK = 2_000
_TEMPLATES = 5_000
_PATIENCE_SECONDS = 180.0  # without a new decision


class Sample(NamedTuple):
    """Seconds since the overload began, payments without a decision, and MB that the worker holds."""

    seconds: float
    lag: int
    resident: float


@dataclass
class Result:
    """What happened; rates in payments a second, memory in MB of the worker process."""

    published: int = 0
    rate_alone: float = 0.0
    rate_published: float = 0.0
    seconds_published: float = 0.0
    seconds_until_caught_up: float = 0.0  # after the last was published
    message_bytes: float = 0.0  # on average
    resident_before: float = 0.0
    resident_at_end: float = 0.0  # of the overload, when most payments wait
    resident_after: float = 0.0
    decided: int = 0
    twice: int = 0
    out_of_order: int = 0
    samples: list[Sample] = field(default_factory=list)

    @property
    def largest_lag(self) -> int:
        return max((each.lag for each in self.samples), default=0)

    @property
    def is_whole(self) -> bool:
        return (self.decided, self.twice, self.out_of_order) == (self.published, 0, 0)


class Payments:
    """Payments with ids of their own, made of a few that are like those of a city."""

    def __init__(self) -> None:
        self._templates = messages_of(values(_TEMPLATES))
        self.message_bytes = sum(len(value) for _, value, _ in self._templates) / _TEMPLATES
        self._count = 0

    def some(self, count: int) -> list[Message]:
        """So many that there were not yet."""
        made: list[Message] = []
        for number in range(self._count, self._count + count):
            key, value, headers = self._templates[number % _TEMPLATES]
            made.append((key, value.replace(b'{"instruction_id":"', b'{"instruction_id":"%d-' % number, 1), headers))
        self._count += count
        return made


async def run(broker: Broker, seconds: float, times: float, first: int) -> Result:
    """Overloads a worker. `first`: payments by which its rate is measured before."""
    settings = await broker.topics("overload")
    payments = Payments()
    result = Result(message_bytes=payments.message_bytes)
    async with (
        payments_producer(settings) as producer,
        AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False) as consumer,
    ):
        for _ in range(0, first, _CHUNK):
            await send_payments(settings, producer, payments.some(_CHUNK))
            result.published += _CHUNK
        with broker.worker(settings) as worker:
            watch = _Watch(settings, consumer, worker)
            await watch.until(1)
            begun, already = monotonic(), watch.decided
            await watch.until(result.published)
            result.rate_alone = (watch.decided - already) / (monotonic() - begun)
            result.resident_before = watch.resident_mb()

            started = monotonic()
            noting = asyncio.create_task(watch.note(result, started))
            watching = asyncio.create_task(watch.until(sys.maxsize))
            while (passed := monotonic() - started) < seconds or result.published == first:
                behind = passed * times * result.rate_alone - (result.published - first)
                if behind < _CHUNK:
                    await asyncio.sleep(0.01)
                    continue
                await send_payments(settings, producer, payments.some(_CHUNK))
                result.published += _CHUNK
            result.seconds_published = monotonic() - started
            result.rate_published = (result.published - first) / result.seconds_published
            result.resident_at_end = watch.resident_mb()
            watching.cancel()
            await watch.until(result.published)
            result.seconds_until_caught_up = monotonic() - started - result.seconds_published
            noting.cancel()
            result.resident_after = watch.resident_mb()
    await _count(settings, result)
    return result


class _Watch:
    """What is to be seen of a worker from outside."""

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer, worker: Process) -> None:
        self._worker = worker
        self._consumer = consumer
        self._tps = partitions(settings, "decisions")
        self.decided = 0

    async def until(self, decided: int) -> None:
        """Waits until so many decisions are published. Raises BenchmarkError when no more come."""
        patience = monotonic() + _PATIENCE_SECONDS
        while self.decided < decided:
            self._worker.check()
            # Besides decisions, a worker leaves a marker on each partition that it takes over.
            found = sum((await self._consumer.end_offsets(self._tps)).values()) - len(self._tps)
            if found > self.decided:
                patience = monotonic() + _PATIENCE_SECONDS
            elif monotonic() > patience:
                raise BenchmarkError(f"{found:,} of {decided:,} decisions: {self._worker.last_words()}")
            self.decided = max(found, 0)
            await asyncio.sleep(0.05)

    async def note(self, result: Result, started: float) -> None:
        """Notes each second how far the worker is behind, and what it holds."""
        while True:
            sample = Sample(round(monotonic() - started, 1), result.published - self.decided, self.resident_mb())
            result.samples.append(sample)
            await asyncio.sleep(1.0)

    def resident_mb(self) -> float:
        """What the worker's process holds; 0 on a system without /proc."""
        try:
            pages = int(Path(f"/proc/{self._worker.pid}/statm").read_text().split()[1])
        except OSError:
            return 0.0
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


async def _count(settings: Settings, result: Result) -> None:
    """Counts the decisions, by what they are of."""
    tps = partitions(settings, "decisions")
    newest: dict[int, int] = {}
    seen: set[tuple[int, int]] = set()
    async with AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False) as consumer:
        consumer.assign(tps)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(tps)
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    offset = int(dict(record.headers)["source_offset"])
                    position = (record.partition, offset)
                    result.twice += position in seen
                    result.out_of_order += offset < newest.get(record.partition, -1)
                    seen.add(position)
                    newest[record.partition] = offset
    result.decided = len(seen)


def text_of(result: Result) -> str:
    """The result in a few lines."""
    return f"""\
alone                {result.rate_alone:>10,.0f} payments/s
published            {result.rate_published:>10,.0f} payments/s for {result.seconds_published:.0f} s, \
{result.rate_published / result.rate_alone:.1f} times as many
largest lag          {result.largest_lag:>10,} payments, {result.largest_lag * result.message_bytes / 1e6:,.0f} MB
caught up after      {result.seconds_until_caught_up:>10,.0f} s more
resident             {result.resident_before:>10,.1f} MB before, {result.resident_at_end:,.1f} when it ended, \
{result.resident_after:,.1f} when it had caught up
decided              {result.decided:>10,} of {result.published:,}, {result.twice} twice, \
{result.out_of_order} out of order"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the overload lasts")
    parser.add_argument("--times", type=float, default=10.0, help="how many times the worker's rate is published")
    parser.add_argument("--first", type=int, default=60_000, help="payments by which its rate is measured before")
    parser.add_argument("--json", action="store_true", help="the result as one JSON object")
    arguments = parser.parse_args()
    with apache_kafka() as broker:
        result = asyncio.run(run(broker, arguments.seconds, arguments.times, arguments.first))
    print(json.dumps(asdict(result)) if arguments.json else text_of(result))
    return 0 if result.is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
