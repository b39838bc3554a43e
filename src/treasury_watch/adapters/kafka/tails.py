"""What the output topics hold already: the last message of the source for which each of them has a record.

Records stand on an output partition in the order of their messages, so nothing up to its last one is missing there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.reader import reader
from treasury_watch.adapters.settings import Settings

OUTCOMES = ("decisions", "intercepts", "warnings", "dead-letters")  # topics of the contract that outcomes become
NOTHING = -1  # before the first offset

Tails = Mapping[str, int]  # topic of the contract → offset on the payments topic, NOTHING for an empty one

_Stretch = tuple[int, int | None]  # offsets: from, and up to; None for the end

_POLL_MS = 20
_STEP_GROWTH = 4


def source_offset(headers: Iterable[tuple[str, bytes]], topic: str = "payments") -> int | None:
    """Of which message of a topic of the contract a record is an outcome; None for one of another topic's, or that is
    not the worker's. Only dead letters say of which topic they are: the rest is of payments.
    """
    said = dict(headers)
    offset = said.get("source_offset", b"")
    if not said.get("source_topic", b"payments").endswith(topic.encode()) or not offset.isdigit():
        return None
    return int(offset)


async def read_tails(settings: Settings, partitions: Sequence[int]) -> dict[int, Tails]:
    """The tails of each partition, of all that brokers had acknowledged when it was called.

    Raises BrokerError when no broker answers, and when outcomes lie past the end of the payments topic: it was made
    anew or lost messages, and what comes now would be taken for published.
    """
    payments = settings.topic("payments")
    sources = {TopicPartition(payments, number) for number in partitions}
    outputs = {TopicPartition(settings.topic(name), number) for name in OUTCOMES for number in partitions}
    async with reader(settings, [], max_wait_ms=_POLL_MS) as consumer:
        last, ends = await _last_offsets(consumer, outputs, sources)
    for tp, offset in sorted(last.items()):
        end = ends[TopicPartition(payments, tp.partition)]
        if offset >= end:
            raise BrokerError(
                f"{tp.topic}[{tp.partition}] ends with the outcome of offset {offset}, but {payments}[{tp.partition}] "
                f"ends before offset {end}: it was made anew or lost messages, and new ones would be taken for "
                "published; use another topic prefix, or have payments and outputs restored together"
            )
    return {
        number: {name: last.get(TopicPartition(settings.topic(name), number), NOTHING) for name in OUTCOMES}
        for number in partitions
    }


async def end_of_payments(settings: Settings, partition: int) -> int:
    """The offset behind the last message of a partition of the payments. Raises BrokerError."""
    tp = TopicPartition(settings.topic("payments"), partition)
    async with reader(settings, [], max_wait_ms=_POLL_MS) as consumer:
        _, ends = await _last_offsets(consumer, set(), {tp})
    return ends[tp]


async def _last_offsets(
    consumer: AIOKafkaConsumer, outputs: set[TopicPartition], sources: set[TopicPartition]
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Of each output partition the last source offset, where there is one; of each source its end."""
    tps = outputs | sources
    begins = await consumer.beginning_offsets(list(tps)) if tps else {}
    guesses = await consumer.end_offsets(list(tps)) if tps else {}
    ends: dict[TopicPartition, int] = {tp: begins[tp] for tp in tps if guesses[tp] <= begins[tp]}
    last: dict[TopicPartition, int] = {}
    # The end is that of the first fetch: the embedded broker's answer to "where is the end" is wrong after a batch.
    stretches: dict[TopicPartition, _Stretch] = {tp: (guesses[tp] - 1, None) for tp in tps - ends.keys()}
    step = 1
    while stretches:
        ends = await _read(consumer, stretches, last) | ends
        # Behind the last record there may be any number of end markers: farther back, in longer and longer stretches.
        stretches = {
            tp: (max(begin - step, begins[tp]), begin)
            for tp, (begin, _) in stretches.items()
            if tp in outputs and tp not in last and begin > begins[tp]
        }
        step *= _STEP_GROWTH
    return last, ends


async def _read(
    consumer: AIOKafkaConsumer, stretches: Mapping[TopicPartition, _Stretch], last: dict[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Reads each partition from an offset up to another, or to its end where that is None; returns where those are."""
    consumer.assign(list(stretches))
    for tp, (begin, _) in stretches.items():
        consumer.seek(tp, begin)
    ends: dict[TopicPartition, int] = {tp: end for tp, (_, end) in stretches.items() if end is not None}
    waiting = set(stretches)
    while waiting:
        fetched = await consumer.getmany(*waiting, timeout_ms=_POLL_MS)
        for tp, records in fetched.items():
            for record in records:
                offset = source_offset(record.headers)
                if offset is not None and record.offset < ends.get(tp, record.offset + 1):
                    last[tp] = offset
        for tp in list(waiting):
            end = consumer.last_stable_offset(tp)
            if tp not in ends and end is not None:
                ends[tp] = end
            if tp in ends and await consumer.position(tp) >= ends[tp]:
                waiting.discard(tp)
    return ends
