"""What follows from a batch, as records on the output topics, sent in the brokers' own batches.

aiokafka's `send` costs about 10 µs per message, its batch API 3.6. Records keep their order on each output partition,
which has the number of the source partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from treasury_watch.adapters.kafka.admission import Record
from treasury_watch.adapters.kafka.driver import Producer
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.wire import encode_case, encode_decision, stamp
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Outcome, Refusal

CASE_TOPICS = {"warn": "warnings", "intercept": "intercepts", "prohibit": "intercepts"}

Header = tuple[str, bytes]
Output = tuple[bytes | None, bytes | None, list[Header]]  # key, value, headers


class PublishError(Exception):
    """The brokers did not take what was to be published: which topic and partition, and why."""


class Judged(NamedTuple):
    """Messages of one partition of the payments topic, in order, and what came of each."""

    records: Sequence[Record]
    admitted: Sequence[Instruction | Refusal]
    outcomes: Sequence[Outcome]


class Publisher:
    """Sends the outcomes of a partition's messages. Nothing is swallowed: each failure reaches `acknowledged`."""

    def __init__(self, settings: Settings, producer: Producer) -> None:
        self._producer = producer
        self._payments = settings.topic("payments")
        self._topics = {name: settings.topic(name) for name in ("decisions", "intercepts", "warnings", "dead-letters")}

    async def send(self, partition: int, judged: Judged) -> list[Sent]:
        """Hands the outcomes to the producer; they are in the brokers' hands once `acknowledged` has returned.

        Raises PublishError when the producer does not take them.
        """
        outputs = outputs_of(judged, self._payments, partition, utc_now())
        sent: list[Sent] = []
        for name, messages in outputs.items():
            if messages:
                sent += await send(self._producer.client, self._topics[name], partition, messages)
        return sent


class Sent(NamedTuple):
    """A batch of records on its way to a topic's partition."""

    topic: str
    partition: int
    future: asyncio.Future[Any]


async def send(client: AIOKafkaProducer, topic: str, partition: int, messages: Sequence[Output]) -> list[Sent]:
    """Hands messages to a producer in as few batches as they fit in, in order. Raises PublishError."""
    sent: list[Sent] = []
    try:
        batch = client.create_batch()
        for key, value, headers in messages:
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:  # it is full
                sent.append(Sent(topic, partition, await client.send_batch(batch, topic, partition=partition)))
                batch = client.create_batch()
                batch.append(timestamp=None, key=key, value=value, headers=headers)  # an empty one takes any
        sent.append(Sent(topic, partition, await client.send_batch(batch, topic, partition=partition)))
    except (KafkaError, AssertionError) as error:  # aiokafka asserts that the partition exists
        raise PublishError(_failure(topic, partition, error)) from error
    return sent


async def acknowledged(sent: Sequence[Sent]) -> None:
    """Waits until all in-sync replicas have everything. Raises PublishError for the first that failed."""
    results = await asyncio.gather(*(each.future for each in sent), return_exceptions=True)
    for each, result in zip(sent, results, strict=True):
        if isinstance(result, BaseException):
            raise PublishError(_failure(each.topic, each.partition, result)) from result


def outputs_of(judged: Judged, source: str, partition: int, now: str) -> dict[str, list[Output]]:
    """The records that outcomes become, by topic of the contract: decisions, intercepts, warnings, dead-letters.

    `now` (RFC 3339) is when they were decided, or refused; `source` is the name of the payments topic.
    """
    decisions: list[Output] = []
    outputs: dict[str, list[Output]] = {"decisions": decisions, "intercepts": [], "warnings": [], "dead-letters": []}
    source_partition = ("source_partition", str(partition).encode())
    for record, admitted, outcome in zip(*judged, strict=True):
        if isinstance(outcome, Decision):
            key = outcome.instruction_id.encode()
            headers = [source_partition, ("source_offset", str(record.offset).encode())]
            decisions.append((key, stamp(encode_decision(outcome), now), headers))
            if outcome.verdict != "pass" and isinstance(admitted, Instruction):
                case = stamp(encode_case(outcome, admitted), now)
                outputs[CASE_TOPICS[outcome.verdict]].append((key, case, headers))
        elif isinstance(outcome, Refusal):
            headers = [
                ("reason", outcome.reason.encode()),
                ("detail", outcome.detail.encode()),
                ("source_topic", source.encode()),
                source_partition,
                ("source_offset", str(record.offset).encode()),
                ("failed_at", now.encode()),
            ]
            outputs["dead-letters"].append((record.key, record.value, headers))
    return outputs


def utc_now() -> str:
    """The time of the edge, RFC 3339 in UTC to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _failure(topic: str, partition: int, error: BaseException) -> str:
    return f"{topic}[{partition}] did not take what was to be published: {type(error).__name__}: {error}"
