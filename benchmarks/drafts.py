"""Good messages, each known by seed and number, from which hostile ones are made. Time moves on with the number."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from benchmarks.contract import ACCEPTED, DUPLICATE
from benchmarks.workload import instructions
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.verdict import REASONS

TICK = timedelta(minutes=20)  # from one number to the next
ANY = frozenset({ACCEPTED, DUPLICATE, *REASONS})
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
_JURISDICTIONS = [f"42{number:04d}" for number in range(100, 120)]
_TEMPLATES = 3_000


@dataclass(frozen=True, slots=True)
class Message:
    """A record as it is fetched, of which kind it is, and what may become of it."""

    kind: str
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    may: frozenset[str] = field(default=ANY)


@dataclass(frozen=True, slots=True)
class Draft:
    """A good message to start from: its fields and its record."""

    seed: int
    number: int
    fields: dict[str, Any]
    record: Message

    def json(self, **overrides: Any) -> bytes:
        return json_of(self.fields | overrides)

    def raw(self, name: str, fragment: str) -> bytes:
        """The message with a field whose value is this JSON text, right or wrong."""
        rest = json_of({each: value for each, value in self.fields.items() if each != name}).decode()
        return f'{rest[:-1]},"{name}":{fragment}}}'.encode("utf-8", "surrogatepass")


def good(seed: int, number: int) -> Draft:
    """A message that is as it should be."""
    rng = random.Random(f"{seed}:{number}:good")
    received = BEGIN + number * TICK
    event_time = received - timedelta(seconds=rng.randrange(7_200), microseconds=rng.randrange(1_000_000))
    fields = {
        **rng.choice(_templates()),
        "instruction_id": f"F{number}",
        "event_time": event_time.isoformat(),
        "jurisdiction": rng.choice(_JURISDICTIONS),
    }
    fields.pop("fiscal_year", None)
    fields.pop("allotment_ref", None)  # no table has any, and what is prohibited is in no window
    key, timestamp_ms = fields["jurisdiction"].encode(), int(received.timestamp() * 1000)
    record = Message("good", number, key, json_of(fields), timestamp_ms, frozenset({ACCEPTED}))
    return Draft(seed, number, fields, record)


@cache
def _templates() -> list[dict[str, Any]]:
    return [json.loads(encode_instruction(each)) for each in instructions(_TEMPLATES)]


def json_of(given: Any) -> bytes:
    return json.dumps(given, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
