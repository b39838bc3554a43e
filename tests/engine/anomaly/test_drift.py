"""Drift: nothing in what is ordinary, soon what changes for good; the tests are those of river."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from math import exp

import pytest
from river import drift as river

from tests.engine.anomaly.paying import HOUR_US, live, ordinary
from treasury_watch.engine.anomaly import Model, Observation, dump, load
from treasury_watch.engine.anomaly.drift import (
    ADWIN,
    BLOCK,
    CONFIDENCE,
    INPUTS,
    KEPT,
    LEARNING,
    LIMIT,
    NONE,
    PAGE_HINKLEY,
    SLACK,
    USUAL,
    WINDOW,
    Drift,
    cut,
    hinkley_after,
)

_STEADY = (LEARNING + USUAL + 10) * BLOCK
_SOON = 6  # blocks


def _some_new(payments: Iterable[Observation], share: float, seed: int) -> list[Observation]:
    """The payments, that share of them to payees that were never paid."""
    rng = random.Random(seed)
    return [
        seen._replace(payee=f"new {seed}-{at}") if rng.random() < share else seen for at, seen in enumerate(payments)
    ]


def _later(seed: int, share: float = 0.05, a_day: int = 40, times: float = 1.0, hours: int = 0) -> list[Observation]:
    """What comes after the steady payments, changed."""
    return [
        seen._replace(us=seen.us + 100 * 168 * HOUR_US, fen=int(seen.fen * times), hour=(seen.hour + hours) % 168)
        for seen in _some_new(ordinary(10 * BLOCK, seed, a_day=a_day), share, seed)
    ]


@pytest.fixture(scope="module")
def steady() -> bytes:
    """A model that has seen steady payments, one in twenty to a new payee."""
    model = Model()
    live(model, _some_new(ordinary(_STEADY, seed=31), 0.05, 1))
    return dump(model)


@pytest.mark.no_cover
def test_in_100_000_ordinary_payments_nothing_drifts() -> None:
    model = Model()
    for seen in ordinary(100_000):
        model.apply(model.effect(seen, model.score(seen), True))
    assert model.core.drift.blocks == 200
    assert model.core.drift.events == ()


@pytest.mark.parametrize("seed", [32, 33, 34])
def test_steady_payments_go_on_without_an_event(steady: bytes, seed: int) -> None:
    model = load(steady)
    live(model, _later(seed))
    assert model.core.drift.events == ()


@pytest.mark.parametrize(
    ("name", "direction", "changed"),
    [
        pytest.param("level", "up", lambda seed: _later(seed, times=exp(0.3)), id="level up by 0.3"),
        pytest.param("level", "down", lambda seed: _later(seed, times=exp(-0.3)), id="level down by 0.3"),
        pytest.param("new_payees", "up", lambda seed: _later(seed, share=0.10), id="twice as many new payees"),
        pytest.param("rate", "up", lambda seed: _later(seed, a_day=80), id="twice as many a day"),
        pytest.param("hour", "up", lambda seed: _later(seed, hours=3), id="three hours later"),
    ],
)
@pytest.mark.parametrize("seed", [32, 33, 34])
def test_a_change_is_noticed_within_a_few_blocks(
    steady: bytes, name: str, direction: str, changed: Callable[[int], list[Observation]], seed: int
) -> None:
    model = load(steady)
    began = model.core.drift.blocks
    for seen in changed(seed):
        live(model, [seen])
        if model.core.drift.events:
            break
    ((step, found, way, before, after, detector),) = model.core.drift.events
    assert (found, way, detector) == (name, direction, PAGE_HINKLEY)
    assert (after > before) == (way == "up")
    assert step == model.core.watermark
    assert model.core.drift.blocks - began <= _SOON


def _means(level: float) -> tuple[float, ...]:
    return level, 0.05, 3.0, 400.0


def _fed(levels: Iterable[float]) -> Drift:
    drift = Drift(LEARNING)
    for step, level in enumerate(levels):
        drift = drift.after(step, _means(level))
    return drift


def test_what_is_little_but_stays_is_found_by_adwin() -> None:
    noise = [0.1 if at % 2 else -0.1 for at in range(WINDOW)]
    ((_, name, way, before, after, detector),) = _fed(
        (7.11 if at >= WINDOW // 2 else 7.0) + off for at, off in enumerate(noise)
    ).events
    assert (name, way, detector) == ("level", "up", ADWIN)
    assert before == pytest.approx(7.0, abs=0.02)
    assert after == pytest.approx(7.11, abs=0.02)


def test_one_odd_block_is_no_drift() -> None:
    rng = random.Random(5)
    levels = [rng.gauss(7.0, 0.1) for _ in range(60)]
    levels[40] = 900.0
    assert _fed(levels).events == ()


def test_the_last_20_events_are_kept() -> None:
    levels = [float(at // 40) for at in range(40 * (KEPT + 8))]
    events = _fed(levels).events
    assert len(events) == KEPT
    assert [step for step, *_ in events] == sorted(step for step, *_ in events)
    assert events[-1][3:5] == (KEPT + 6.0, KEPT + 7.0)


def test_the_inputs_are_means_of_what_was_learned_in_a_block() -> None:
    model, payments = Model(), _some_new(ordinary((LEARNING + 1) * BLOCK, seed=7), 0.05, 2)
    block = [effect for _, effect in live(model, payments)][-BLOCK:]
    found = {name: means[-1] for name, (means, *_) in zip(INPUTS, model.core.drift.watched, strict=True)}
    began = payments[-BLOCK - 1].us // HOUR_US
    assert found["level"] == pytest.approx(sum(effect[4] for effect in block) / BLOCK)
    assert found["new_payees"] == sum(effect[13] for effect in block) / BLOCK
    assert found["hour"] == pytest.approx(sum((ord(effect[9][10]) + 0.5) / 10 for effect in block) / BLOCK)
    assert found["rate"] == BLOCK * 24 / (block[-1][0] - began)


def test_an_event_is_undone_to_the_bit_and_written_and_read(steady: bytes) -> None:
    model, undone = load(steady), []
    for seen in _later(35, times=2.0):
        undone.append(model.apply(model.effect(seen, model.score(seen), True)))
    assert model.core.drift.events
    assert load(dump(model)).core.drift == model.core.drift
    for undo in reversed(undone):
        model.undo(undo)
    assert dump(model) == steady


def _streams() -> list[list[float]]:
    rng, streams = random.Random(6), []
    for number in range(60):
        change, shift = rng.randrange(10, 100), rng.uniform(-3.0, 3.0) if number % 4 else 0.0
        streams.append([rng.gauss(shift if at >= change else 0.0, 1.0) for at in range(WINDOW)])
    return streams


def _first(alarms: Iterable[bool]) -> int | None:
    return next((at for at, alarm in enumerate(alarms) if alarm), None)


def _told_by(detector: river.PageHinkley | river.ADWIN, values: Iterable[float]) -> Iterable[bool]:
    for value in values:
        detector.update(value)
        yield detector.drift_detected


def _by_hinkley(values: Iterable[float]) -> Iterable[bool]:
    state = NONE
    for value in values:
        state = hinkley_after(state, value)
        yield max(state[2], state[4]) > LIMIT


def test_page_hinkley_alarms_where_that_of_river_does() -> None:
    found = []
    for values in _streams():
        theirs = river.PageHinkley(min_instances=1, delta=SLACK, threshold=LIMIT, alpha=1.0)
        found.append(_first(_by_hinkley(values)))
        assert found[-1] == _first(_told_by(theirs, values))
    assert None in found
    assert len(set(found)) > 20


def test_adwin_alarms_where_that_of_river_does() -> None:
    """River's with buckets so many that each holds one value."""
    found = []
    for values in _streams():
        theirs = river.ADWIN(delta=CONFIDENCE, clock=1, max_buckets=WINDOW, min_window_length=1, grace_period=1)
        found.append(_first(bool(cut(values[: at + 1])) for at in range(WINDOW)))
        assert found[-1] == _first(_told_by(theirs, values))
    assert None in found
    assert len(set(found)) > 20
