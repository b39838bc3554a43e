"""Dispositions (处置): what people decided, as it comes on its topic, partition by partition as the payments."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from pydantic import ValidationError

from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.control.applied import Place
from treasury_watch.adapters.kafka.publisher import Output
from treasury_watch.adapters.kafka.reader import reader
from treasury_watch.adapters.messages import DispositionMessage
from treasury_watch.adapters.packing import digest
from treasury_watch.adapters.settings import Settings
from treasury_watch.domain.payment import FIRST_YEAR, LAST_YEAR
from treasury_watch.domain.verdict import Refusal

MAX_BYTES = 65_536
_POLL_MS = 500
_RETRY_SECONDS = 1.0
_MOST_WAITING = 10_000  # of a partition: what follows is read when these are applied

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Coming:
    """A record of the dispositions topic that is to be applied, or refused. `key` is the partition-key value."""

    place: Place
    key: str
    message: DispositionMessage | Refusal
    raw_key: bytes | None
    value: bytes | None


def read_disposition(value: bytes | None) -> DispositionMessage | Refusal:
    """The disposition of a message, or why it is none: `malformed_json`, `schema`, `too_large`."""
    if value is None or len(value) > MAX_BYTES:
        size = 0 if value is None else len(value)
        return Refusal("too_large", f"{size:,} bytes, at most {MAX_BYTES:,}") if size else _malformed("no value")
    try:
        msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _malformed(str(error))
    try:
        message = DispositionMessage.model_validate_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return Refusal("schema", f"{'.'.join(map(str, first['loc'])) or 'message'}: {first['msg']}")
    if message.decided_at.utcoffset() is None:
        return Refusal("schema", "decided_at: expected an offset from UTC")
    return message


def _malformed(why: str) -> Refusal:
    return Refusal("malformed_json", why)


def admitted(record: Any, place: Place, partition_of: Callable[[bytes], int], partition_by: str) -> Coming:
    """A record as it is to be applied, or refused: also `wrong_key`, as payments are, and for a year of no case."""
    message = read_disposition(record.value)
    key = record.key.decode("utf-8", "replace") if record.key is not None else ""
    if isinstance(message, DispositionMessage):
        if record.key is None:
            message = Refusal("wrong_key", f"the message has no key, expected {partition_by}")
        elif partition_by == "jurisdiction" and key != message.jurisdiction:
            message = Refusal("wrong_key", "the key is not the jurisdiction of the disposition")
        elif (found := partition_of(record.key)) != place.partition:
            message = Refusal("wrong_key", f"the key belongs to partition {found}, found on {place.partition}")
        elif not FIRST_YEAR <= message.decided_at.year <= LAST_YEAR:
            message = Refusal("schema", f"decided_at: expected a year from {FIRST_YEAR} to {LAST_YEAR}")
    return Coming(place, key, message, record.key, record.value)


def dead_letter(coming: Coming, refusal: Refusal, now: str) -> Output:
    """The dead letter of a disposition. `now` is RFC 3339."""
    headers = [
        ("reason", refusal.reason.encode()),
        ("detail", refusal.detail.encode()),
        ("source_topic", coming.place.topic.encode()),
        ("source_partition", str(coming.place.partition).encode()),
        ("source_offset", str(coming.place.offset).encode()),
        ("failed_at", now.encode()),
    ]
    return coming.raw_key, coming.value, headers


class Dispositions:
    """Follows the dispositions of the partitions that are held. `on_change` is called with a partition's number."""

    def __init__(
        self,
        settings: Settings,
        partition_of: Callable[[bytes], int],
        partition_by: str,
        on_change: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._partition_of = partition_of
        self._partition_by = partition_by
        self._on_change = on_change
        self._topic = settings.topic("dispositions")
        self._waiting: dict[int, deque[Coming]] = {}
        self._next: dict[int, int] = {}  # offset of the next record to be read
        self._held = 0  # how often what is held has changed

    def hold(self, positions: Mapping[int, int]) -> None:
        """From now on the partitions are these: number → offset of the first disposition that is not applied."""
        self._held += 1
        self._waiting = {number: deque() for number in positions}
        self._next = dict(positions)

    def drop(self, partitions: Iterable[int]) -> None:
        """These partitions are no longer held."""
        gone = set(partitions)
        self.hold({number: self._first(number) for number in self._next if number not in gone})

    def _first(self, number: int) -> int:
        waiting = self._waiting[number]
        return waiting[0].place.offset if waiting else self._next[number]

    def waiting(self, partition: int) -> list[Coming]:
        """What is to be applied next, in order."""
        return list(self._waiting.get(partition, ()))

    def done(self, partition: int, count: int) -> None:
        """The first so many of those that wait are applied or refused."""
        waiting = self._waiting.get(partition)
        for _ in range(min(count, len(waiting) if waiting else 0)):
            if waiting:
                waiting.popleft()

    async def follow(self) -> None:
        """Reads what comes, for ever; brokers that are away are waited for."""
        while True:
            try:
                async with reader(self._settings, []) as consumer:
                    await self._follow(consumer)
            except (BrokerError, KafkaError, OSError) as error:
                log.warning("dispositions cannot be read for now: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        held = -1
        while True:
            if held != self._held:
                held = self._held
                consumer.assign([TopicPartition(self._topic, number) for number in self._next])
                for number, offset in self._next.items():
                    consumer.seek(TopicPartition(self._topic, number), offset)
            room = [
                TopicPartition(self._topic, number)
                for number, waiting in self._waiting.items()
                if len(waiting) < _MOST_WAITING
            ]
            if not room:
                await asyncio.sleep(_POLL_MS / 1000)
                continue
            try:
                fetched = await consumer.getmany(*room, timeout_ms=_POLL_MS)
            except IllegalStateError:  # assigned anew in between
                continue
            if held == self._held:
                self._take(fetched)

    def _take(self, fetched: Mapping[TopicPartition, Iterable[Any]]) -> None:
        for tp, found in fetched.items():
            for record in found:
                if record.offset >= self._next[tp.partition]:
                    place = Place(self._topic, tp.partition, record.offset, digest(record.value or b""))
                    self._waiting[tp.partition].append(admitted(record, place, self._partition_of, self._partition_by))
                    self._next[tp.partition] = record.offset + 1
            self._on_change(tp.partition)
