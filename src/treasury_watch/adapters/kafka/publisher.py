"""What follows from a batch, as records on the output topics, sent in the brokers' own batches.

aiokafka's `send` costs about 10 µs per message, its batch API 3.6. Records keep their order on each output partition,
which has the number of the source partition, and none of them is sent twice: what an output partition holds already
when its publisher is made is left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from treasury_watch.adapters.kafka.admission import Record
from treasury_watch.adapters.kafka.fencing import Fenced, Identity, fence, keep_alive, refused_as_old
from treasury_watch.adapters.kafka.tails import OUTCOMES, Tails, read_tails, source_offset
from treasury_watch.adapters.metrics import Metrics
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.verdictsigning import signed, signing_key
from treasury_watch.adapters.wire import encode_case, encode_decision, stamp
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Outcome, Refusal

CASE_TOPICS = {"warn": "warnings", "intercept": "intercepts", "prohibit": "intercepts"}

log = logging.getLogger(__name__)

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
    """Sends the outcomes of the messages of one partition. Nothing is swallowed: each failure reaches `acknowledged`.

    Of each output topic only what lies behind its tail is sent. Without an identity nobody is fenced, and brokers may
    take what follows a batch that failed; so what is sent is waited for before more is sent.
    """

    def __init__(
        self,
        settings: Settings,
        client: AIOKafkaProducer,
        metrics: Metrics,
        partition: int,
        identity: Identity | None,
        tails: Tails,
    ) -> None:
        self._client = client
        self._identity = identity
        self._settings = settings
        self._key = signing_key(settings.signing_key_file)
        self._metrics = metrics
        self._partition = partition
        self._tails = tails
        self._last_tail = max(tails.values())
        self._payments = settings.topic("payments")
        self._topics = {name: settings.topic(name) for name in OUTCOMES}

    async def send(self, judged: Judged) -> list[Sent]:
        """Hands the outcomes to the producer; they are in the brokers' hands once `acknowledged` has returned.

        Raises PublishError when the producer does not take them.
        """
        outputs = outputs_of(judged, self._payments, self._partition, utc_now())
        if judged.records[0].offset <= self._last_tail:
            outputs = {name: self._behind_tail(name, messages) for name, messages in outputs.items()}
        sent: list[Sent] = []
        for name, messages in signed(outputs, self._key).items():
            if messages:
                sent += await send(self._client, self._topics[name], self._partition, messages, self._identity)
                if self._identity is None:
                    await acknowledged(sent)
        return sent

    async def send_state(self, records: Sequence[Output]) -> list[Sent]:
        """Hands records of the partition's state to the producer. Raises PublishError."""
        return await self.send_on("state", records)

    async def send_on(self, name: str, records: Sequence[Output]) -> list[Sent]:
        """Hands records for the partition of a topic of the contract to the producer. Raises PublishError."""
        if not records:
            return []
        sent = await send(self._client, self._settings.topic(name), self._partition, records, self._identity)
        if self._identity is None:
            await acknowledged(sent)
        return sent

    @property
    def last_tail(self) -> int:
        """The offset of the last message of which something was there already."""
        return self._last_tail

    async def keep_alive(self) -> None:
        """Has the brokers remember who was shut out. Raises Fenced when that is this worker by now, and BrokerError."""
        if self._identity:
            await keep_alive(self._client, self._settings, self._identity)

    def unpublished(self, judged: Judged) -> Judged:
        """Those of the messages whose decision or dead letter was not there already, with what came of them."""
        if judged.records[0].offset > self._last_tail:
            return judged
        decided, refused = self._tails["decisions"], self._tails["dead-letters"]
        rows = [
            row
            for row in zip(*judged, strict=True)
            if row[0].offset > (refused if isinstance(row[2], Refusal) else decided)
        ]
        return Judged(*map(list, zip(*rows, strict=True))) if rows else Judged([], [], [])

    def _behind_tail(self, name: str, messages: list[Output]) -> list[Output]:
        tail = self._tails[name]
        behind = [each for each in messages if (source_offset(each[2]) or 0) > tail]
        self._metrics.suppressed.inc(len(messages) - len(behind))
        return behind


async def take_outputs(
    settings: Settings,
    client: AIOKafkaProducer,
    metrics: Metrics,
    partitions: Sequence[int],
    abandoned: Callable[[], bool],
) -> dict[int, Publisher]:
    """Shuts out whoever published for these partitions before, then finds out how far they came: a publisher for each.

    Raises Fenced, Abandoned and BrokerError (see `fence`, `read_tails`). A broker without idempotent producers shuts
    out nobody.
    """
    identities: dict[int, Identity] = {}
    if settings.idempotence:
        # All are waited for, also behind a failure: one that came later would shut out whoever has the partition then.
        taken = await asyncio.gather(
            *(fence(client, settings, each, abandoned) for each in partitions), return_exceptions=True
        )
        for identity in taken:
            if isinstance(identity, BaseException):
                raise identity
            identities[identity.partition] = identity
    tails = await read_tails(settings, partitions)
    for partition in partitions:
        log.info(
            "partition %d: outputs taken over %s; the last outcome there is that of offset %d",
            partition,
            f"with epoch {identities[partition].epoch}" if identities else "unfenced",
            max(tails[partition].values()),
        )
    return {each: Publisher(settings, client, metrics, each, identities.get(each), tails[each]) for each in partitions}


class Sent(NamedTuple):
    """A batch of records on its way to a topic's partition."""

    topic: str
    partition: int
    future: asyncio.Future[Any]


async def send(
    client: AIOKafkaProducer,
    topic: str,
    partition: int,
    messages: Sequence[Output],
    identity: Identity | None = None,
) -> list[Sent]:
    """Hands messages to a producer in as few batches as they fit in, in order, signed where there is an identity.

    Raises PublishError.
    """
    sent: list[Sent] = []
    try:
        batch = client.create_batch()
        for key, value, headers in messages:
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:  # it is full
                sent.append(await _send_batch(client, topic, partition, batch, identity))
                batch = client.create_batch()
                batch.append(timestamp=None, key=key, value=value, headers=headers)  # an empty one takes any
        sent.append(await _send_batch(client, topic, partition, batch, identity))
    except (KafkaError, AssertionError) as error:  # aiokafka asserts that the partition exists
        raise PublishError(_failure(topic, partition, error)) from error
    return sent


async def _send_batch(
    client: AIOKafkaProducer, topic: str, partition: int, batch: Any, identity: Identity | None
) -> Sent:
    if identity:
        identity.sign(batch, topic)
    return Sent(topic, partition, await client.send_batch(batch, topic, partition=partition))


async def acknowledged(sent: Sequence[Sent]) -> None:
    """Waits until all in-sync replicas have everything.

    Raises Fenced when another worker has taken over the partition, PublishError for the first other failure.
    """
    results = await asyncio.gather(*(each.future for each in sent), return_exceptions=True)
    failures = [(each, error) for each, error in zip(sent, results, strict=True) if isinstance(error, BaseException)]
    for each, error in failures:
        if refused_as_old(error):
            raise Fenced(each.partition) from error
    for each, error in failures:
        raise PublishError(_failure(each.topic, each.partition, error)) from error


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
