"""Records of Kafka as rows of tables: what is no valid record is a row, too, with the reason.

Every table begins with the position of the record on Kafka and the local day in China, by whose month it is
partitioned. All of a row is a function of its record. U+0000, which PostgreSQL cannot hold, is kept as U+FFFD.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, Protocol
from zoneinfo import ZoneInfo

import msgspec

from treasury_watch.adapters.kafka.control.dispositions import read_disposition
from treasury_watch.adapters.messages import event_time_of
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.wire import Published, decode_decision, encode_instruction, instruction_id_of
from treasury_watch.domain.payment import AMOUNT, FIRST_YEAR, LAST_YEAR
from treasury_watch.domain.verdict import Hit, Refusal

ZONE: Final = ZoneInfo("Asia/Shanghai")
LEVELS: Final = ("grey", "red", "orange", "yellow", "blue")  # the gravest first
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Aware = Annotated[datetime, msgspec.Meta(tz=True)]
_encode = msgspec.json.Encoder().encode

Values = tuple[Any, ...]


class Record(Protocol):
    """A record as a consumer of Kafka hands it over; `timestamp` is in milliseconds since 1970."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Invalid(ValueError):
    """A record that is not what its topic holds: one line that says why."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, its columns behind position and day, and how a record becomes their values. Raises ValueError."""

    name: str
    columns: tuple[str, ...]
    read: Callable[[Record], tuple[date, Values]]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table; `values` begin with topic, partition, offset and day."""

    table: str
    values: Values

    @property
    def day(self) -> date:
        day: date = self.values[3]
        return day


POSITION: Final = ("source_topic", "source_partition", "source_offset", "day")


class Reading:
    """Makes rows of the records of an installation's topics."""

    def __init__(self, settings: Settings) -> None:
        self._tables = {settings.topic(topic): table for topic, table in TABLES.items()}

    @property
    def topics(self) -> list[str]:
        """The full names of the topics that are read."""
        return list(self._tables)

    def row(self, record: Record) -> Row:
        """The row of a record: of its topic's table or, where it is not valid, of `unreadable`. Raises nothing."""
        table = self._tables[record.topic]
        try:
            day, values = table.read(record)
        except (ValueError, OverflowError, RecursionError) as error:
            return unreadable(record, str(error))
        return Row(table.name, (record.topic, record.partition, record.offset, day, *values))


def unreadable(record: Record, reason: str) -> Row:
    """The row of a record that is not what its topic holds."""
    arrived = _moment(record.timestamp)
    values = (_text(" ".join(reason.split())), arrived, record.key, record.value)
    return Row("unreadable", (record.topic, record.partition, record.offset, _day(arrived), *values))


def _decision(record: Record) -> tuple[date, Values]:
    published = _published(record)
    anomaly = published.anomaly
    values = (
        *_judged(published),
        published.late,
        _rules(published.hits),
        None if isinstance(anomaly, msgspec.UnsetType) else anomaly.p_value,
    )
    return _day(published.event_time), values


def _case(record: Record) -> tuple[date, Values]:
    published = _published(record)
    if published.instruction is None:
        raise Invalid("no instruction, which a case holds")
    if published.verdict == "pass":
        raise Invalid("the verdict is pass, which makes no case")
    anomaly = published.anomaly
    values = (
        *_judged(published),
        _level(published.hits),
        published.evidence_required,
        published.late,
        _rules(published.hits),
        _encode(published.hits).decode(),
        None if isinstance(anomaly, msgspec.UnsetType) else _encode(anomaly).decode(),
        encode_instruction(published.instruction).decode(),
        published.ruleset,
        published.reference,
        published.engine,
    )
    return _day(published.event_time), values


def _judged(published: Published) -> Values:
    return (
        published.decision_id,
        published.instruction_id,
        published.jurisdiction,
        published.budget_unit,
        published.amount,
        published.currency,
        published.event_time,
        None if published.decided_at is None else msgspec.convert(published.decided_at, _Aware),
        published.verdict,
    )


_JUDGED: Final = (
    *("decision_id", "instruction_id", "jurisdiction", "budget_unit", "amount", "currency"),
    *("event_time", "decided_at", "verdict"),
)


def _dead_letter(record: Record) -> tuple[date, Values]:
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    missing = [each for each in ("reason", "source_topic", "source_partition", "source_offset") if each not in headers]
    if missing:
        raise Invalid(f"no header {', '.join(missing)}, which a dead letter has")
    failed_at = event_time_of(headers.get("failed_at"))
    instruction_id = instruction_id_of(record.value)
    values = (
        _text(headers["reason"]),
        _text(headers.get("detail", "")),
        None if instruction_id is None else _text(instruction_id),
        _text(headers["source_topic"]),
        int(headers["source_partition"]),
        int(headers["source_offset"]),
        failed_at,
        record.key,
        record.value,
    )
    return _day(failed_at), values


def _disposition(record: Record) -> tuple[date, Values]:
    message = read_disposition(_without_nul(record.value))
    if isinstance(message, Refusal):
        raise Invalid(f"{message.reason}: {message.detail}")
    values = (
        message.disposition_id,
        message.instruction_id,
        message.jurisdiction,
        message.decision_id,
        message.disposition,
        message.decided_by,
        message.decided_at,
        message.reason,
        message.label,
    )
    return _day(message.decided_at), values


_CASE: Final = Table(
    "payment_case",
    (
        *_JUDGED,
        *("level", "evidence_required", "late", "rules", "hits", "anomaly", "instruction"),
        *("ruleset", "reference", "engine"),
    ),
    _case,
)
TABLES: Final[Mapping[str, Table]] = {
    "decisions": Table("decision", (*_JUDGED, "late", "rules", "p_value"), _decision),
    "intercepts": _CASE,
    "warnings": _CASE,
    "dead-letters": Table(
        "dead_letter",
        (
            *("reason", "detail", "instruction_id", "refused_topic", "refused_partition", "refused_offset"),
            *("failed_at", "key", "value"),
        ),
        _dead_letter,
    ),
    "dispositions": Table(
        "disposition",
        (
            *("disposition_id", "instruction_id", "jurisdiction", "decision_id", "disposition"),
            *("decided_by", "decided_at", "reason", "label"),
        ),
        _disposition,
    ),
}
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    **{table.name: (*POSITION, *table.columns) for table in TABLES.values()},
    "unreadable": (*POSITION, "reason", "arrived_at", "key", "value"),
}


def _published(record: Record) -> Published:
    value = _without_nul(record.value)
    if value is None:
        raise Invalid("no value")
    published = decode_decision(value)
    if not AMOUNT.fullmatch(published.amount):
        raise Invalid("amount: expected decimal text with two places")
    return published


def _rules(hits: Sequence[Hit]) -> list[str]:
    """The rules that fired in earnest, each once."""
    return list(dict.fromkeys([hit.rule for hit in hits if hit.mode == "live" and hit.excepted is None]))


def _level(hits: Sequence[Hit]) -> str | None:
    found = [hit.level for hit in hits if hit.mode == "live" and hit.excepted is None]
    return min(found, key=LEVELS.index, default=None)


def _day(moment: datetime) -> date:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise Invalid(f"year {moment.year}, expected {FIRST_YEAR} to {LAST_YEAR}")
    return moment.astimezone(ZONE).date()


def _moment(milliseconds: int) -> datetime:
    """The instant of a record's timestamp; that of 1970 for one that says nothing sensible."""
    try:
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return _EPOCH
    return moment if FIRST_YEAR <= moment.year <= LAST_YEAR else _EPOCH


def _text(text: str) -> str:
    return text.replace("\0", "\ufffd")


def _without_nul(value: bytes | None) -> bytes | None:
    """The message with every U+0000 in its texts replaced. What is no JSON stays as it is."""
    if value is None or b"\\u0000" not in value:
        return value
    try:
        return _encode(_replaced(msgspec.json.decode(value)))
    except (ValueError, RecursionError):
        return value


def _replaced(given: Any) -> Any:
    if isinstance(given, str):
        return _text(given)
    if isinstance(given, list):
        return [_replaced(each) for each in given]
    if isinstance(given, dict):
        return {_text(name): _replaced(each) for name, each in given.items()}
    return given
