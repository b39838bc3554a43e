"""Dead letters (死信): seeing what was refused, and sending it again once the cause is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from treasury_watch.adapters.kafka.publish import Message, check_payments, payments_producer, send_payments
from treasury_watch.adapters.kafka.reader import reader, until_now
from treasury_watch.adapters.logs import mask_numbers
from treasury_watch.adapters.packing import digest
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.wire import decode, instruction_id_of
from treasury_watch.domain.payment import partition_key_of
from treasury_watch.domain.verdict import Refusal

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused message. `instruction_id` is None where it cannot be read; positions are partition and offset."""

    partition: int
    offset: int
    reason: str
    detail: str
    instruction_id: str | None
    source_topic: str
    source_partition: int
    source_offset: int
    failed_at: str
    key: bytes | None
    value: bytes | None

    def row(self) -> dict[str, Any]:
        """What may be shown of it, JSON-ready: all but the message itself, with account and card numbers masked."""
        return {
            "partition": self.partition,
            "offset": self.offset,
            "reason": self.reason,
            "detail": mask_numbers(self.detail),
            "key": None if self.key is None else mask_numbers(self.key.decode(errors="replace")),
            "instruction_id": self.instruction_id,
            "source_topic": self.source_topic,
            "source_partition": self.source_partition,
            "source_offset": self.source_offset,
            "failed_at": self.failed_at,
        }


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant: those with one of the reasons and at one of the positions; empty means any."""

    reasons: Collection[str] = ()
    positions: Collection[tuple[int, int]] = ()

    def __contains__(self, letter: DeadLetter) -> bool:
        return (not self.reasons or letter.reason in self.reasons) and (
            not self.positions or (letter.partition, letter.offset) in self.positions
        )


ALL = Selection()


@dataclass(frozen=True, slots=True)
class Redriven:
    """What a redrive did: how many messages were sent, and those that were not since they would be refused again."""

    sent: int
    still_refused: list[tuple[DeadLetter, Refusal]]


async def dead_letters(settings: Settings, selection: Selection = ALL) -> AsyncIterator[DeadLetter]:
    """The dead letters that are there now, partition by partition. Raises BrokerError."""
    partitions = [TopicPartition(settings.topic("dead-letters"), number) for number in range(settings.partitions)]
    async with reader(settings, partitions) as consumer:
        for tp in partitions:
            async for record in until_now(consumer, tp):
                letter = _letter(record)
                if letter in selection:
                    yield letter


async def redrive(
    settings: Settings,
    partition_by: str,
    selection: Selection = ALL,
    *,
    progress: Callable[[int], None] = lambda count: None,
) -> Redriven:
    """Sends the original bytes of dead letters to the payments topic again, under the key that they should have.

    An instruction that has its decision gets no second one, so redriving twice does no harm. Of the same bytes that
    were refused several times one message is sent, so that what is refused again each time does not double. What cannot
    be decoded, or has no partition key, would only be refused again and is not sent: publish a corrected instruction
    instead. Raises BrokerError and PublishError.
    """
    await check_payments(settings)
    sent = 0
    still_refused: list[tuple[DeadLetter, Refusal]] = []
    chunk: list[Message] = []
    taken: set[str] = set()  # digests of what is sent
    async with payments_producer(settings) as producer:

        async def flush() -> None:
            nonlocal sent
            await send_payments(settings, producer, chunk)
            sent += len(chunk)
            chunk.clear()
            progress(sent)

        async for letter in dead_letters(settings, selection):
            message = _message(letter, partition_by)
            if isinstance(message, Refusal):
                still_refused.append((letter, message))
                continue
            content = digest(message[1])
            if content in taken:
                continue
            taken.add(content)
            chunk.append(message)
            if len(chunk) >= _CHUNK:
                await flush()
        if chunk:
            await flush()
    return Redriven(sent, still_refused)


def _message(letter: DeadLetter, partition_by: str) -> Message | Refusal:
    if letter.source_topic.endswith("dispositions"):
        return Refusal(
            "unknown_instruction", "a disposition, which is no payment: decide anew, with another disposition_id"
        )
    decoded = decode(letter.value)
    if isinstance(decoded, Refusal):
        return decoded
    key = partition_key_of(decoded, partition_by)
    if key is None or letter.value is None:
        return Refusal("wrong_key", f"{partition_by} is missing, and it is the partition key")
    return key.encode(), letter.value, [("redriven_from", f"{letter.partition}:{letter.offset}".encode())]


def _letter(record: Any) -> DeadLetter:
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    return DeadLetter(
        partition=record.partition,
        offset=record.offset,
        reason=headers.get("reason", ""),
        detail=headers.get("detail", ""),
        instruction_id=instruction_id_of(record.value),
        source_topic=headers.get("source_topic", ""),
        source_partition=int(headers.get("source_partition", -1)),
        source_offset=int(headers.get("source_offset", -1)),
        failed_at=headers.get("failed_at", ""),
        key=record.key,
        value=record.value,
    )
