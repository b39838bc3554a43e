"""The sink: records from a source into the store, for ever; a database that is away is waited for.

It reads from where the database says, and not from where Kafka says: the database knows what it holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import Final, Protocol, TypeVar

from treasury_watch.adapters.cases.metrics import Metrics
from treasury_watch.adapters.cases.rows import Record
from treasury_watch.adapters.cases.store import Away, Place, Store

T = TypeVar("T")

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 0.5
SAID_EVERY_SECONDS: Final = 5.0


class SourceLost(Exception):
    """What the database knows does not fit the source: going on would lose records. One line that says why."""


class Source(Protocol):
    """Where records come from: a consumer of Kafka, or in tests a list."""

    def moved(self) -> bool:
        """Whether other partitions are read than when `start` was last called."""

    def lacks(self) -> str | None:
        """What it waits for, in a word, such as `brokers` or `partitions`; None where records may come."""

    async def start(self, positions: Mapping[Place, int]) -> None:
        """Reads the partitions that are assigned from these offsets on, those that are not in it from their beginning.

        Tries once: `moved` says whether it is to be called again. Raises SourceLost.
        """

    async def fetch(self) -> Sequence[Record]:
        """What is there now, those of a partition in order; nothing after a short while without any."""

    async def lag(self) -> Mapping[Place, int]:
        """How many records of each partition were not fetched yet."""


class Sink:
    """Writes what a source brings."""

    def __init__(self, source: Source, store: Store, metrics: Metrics) -> None:
        self._away = False  # the database
        self._source = source
        self._store = store
        self._metrics = metrics
        self._stop = asyncio.Event()

    @property
    def lacks(self) -> str | None:
        """What it waits for, in a word; None when it is ready: whatever comes is written."""
        return "PostgreSQL" if self._away else self._source.lacks()

    def stop(self) -> None:
        """The batch in hand is written, unless the database is away, and `run` ends."""
        self._stop.set()

    async def run(self) -> None:
        """Works until it is told to stop. Raises SourceLost."""
        while not self._stop.is_set():
            if self._source.moved():
                positions = await self._patiently(self._store.positions)
                if positions is not None:
                    await self._source.start(positions)
                continue
            records = await self._source.fetch()
            if records and not self._source.moved():
                await self._write(records)
            self._metrics.show_lag(await self._source.lag())

    async def _write(self, records: Sequence[Record]) -> None:
        async def write() -> Mapping[str, int]:
            with self._metrics.batch_seconds.time():
                return (await self._store.write(records)).rows

        rows = await self._patiently(write)
        if rows is not None:
            self._metrics.count(rows)

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """What the work returns, done again until the database is there; None when it is to stop meanwhile."""
        began: float | None = None
        said = float("-inf")
        while True:
            try:
                result = await work()
            except Away as why:
                self._away = True
                self._metrics.waiting.set(1)
                began = monotonic() if began is None else began
                if monotonic() - said >= SAID_EVERY_SECONDS:
                    said = monotonic()
                    log.warning("waiting for PostgreSQL: %s", why)
            else:
                if began is not None:
                    self._away = False
                    self._metrics.waiting.set(0)
                    log.info("PostgreSQL answers, after %.0f s", monotonic() - began)
                return result
            try:
                await asyncio.wait_for(self._stop.wait(), RETRY_SECONDS)
            except TimeoutError:
                continue
            log.info("told to stop while waiting for PostgreSQL")
            return None
