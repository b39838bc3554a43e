"""A sink in a process of its own that is there to be killed, on a source that has no broker but all of its bad manners:
partitions come in any order, what was delivered comes again, and partitions move to and fro.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta

from tests.adapters.cases.records import START, Made, case, dead_letter, decision, disposition, warning
from treasury_watch.adapters.cases.database import parameters
from treasury_watch.adapters.cases.metrics import Metrics
from treasury_watch.adapters.cases.rows import Reading
from treasury_watch.adapters.cases.sink import Sink
from treasury_watch.adapters.cases.store import Place, Store
from treasury_watch.adapters.settings import load_settings

PARTITIONS = 3
PAYMENTS = 900  # of each partition


def stream() -> dict[Place, list[Made]]:
    """All records of all partitions: a third of the payments are cases, over four months, some of them answered;
    offsets have gaps, as transactions leave them, and some records are none.
    """
    records: list[Made] = []
    for partition in range(PARTITIONS):
        for number in range(PAYMENTS):
            given = {
                "partition": partition,
                "event_time": START + timedelta(days=number % 120),
                "instruction_id": f"I-{partition}-{number}",
            }
            offset = number + number // 50
            records.append(decision(offset, **given))
            if number % 3 == 0:
                records.append((case if number % 2 else warning)(offset, **given))
            if number % 90 == 0:
                records.append(dead_letter(offset, partition=partition))
                records.append(Made("treasury.intercepts", offset + 100_000, b"none of ours", partition))
    for number in range(0, PAYMENTS, 9):
        records.append(disposition(number, f"I-0-{number}", "confirm", label="true_alarm"))
        records.append(disposition(number + 1, f"I-0-{number}", "release", label="false_alarm"))
    found: dict[Place, list[Made]] = {}
    for record in sorted(records, key=lambda each: each.offset):
        found.setdefault((record.topic, record.partition), []).append(record)
    return found


class Unruly:
    """A source of a stream, which ends its sink when that has got all of it."""

    def __init__(self, partitions: Mapping[Place, list[Made]]) -> None:
        self.sink: Sink | None = None
        self._partitions = partitions
        self._random = random.Random()
        self._next: dict[Place, int] = {}
        self._moved = True

    def moved(self) -> bool:
        return self._moved

    def lacks(self) -> str | None:
        return None

    async def start(self, positions: Mapping[Place, int]) -> None:
        for place, records in self._partitions.items():
            wanted = positions.get(place, 0)
            self._next[place] = sum(record.offset < wanted for record in records)
        self._moved = False

    async def fetch(self) -> Sequence[Made]:
        await asyncio.sleep(0)
        left = [place for place, records in self._partitions.items() if self._next[place] < len(records)]
        if not left and self.sink:
            self.sink.stop()
        batch: list[Made] = []
        for place in self._random.sample(left, min(len(left), 4)):
            at, size = self._next[place], self._random.randint(1, 12)
            again = self._random.randint(0, 3)
            batch += self._partitions[place][max(at - again, 0) : at + size]
            self._next[place] = min(at + size, len(self._partitions[place]))
        self._moved = self._random.random() < 0.05
        return batch

    async def lag(self) -> Mapping[Place, int]:
        return {}


def run(url: str) -> None:
    """Writes the whole stream to a database from where that stands."""
    asyncio.run(_run(url))


async def _run(url: str) -> None:
    settings = load_settings(database_url=url)
    store, source = Store(parameters(settings), Reading(settings)), Unruly(stream())
    source.sink = Sink(source, store, Metrics())
    try:
        await source.sink.run()
    finally:
        await store.close()
