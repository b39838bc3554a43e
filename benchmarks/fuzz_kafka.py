"""Hostile messages through a real worker on Apache Kafka: `python -m benchmarks.fuzz_kafka --count 20000 --seed 1`.

What comes out is held against `contract`, asked with the records as they lie on the payments topic: each has one
decision or one dead letter with its bytes, or is a duplicate and has neither. Exit status 1 when any has not.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer

from benchmarks.contract import ACCEPTED, DUPLICATE, Contract
from benchmarks.fuzz import SHOWN
from benchmarks.hostile import message
from benchmarks.services import Broker, apache_kafka
from benchmarks.throughput import partitions
from treasury_watch.adapters.kafka.connection import client_options
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.kafka.publish import payments_producer
from treasury_watch.adapters.kafka.publisher import Output, acknowledged, send
from treasury_watch.adapters.settings import Settings

_MOST_BYTES = 900_000  # what the payments topic takes of a message
_CHUNK = 1_000
_PATIENCE_SECONDS = 120.0  # without a new outcome


async def run(broker: Broker, seed: int, numbers: Iterable[int]) -> tuple[Counter[str], list[str]]:
    """How many messages came to what, and those that were treated otherwise than the contract says."""
    settings = await broker.topics("hostile")
    await publish(settings, seed, numbers)
    payments = await read(settings, "payments")
    with broker.worker(settings) as worker:
        outcomes = await read(
            settings, "decisions", "dead-letters", until=_expected(settings, payments), check=worker.check
        )
    return held_against(settings, payments, outcomes)


async def publish(settings: Settings, seed: int, numbers: Iterable[int]) -> None:
    """Sends the messages of these numbers; where there is no key, to any partition."""
    partition_of = partitioner_of(settings.partitioner, settings.partitions)
    waiting: defaultdict[int, list[Output]] = defaultdict(list)
    async with payments_producer(settings) as producer:

        async def flush() -> None:
            sent = [each for number, outputs in waiting.items()
                    for each in await send(producer, settings.topic("payments"), number, outputs)]  # fmt: skip
            waiting.clear()
            await acknowledged(sent)

        for number in numbers:
            each = message(seed, number)
            partition = number % settings.partitions if each.key is None else partition_of(each.key)
            value = each.value and each.value[:_MOST_BYTES]
            waiting[partition].append((each.key, value, []))
            if number % _CHUNK == 0:
                await flush()
        await flush()


async def read(settings: Settings, *topics: str, until: int = 0, check: Any = None) -> list[Any]:
    """All records of topics; waits until there are so many, as long as more come."""
    records: list[Any] = []
    tps = [tp for topic in topics for tp in partitions(settings, topic)]
    async with AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False) as consumer:
        consumer.assign(tps)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(tps)
        patience = _PATIENCE_SECONDS
        while patience > 0 and (len(records) < until or any([await consumer.position(tp) < ends[tp] for tp in tps])):
            fetched = [each for part in (await consumer.getmany(timeout_ms=500)).values() for each in part]
            records += fetched
            patience = _PATIENCE_SECONDS if fetched else patience - 0.5
            if check is not None:
                check()
    return records


def held_against(settings: Settings, payments: list[Any], outcomes: list[Any]) -> tuple[Counter[str], list[str]]:
    found: defaultdict[tuple[int, int], list[Any]] = defaultdict(list)
    for each in outcomes:
        headers = {name: value.decode() for name, value in each.headers}
        found[int(headers["source_partition"]), int(headers["source_offset"])].append((headers.get("reason"), each))
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for record, expected in zip(payments, _expectations(settings, payments), strict=True):
        told = found.pop((record.partition, record.offset), [])
        counts[expected] += 1
        if [reason or ACCEPTED for reason, _ in told] != ([] if expected == DUPLICATE else [expected]):
            wrong.append(
                f"{record.partition}:{record.offset}: {[each for each, _ in told]}, by the contract {expected}"
            )
        elif told and expected != ACCEPTED and (told[0][1].key, told[0][1].value) != (record.key, record.value):
            wrong.append(f"{record.partition}:{record.offset}: its dead letter is not the message")
    wrong += [f"{position}: outcomes of no message" for position in found]
    return counts, wrong


def _expectations(settings: Settings, payments: list[Any]) -> list[str]:
    partition_of = partitioner_of(settings.partitioner, settings.partitions)
    contracts = [Contract(partition_of, number) for number in range(settings.partitions)]
    return [contracts[each.partition].expects(each) for each in payments]


def _expected(settings: Settings, payments: list[Any]) -> int:
    return sum(each != DUPLICATE for each in _expectations(settings, payments))


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.fuzz_kafka", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="how many messages")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with apache_kafka() as broker:
        counts, wrong = asyncio.run(run(broker, arguments.seed, range(arguments.count)))
    print(f"{counts.total():,} messages: " + ", ".join(f"{told} {count:,}" for told, count in sorted(counts.items())))
    print(f"treated otherwise: {len(wrong)}")
    for each in wrong[:SHOWN]:
        print(each, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
