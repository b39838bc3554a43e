"""Records of Kafka as rows of tables: what is no valid record is a row, too, with the reason.

Every table begins with the position of the record on Kafka and the local day in China, by whose month it is
partitioned. All of a row is a function of its record. U+0000, which PostgreSQL cannot hold, is kept as U+FFFD.

Thousands of rows a second are made here, so of a decision only that is decoded of which columns are made. Hits, anomaly
and instruction go in as they were published, fields of newer versions included; and values are texts already where
psycopg would make them in Python: days, times, booleans, arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import msgspec

from treasury_watch.adapters.kafka.control.dispositions import read_disposition
from treasury_watch.adapters.messages import event_time_of
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.wire import instruction_id_of
from treasury_watch.domain.payment import AMOUNT, FIRST_YEAR, LAST_YEAR
from treasury_watch.domain.verdict import HitMode, Level, Refusal, Verdict

ZONE: Final = ZoneInfo("Asia/Shanghai")
LEVELS: Final[tuple[Level, ...]] = ("grey", "red", "orange", "yellow", "blue")  # the gravest first
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


class Row(NamedTuple):
    """A row of a table; `values` begin with topic, partition, offset and day, in the order of COLUMNS."""

    table: str
    day: date
    values: Values


class _Hit(msgspec.Struct, frozen=True, gc=False):
    """What is asked of a hit here; an exception is whatever is not null."""

    rule: str
    mode: HitMode
    level: Level
    excepted: dict[str, Any] | None = None


class _Anomaly(msgspec.Struct, frozen=True, gc=False):
    p_value: float | None


class _Published(msgspec.Struct, frozen=True, gc=False):
    """What is asked of a decision here, see `domain.verdict.Decision`; what is absent is an empty Raw."""

    decision_id: str
    instruction_id: str
    jurisdiction: str
    budget_unit: str
    amount: str
    currency: str
    event_time: _Aware
    verdict: Verdict
    evidence_required: bool
    late: bool
    hits: msgspec.Raw
    ruleset: str
    reference: str
    engine: str
    anomaly: msgspec.Raw = msgspec.Raw()
    decided_at: _Aware | None = None
    instruction: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Published).decode
_decode_hits = msgspec.json.Decoder(list[_Hit]).decode
_decode_anomaly = msgspec.json.Decoder(_Anomaly).decode


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
        return _row(table.name, record, day, values)


def unreadable(record: Record, reason: str) -> Row:
    """The row of a record that is not what its topic holds."""
    arrived = _moment(record.timestamp)
    values = (_text(" ".join(reason.split())), arrived.isoformat(), record.key, record.value)
    return _row("unreadable", record, _day(arrived), values)


def _row(table: str, record: Record, day: date, values: Values) -> Row:
    return Row(table, day, (record.topic, record.partition, record.offset, day.isoformat(), *values))


def _decision(record: Record) -> tuple[date, Values]:
    published = _published(record)
    values = (
        *_judged(published),
        _boolean(published.late),
        _rules(_decode_hits(published.hits)),
        _decode_anomaly(published.anomaly).p_value if published.anomaly else None,
    )
    return _day(published.event_time), values


def _case(record: Record) -> tuple[date, Values]:
    published = _published(record)
    instruction = bytes(published.instruction)
    if not instruction.startswith(b"{"):
        raise Invalid("no instruction, which a case holds")
    if published.verdict == "pass":
        raise Invalid("the verdict is pass, which makes no case")
    if published.anomaly:
        _decode_anomaly(published.anomaly)
    hits = _decode_hits(published.hits)
    values = (
        *_judged(published),
        _level(hits),
        _boolean(published.evidence_required),
        _boolean(published.late),
        _rules(hits),
        bytes(published.hits).decode(),
        bytes(published.anomaly).decode() or None,
        instruction.decode(),
        published.ruleset,
        published.reference,
        published.engine,
    )
    return _day(published.event_time), values


def _judged(published: _Published) -> Values:
    return (
        published.decision_id,
        published.instruction_id,
        published.jurisdiction,
        published.budget_unit,
        published.amount,
        published.currency,
        published.event_time.isoformat(),
        None if published.decided_at is None else published.decided_at.isoformat(),
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
        failed_at.isoformat(),
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
        message.decided_at.isoformat(),
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


def _published(record: Record) -> _Published:
    value = _without_nul(record.value)
    if value is None:
        raise Invalid("no value")
    published = _decode(value)
    if not AMOUNT.fullmatch(published.amount):
        raise Invalid("amount: expected decimal text with two places")
    return published


def _rules(hits: Sequence[_Hit]) -> str:
    """The rules that fired in earnest, each once, as PostgreSQL writes an array."""
    return _array(tuple(hit.rule for hit in hits if hit.mode == "live" and hit.excepted is None))


@lru_cache(10_000)
def _array(texts: tuple[str, ...]) -> str:
    quoted = ['"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in dict.fromkeys(texts)]
    return "{" + ",".join(quoted) + "}"


def _level(hits: Sequence[_Hit]) -> Level | None:
    found = [hit.level for hit in hits if hit.mode == "live" and hit.excepted is None]
    return min(found, key=LEVELS.index, default=None)


def _boolean(value: bool) -> str:
    return "t" if value else "f"


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
    if value is None or b"\\" not in value or b"\\u0000" not in value:  # one byte is found much sooner
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
