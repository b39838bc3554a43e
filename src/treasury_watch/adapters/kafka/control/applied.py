"""The applied log (生效记录): from which payment on which control input counts, on record before the first verdict.

Partition P of the topic belongs to partition P of payments. A record names the input (topic, partition, offset, digest
of its value) and `first`, the offset of the first payment that is judged with it. So a restart never moves a change,
and whoever judges a payment again judges it by the same. An input that cannot be used is on record, too, with why.
Every record says by what is judged behind it and what was looked at, so the last one alone tells where one stands.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.reader import reader, until_now
from treasury_watch.adapters.settings import Settings

_FIRST_STEP, _STEP_GROWTH = 256, 8  # records that are read from the end of the log, and how many more if need be
_POLL_MS = 20
NOT_YET = -1  # before the first offset


class Place(msgspec.Struct, frozen=True, gc=False):
    """A record of a control topic: `topic` is its full name, `hash` the digest of its value."""

    topic: str
    partition: int
    offset: int
    hash: str


class Standing(msgspec.Struct, frozen=True):
    """By what is judged: the record that made the rule set the current one, the one that holds its bundle (the same
    one, but for a rollback), the last one of reference data that counts, the hash of the set as it was published, and
    the hashes that decisions carry, which are those of the set with the tables of the reference topic.
    """

    rules: Place
    held_at: int
    reference: Place | None
    published: str
    ruleset: str
    reference_hash: str


class Seen(msgspec.Struct, frozen=True, gc=False):
    """The newest offset of each control topic that was looked at, used or not: -1 for none."""

    rules: int = NOT_YET
    reference: int = NOT_YET
    dispositions: int = NOT_YET


class _Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    schema_version: Literal[1] = 1
    input: Place
    first: int
    applied_at: str
    standing: Standing
    seen: Seen


class Switched(_Record, frozen=True, kw_only=True, tag="rules"):
    """Payments from `first` on are judged by `standing`; `input` is the newest record that this comes from."""


class Disposed(_Record, frozen=True, kw_only=True, tag="disposition"):
    """A disposition counts for payments from `first` on."""

    disposition_id: str


class Unused(_Record, frozen=True, kw_only=True, tag="refused"):
    """An input was looked at before payment `first`, and what was judged by stays."""

    reason: str


Applied = Switched | Disposed | Unused


class AppliedError(BrokerError):
    """An applied log that cannot be read: nobody knows by what is to be judged."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A record of the log and its own offset."""

    offset: int
    applied: Applied


def encode(applied: Applied) -> bytes:
    """The record's value."""
    return msgspec.json.encode(applied)


def decode(value: bytes | None) -> Applied:
    """The record of a value. Raises AppliedError."""
    try:
        found: Applied = msgspec.json.decode(value or b"", type=Applied)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AppliedError(f"a record of the applied log cannot be read: {error}") from None
    return found


async def applied_log(settings: Settings, partition: int) -> AppliedLog:
    """The whole log of a partition. Raises BrokerError."""
    tp = TopicPartition(settings.topic("applied"), partition)
    async with reader(settings, [tp], _POLL_MS) as consumer:
        return await read_log(consumer, tp, None)


async def read_log(consumer: AIOKafkaConsumer, tp: TopicPartition, position: int | None) -> AppliedLog:
    """The log of a partition, at least as far back as judging from a payment's offset on takes; whole for `None`."""
    begin = (await consumer.beginning_offsets([tp]))[tp]
    end = (await consumer.end_offsets([tp]))[tp]
    step = end - begin if position is None else _FIRST_STEP
    while end > begin:
        since = max(end - step, begin)
        consumer.seek(tp, since)
        log = AppliedLog([_entry(record, tp) async for record in until_now(consumer, tp)])
        if since == begin or position is None or log.reaches(position):
            return log
        step *= _STEP_GROWTH
    return AppliedLog()


def _entry(record: Any, tp: TopicPartition) -> Entry:
    try:
        return Entry(record.offset, decode(record.value))
    except AppliedError as error:
        raise AppliedError(f"{tp.topic}[{tp.partition}] offset {record.offset}: {error}") from None


class AppliedLog:
    """What was applied to one partition, in order. Raises AppliedError if it goes back."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = list(entries)
        self._firsts = [each.applied.first for each in self.entries]
        if self._firsts != sorted(self._firsts):
            raise AppliedError("the applied log goes back: a later record counts from an earlier payment on")

    @property
    def standing(self) -> Standing | None:
        """By what is judged behind the last record; `None` where nothing was applied yet."""
        return self.entries[-1].applied.standing if self.entries else None

    @property
    def seen(self) -> Seen:
        """What was looked at."""
        return self.entries[-1].applied.seen if self.entries else Seen()

    def reaches(self, position: int) -> bool:
        """Whether it says by what the payment of that offset is judged."""
        return bool(self._firsts) and self._firsts[0] < position

    def standing_at(self, position: int) -> Standing | None:
        """By what the payment of an offset is judged; those of before the first record are judged as with it."""
        if not self.entries:
            return None
        return self.entries[max(bisect_right(self._firsts, position) - 1, 0)].applied.standing

    def since(self, position: int) -> list[Entry]:
        """What is to be gone through by whoever has the state of before that payment, and `standing_at` it: later
        changes, and dispositions from that payment on. Those that are in the state already do nothing.
        """
        return [
            each
            for each in self.entries
            if each.applied.first > position or (each.applied.first == position and isinstance(each.applied, Disposed))
        ]

    def behind_state(self, position: int) -> tuple[Standing | None, list[Entry]]:
        """By what the stored state of before that payment is to be made, and what is to be gone through after that.

        Where rules changed more than once before that payment, whoever changed them may have been stopped in between:
        what the ones dropped the next ones do not find, so the state goes through all of them again.
        """
        begin, end = bisect_left(self._firsts, position), bisect_right(self._firsts, position)
        switches = [at for at in range(begin, end) if isinstance(self.entries[at].applied, Switched)]
        if not switches[1:]:  # one change is made whole, or not at all
            return self.standing_at(position), self.since(position)
        return self.entries[max(switches[0] - 1, 0)].applied.standing, self.entries[begin:]
