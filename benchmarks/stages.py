"""(e) What each stage of the worker costs an instruction: CPU of this process, the least of some repetitions."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import process_time, time
from typing import Any

import numpy as np
from aiokafka import AIOKafkaConsumer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import ConsumerRecord

from benchmarks.figures import Figure, Section
from benchmarks.services import PARTITIONS, BenchmarkError, Broker
from benchmarks.sizes import BATCH, Sizes
from benchmarks.throughput import messages_of, partitions, publish
from benchmarks.workload import default_program, values
from treasury_watch.adapters.kafka.admission import Admission, Record
from treasury_watch.adapters.kafka.connection import client_options
from treasury_watch.adapters.kafka.driver import OUTPUT_BATCH_BYTES
from treasury_watch.adapters.kafka.publish import Message, payments_producer
from treasury_watch.adapters.kafka.publisher import Judged, Output, outputs_of, utc_now
from treasury_watch.adapters.metrics import Metrics
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.wire import decode_batch
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Refusal
from treasury_watch.engine import Engine, Program

Outputs = list[dict[str, list[Output]]]  # by slice, then by topic of the contract
Costs = dict[str, float]  # seconds of CPU by stage


@contextmanager
def stage(costs: Costs, name: str) -> Iterator[None]:
    started = process_time()
    yield
    costs[name] = costs.get(name, 0.0) + process_time() - started


def measure(sizes: Sizes, broker: Broker | None) -> Section:
    """Without a broker, what fetches and sends is left out."""
    messages = messages_of(values(sizes.stages))
    least = asyncio.run(_measure(sizes.repetitions, messages, broker))
    each = {name: seconds / len(messages) * 1e6 for name, seconds in least.items()}
    together = sum(each.values())
    notes = ["of the worker's own steps, without Faust; an instruction's decision and its case, if any, included"]
    if broker is None:
        notes.append("fetch and send need Apache Kafka, and are missing here")
    return Section(
        "stages",
        f"(e) CPU of each stage: {len(messages):,} instructions, batches of {BATCH}, least of {sizes.repetitions}",
        (
            *(Figure(name, cost, "µs") for name, cost in each.items()),
            Figure("together", together, "µs"),
            Figure("one core could do no more than", 1e6 / together, "instructions/s"),
        ),
        tuple(notes),
    )


async def _measure(repetitions: int, messages: Sequence[Message], broker: Broker | None) -> Costs:
    records = [_record(offset, *message[:2]) for offset, message in enumerate(messages)]
    program = default_program()
    judging: list[Costs] = []
    outputs: Outputs = []
    for _ in range(repetitions):
        costs, outputs = _judge_all(program, records)
        judging.append(costs)
    appending = [_append_all(outputs, _empty_batch)[0] for _ in range(repetitions)]
    judged, appended = _least(judging), _least(appending)
    if broker is None:
        return judged | appended
    settings = await broker.topics("stages")
    await publish(settings, messages)
    fetching = await _fetch_all(settings, len(messages), repetitions)
    sending = await _send_all(settings, outputs, repetitions)
    return fetching | judged | appended | sending


def _record(offset: int, key: bytes, value: bytes) -> Record:
    now_ms = int(time() * 1000)
    record: Record = ConsumerRecord("payments", 0, offset, now_ms, 1, key, value, None, len(key), len(value), ())
    return record


def _judge_all(program: Program, records: Sequence[Record]) -> tuple[Costs, Outputs]:
    engine, admission = Engine(program), Admission(program.ruleset.partition_by, lambda key: 0, 0)
    metrics = Metrics(program.ruleset)
    costs: Costs = {}
    outputs: Outputs = []
    gc.collect()
    for start in range(0, len(records), BATCH):
        part = records[start : start + BATCH]
        with stage(costs, "decode"):
            decoded, _ = decode_batch([record.value for record in part])
        with stage(costs, "admit"):
            admitted = admission.check(part, decoded)
        with stage(costs, "assess"):
            assessed = iter(engine.assess([each for each in admitted if isinstance(each, Instruction)]))
            judged = Judged(
                part, admitted, [each if isinstance(each, Refusal) else next(assessed) for each in admitted]
            )
        with stage(costs, "encode"):
            outputs.append(outputs_of(judged, "payments", 0, utc_now()))
        with stage(costs, "absorb"):
            engine.absorb()
        with stage(costs, "count"):
            metrics.count(judged.outcomes)
            received = np.array([record.timestamp for record in part], dtype=np.float64)
            metrics.latency.observe(np.maximum(time() - received / 1000, 0.0))
    return costs, outputs


def _append_all(outputs: Outputs, new_batch: Callable[[], Any]) -> tuple[Costs, list[tuple[str, Any]]]:
    """Fills a batch of the producer's for each slice and topic; with the name of its topic, each."""
    costs: Costs = {}
    batches = []
    with stage(costs, "append to batches"):
        for by_topic in outputs:
            for name, messages in by_topic.items():
                if messages:
                    batch = new_batch()
                    for key, value, headers in messages:
                        batch.append(timestamp=None, key=key, value=value, headers=headers)
                    batches.append((name, batch))
    if sum(batch.record_count() for _, batch in batches) != sum(
        len(each) for some in outputs for each in some.values()
    ):
        raise BenchmarkError(f"a slice's decisions do not fit in {OUTPUT_BATCH_BYTES:,} bytes")
    return costs, batches


def _empty_batch() -> Any:
    return BatchBuilder(OUTPUT_BATCH_BYTES, 0)


async def _send_all(settings: Settings, outputs: Outputs, repetitions: int) -> Costs:
    runs: list[Costs] = []
    async with payments_producer(settings) as client:
        for _ in range(repetitions):
            _, batches = _append_all(outputs, client.create_batch)
            costs: Costs = {}
            with stage(costs, "send, acknowledged"):
                sent = [
                    await client.send_batch(batch, settings.topic(name), partition=number % PARTITIONS)
                    for number, (name, batch) in enumerate(batches)
                ]
                await asyncio.gather(*sent)
            runs.append(costs)
    return _least(runs)


async def _fetch_all(settings: Settings, count: int, repetitions: int) -> Costs:
    runs: list[Costs] = []
    async with AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False) as consumer:
        consumer.assign(partitions(settings, "payments"))
        for _ in range(repetitions):
            costs: Costs = {}
            with stage(costs, "fetch"):
                await consumer.seek_to_beginning()
                fetched = 0
                while fetched < count:
                    fetched += sum(map(len, (await consumer.getmany(timeout_ms=1000)).values()))
            runs.append(costs)
    return _least(runs)


def _least(runs: Sequence[Costs]) -> Costs:
    return {name: min(run[name] for run in runs) for name in runs[0]}
