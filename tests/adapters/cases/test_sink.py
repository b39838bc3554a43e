"""The sink's loop with a fake source and a fake store: where it reads on, how it waits, how it stops."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from tests.adapters.cases.records import Made, case
from treasury_watch.adapters.cases import sink as sink_module
from treasury_watch.adapters.cases.metrics import Metrics
from treasury_watch.adapters.cases.sink import Sink
from treasury_watch.adapters.cases.store import Away, Place, Written


@dataclass
class Listed:
    """A source of one list; it stops its sink when that is through."""

    stream: Sequence[Made]
    size: int = 3
    sink: Sink | None = None
    rebalance_at: int | None = None
    at: int = 0
    started: list[Mapping[Place, int]] = field(default_factory=list)
    _moved: bool = True

    def moved(self) -> bool:
        return self._moved

    def lacks(self) -> str | None:
        return "partitions" if self._moved else None

    async def start(self, positions: Mapping[Place, int]) -> None:
        self.started.append(positions)
        self.at = positions.get(("treasury.intercepts", 0), 0)
        self._moved = False

    async def fetch(self) -> Sequence[Made]:
        await asyncio.sleep(0)
        batch = self.stream[self.at : self.at + self.size]
        self.at += len(batch)
        if self.rebalance_at is not None and self.at >= self.rebalance_at:
            self.rebalance_at, self._moved = None, True
        if not batch and self.sink:
            self.sink.stop()
        return batch

    async def lag(self) -> Mapping[Place, int]:
        return {("treasury.intercepts", 0): len(self.stream) - self.at}


@dataclass
class Remembering:
    """A store in memory that is away as often as it is told."""

    away: int = 0
    offsets: list[int] = field(default_factory=list)

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise Away("connection refused")

    async def positions(self) -> Mapping[Place, int]:
        self._answer()
        return {("treasury.intercepts", 0): self.offsets[-1] + 1} if self.offsets else {}

    async def write(self, records: Sequence[Made]) -> Written:
        self._answer()
        self.offsets += [record.offset for record in records]
        return Written(Counter(payment_case=len(records)))


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(5000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come to pass")


STREAM = [case(number) for number in range(10)]


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"treasury_watch_sink_{name}", labels)


def made(source: Listed, store: Remembering) -> tuple[Sink, Metrics]:
    metrics = Metrics()
    source.sink = Sink(source, store, metrics)  # type: ignore[arg-type]
    return source.sink, metrics


async def test_everything_is_written_in_order_and_counted() -> None:
    store = Remembering()
    sink, metrics = made(Listed(STREAM), store)
    await sink.run()
    assert store.offsets == list(range(10))
    assert sample(metrics, "rows_total", table="payment_case") == 10
    assert sample(metrics, "lag", topic="treasury.intercepts", partition="0") == 0
    assert sample(metrics, "batch_seconds_count") == 4


async def test_it_goes_on_from_where_the_database_says() -> None:
    store = Remembering(offsets=[0, 1, 2, 3])
    sink, _ = made(Listed(STREAM), store)
    await sink.run()
    assert store.offsets == list(range(10))


async def test_what_was_fetched_of_partitions_that_then_moved_is_read_again_and_not_lost() -> None:
    store, source = Remembering(), Listed(STREAM, rebalance_at=6)
    sink, _ = made(source, store)
    await sink.run()
    assert store.offsets == list(range(10))
    assert source.started == [{}, {("treasury.intercepts", 0): 3}]


async def test_a_database_that_is_away_is_waited_for_and_said_once_in_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sink_module, "RETRY_SECONDS", 0.001)
    store = Remembering(away=20)
    sink, metrics = made(Listed(STREAM), store)
    running = asyncio.create_task(sink.run())
    with caplog.at_level(logging.INFO):
        await until(lambda: store.away <= 10)
        assert (sink.lacks, sample(metrics, "waiting")) == ("PostgreSQL", 1)
        await running
    assert store.offsets == list(range(10))
    assert sample(metrics, "waiting") == 0
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "waiting for PostgreSQL",
        "PostgreSQL answers, after 0 s",
    ]


async def test_told_to_stop_it_waits_no_longer_and_is_not_ready() -> None:
    sink, _ = made(Listed(STREAM), Remembering(away=1_000_000))
    running = asyncio.create_task(sink.run())
    await asyncio.sleep(0.05)
    sink.stop()
    await asyncio.wait_for(running, 5)
    assert sink.lacks == "PostgreSQL"


async def test_it_says_what_it_waits_for() -> None:
    store, source = Remembering(), Listed(STREAM)
    sink, _ = made(source, store)
    assert sink.lacks == "partitions"
    await sink.run()
    assert sink.lacks is None
