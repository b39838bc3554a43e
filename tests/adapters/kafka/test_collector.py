"""When a worker collects everything, and that Python does not of itself."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from treasury_watch.adapters.kafka.collector import (
    BUSY_FACTOR,
    QUIET_SECONDS,
    REST_SECONDS,
    Collector,
    collect_the_young_only,
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Looked:
    """A collector that is asked every second."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.collector = Collector(self.clock)

    def seconds_until_it_collects(self, a_second: int) -> float:
        """With so many payments judged in each second; at most two hours."""
        began = self.clock.now
        for position in range(a_second, 7200 * (a_second + 1), a_second or 1):
            self.clock.now += QUIET_SECONDS
            if self.collector.look(position if a_second else 0):
                return self.clock.now - began
        raise AssertionError("never")


@pytest.fixture
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


class Cycle:
    def __init__(self) -> None:
        self.itself = self


def test_it_collects_when_it_is_quiet_and_rests_then() -> None:
    looked = Looked()
    assert looked.seconds_until_it_collects(0) == REST_SECONDS
    assert looked.seconds_until_it_collects(0) == REST_SECONDS


def test_while_payments_come_it_collects_once_an_hour() -> None:
    assert Looked().seconds_until_it_collects(5) == BUSY_FACTOR * REST_SECONDS == 3600


def test_one_that_took_long_is_followed_by_a_long_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = Looked()

    def slowly() -> None:
        looked.clock.now += 4.0

    monkeypatch.setattr(gc, "collect", slowly)
    assert looked.seconds_until_it_collects(0) == REST_SECONDS + 4.0
    assert looked.seconds_until_it_collects(0) == 4_000.0 + 4.0


def test_the_first_second_without_payments_is_enough_once_it_has_rested() -> None:
    looked = Looked()
    looked.clock.now += REST_SECONDS
    assert not looked.collector.look(1)
    assert not looked.collector.look(2)
    assert looked.collector.look(2)


def test_what_hangs_in_cycles_is_gone_then() -> None:
    looked = Looked()
    gc.disable()
    try:
        alive = weakref.ref(Cycle())
        assert alive() is not None
        looked.seconds_until_it_collects(0)
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.usefixtures("as_before")
def test_python_makes_no_full_collection_of_itself_however_much_is_kept() -> None:
    def remembered(count: int) -> tuple[int, int]:
        before = [each["collections"] for each in gc.get_stats()]
        kept = [[number] for number in range(count)]
        after = [each["collections"] for each in gc.get_stats()]
        assert len(kept) == count
        return after[1] - before[1], after[2] - before[2]

    gc.collect()
    middle, full = remembered(1_000_000)
    assert middle
    assert full
    collect_the_young_only()
    middle, full = remembered(1_000_000)
    assert middle
    assert not full
