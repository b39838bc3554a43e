"""What a message must be before the engine sees it: keyed and partitioned as agreed, and not from the future."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from treasury_watch.domain.payment import Instruction, moment_of, partition_key_of
from treasury_watch.domain.verdict import Refusal
from treasury_watch.engine.warming import LAST

MAX_AHEAD = timedelta(minutes=5)
_NO_LIMIT = datetime.max.replace(tzinfo=UTC)
_REMEMBERED_KEYS = 100_000


class Record(Protocol):
    """What is used of a fetched record. `timestamp` is in milliseconds since the epoch, -1 where there is none."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class Admission:
    """The checks on one partition of the payments topic that need more than the message's value.

    `partition_by` is the field whose value, as text in UTF-8, the message's key must be, and whose hash must lead to
    `partition`. Source: contract, "Refused to the dead-letter topic".
    """

    def __init__(self, partition_by: str, partitioner: Callable[[bytes], int], partition: int) -> None:
        self._field = partition_by
        self._partitioner = partitioner
        self._partition = partition
        self._texts: dict[bytes | None, str] = {}  # keys that belong to this partition, and the text that they are

    def check(self, records: Sequence[Record], decoded: Sequence[Instruction | Refusal]) -> list[Instruction | Refusal]:
        """Each instruction as it was, or why it is refused (`wrong_key`, `future_event_time`); refusals stay."""
        field, texts = self._field, self._texts
        plain = not field.startswith("attributes.")
        admitted: list[Instruction | Refusal] = []
        timestamp = -1
        latest = _NO_LIMIT
        for record, each in zip(records, decoded, strict=True):
            if isinstance(each, Refusal):
                admitted.append(each)
                continue
            if record.timestamp != timestamp:
                timestamp = record.timestamp
                latest = _latest(timestamp)
            if texts.get(record.key, self) != (getattr(each, field) if plain else partition_key_of(each, field)):
                refusal = self._wrong_key(record.key, partition_key_of(each, field))
                if refusal:
                    admitted.append(refusal)
                    continue
            if each.event_time > latest:
                admitted.append(_from_the_future(each.event_time, timestamp))
                continue
            admitted.append(each)
        return admitted

    def _wrong_key(self, key: bytes | None, wanted: str | None) -> Refusal | None:
        if wanted is None:
            return Refusal("wrong_key", f"{self._field} is missing, and it is the partition key")
        if key is None:
            return Refusal("wrong_key", f"the message has no key, expected {self._field}")
        if key != wanted.encode():
            return Refusal("wrong_key", f"the key is not the {self._field} of the instruction")
        partition = self._partitioner(key)
        if partition != self._partition:
            return Refusal("wrong_key", f"the key belongs to partition {partition}, found on {self._partition}")
        if len(self._texts) >= _REMEMBERED_KEYS:
            self._texts.clear()
        self._texts[key] = wanted
        return None


def _latest(timestamp_ms: int) -> datetime:
    """The latest event time that is accepted: unlimited for a record without a timestamp, or one beyond the year 9999.

    Both come only from topics that were not created with LogAppendTime.
    """
    try:
        return moment_of(timestamp_ms * 1000) + MAX_AHEAD if timestamp_ms >= 0 else _NO_LIMIT
    except OverflowError:
        return _NO_LIMIT


def complete_from(timestamp_ms: int) -> int:
    """The event time (microseconds) from which on no instruction lies before the record with that timestamp, since none
    is accepted from farther ahead; unknown, so after every event time, without a timestamp.
    """
    return timestamp_ms * 1000 + MAX_AHEAD // timedelta(microseconds=1) + 1 if timestamp_ms >= 0 else LAST


def _from_the_future(event_time: datetime, timestamp_ms: int) -> Refusal:
    received = moment_of(timestamp_ms * 1000).isoformat(timespec="milliseconds")
    return Refusal(
        "future_event_time",
        f"event_time {event_time.isoformat()} is more than 5 minutes ahead of the message's timestamp {received}",
    )
