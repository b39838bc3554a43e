"""`python -m benchmarks.anomaly_fuzz --count 1000000 --seed 1`: hostile payments through the anomaly model.

Amounts from 0 to far beyond the contract's, times of 1900 to 9998 that jump by hours or centuries in both directions,
names that nobody would give; learned, held and released later, answered, taken back. What is said must be finite and in
its range, what is taken back must be as it was, and what is written down must come back to the bit. Exit status 1 when
anything is otherwise; a finding names the seed and the payment.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from time import process_time
from typing import Any

import msgspec

from treasury_watch.engine.anomaly import Effect, Model, Observation, Scored, drivers, dump, exact, load

_HOUR_US = 3_600_000_000
_FIRST, _LAST = -2_208_988_800_000_000, 253_370_764_800_000_000  # 1900 to the end of 9998
_WRITTEN = 50_000  # payments between two writings
_AMOUNTS = (0, 1, 99, 100, 10**6, 10**15, 10**17, 10**18 - 1, 10**30, 2**63 - 1, 2**63, 5 * 10**7 - 1)
_NAMES = ("", " ", "\u0000", "用", "😀", "\u202e", "x" * 300, "nan", "inf", "-0", "a\nb", "ﬁ①", "'; --", "\ufeff")
_TARGETS = (0.01, 0.001, 0.05, 0.5)


@dataclass
class Result:
    """What became of the payments, and what was otherwise than it must be."""

    payments: int = 0
    alerts: int = 0
    highest: float = 0.0
    jumps: int = 0
    seconds: float = 0.0  # of CPU
    wrong: list[str] = field(default_factory=list)


def payments(seed: int, count: int) -> Iterator[Observation]:
    """Payments of few and of ever new units, payees and subjects, any sign of amount."""
    rng = random.Random(f"anomaly:{seed}")
    us = 1_767_571_200_000_000
    for number in range(count):
        chance = rng.random()
        if chance < 0.001:
            us = rng.randrange(_FIRST, _LAST)
        elif chance < 0.003:
            us += rng.randrange(-400, 800) * 24 * _HOUR_US
        elif chance < 0.2:
            us -= rng.randrange(48 * _HOUR_US)
        else:
            us += rng.randrange(_HOUR_US)
        us = min(max(us, _FIRST), _LAST)
        fen = rng.choice(_AMOUNTS) if rng.random() < 0.3 else int(10 ** rng.uniform(0, 20))
        yield Observation(
            us,
            us // _HOUR_US % 168,
            -fen if rng.random() < 0.3 else fen,
            _name(rng, number),
            _name(rng, number) if rng.random() < 0.9 else None,
            _name(rng, number) if rng.random() < 0.8 else None,
        )


def _name(rng: random.Random, number: int) -> str:
    chance = rng.random()
    if chance < 0.7:
        return f"{int(40 * rng.random() ** 2)}"
    return rng.choice(_NAMES) if chance < 0.9 else f"new {number}"


def tally(seed: int, count: int, progress: Callable[[Result], None] = lambda result: None) -> Result:
    """Shows the model that many payments, and holds what it says against what it may say."""
    rng = random.Random(f"people:{seed}")
    model, result, held = Model(), Result(), deque[Effect](maxlen=500)
    newest = 0
    for number, seen in enumerate(payments(seed, count), 1):
        started = process_time()
        scored = model.score(seen)
        learn = rng.random() < 0.9
        effect = model.effect(seen, scored, learn)
        if rng.random() < 0.02:
            result.wrong += [f"{number}: {each}" for each in taken_back(model, effect)]
        model.apply(effect)
        if not learn or rng.random() < 0.05:
            held.append(effect)
        if held and rng.random() < 0.05:
            _people(model, held.popleft(), rng)
        if rng.random() < 0.0001:
            model.retarget(rng.choice(_TARGETS))
        model.forget(6)
        result.seconds += process_time() - started
        result.wrong += [f"{number}: {each}" for each in outside(seen, scored, effect)]
        result.payments, result.alerts = number, result.alerts + scored.alert
        result.highest = max(result.highest, scored.score)
        result.jumps += abs(seen.us - newest) > 365 * 24 * _HOUR_US
        newest = seen.us
        if number % _WRITTEN == 0 or number == count:
            result.wrong += [f"{number}: {each}" for each in written(model)]
            progress(result)
    return result


def outside(seen: Observation, scored: Scored, effect: Effect) -> Iterator[str]:
    """What of a score is not finite, out of its range, or cannot be written down."""
    if not (isfinite(scored.score) and scored.score >= 0.0):
        yield f"score {scored.score}"
    if scored.p_value is not None and not (0.0 < scored.p_value <= 1.0 and 0 < exact(scored.p_value) <= 1):
        yield f"p-value {scored.p_value}"
    if any(value is not None and not isfinite(value) for value in scored.measured.values):
        yield f"values {scored.measured.values}"
    if tuple(msgspec.msgpack.decode(msgspec.msgpack.encode(effect))) != effect:
        yield f"effect {effect}"
    for each in drivers(seen, scored):
        if not (isfinite(each.value) and each.surprise > 0.0 and 0.0 < each.share <= 1.0 + 1e-9):
            yield f"driver {each}"


def taken_back(model: Model, effect: Effect) -> Iterator[str]:
    """What is otherwise after an effect was applied and taken back."""
    before = model.core.cells()
    replaced, core = model.apply(effect)
    model.undo((replaced, core))
    if model.core.cells() != before or any(entities.get(key) != old for entities, key, old in replaced):
        yield "not taken back"


def written(model: Model) -> Iterator[str]:
    """What is not the same after writing and reading, and what is remembered that is not finite."""
    data = dump(model)
    if dump(load(data)) != data:
        yield "not the same after writing and reading"
    for place in _not_finite(msgspec.msgpack.decode(data)):
        yield f"remembers {place}"


def _not_finite(cells: Any) -> Iterator[float]:
    if isinstance(cells, float):
        if not isfinite(cells):
            yield cells
    elif isinstance(cells, list):
        for each in cells:
            yield from _not_finite(each)


def _people(model: Model, effect: Effect, rng: random.Random) -> None:
    """A person releases a payment that was held, or says whether one was wrong."""
    if model.accepts(effect):
        if not effect[12]:
            model.learn(effect)
        model.feedback(effect, rng.random() < 0.3)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anomaly_fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    def progress(result: Result) -> None:
        print(f"{result.payments:,} payments in {result.seconds:,.0f} s", file=sys.stderr)

    result = tally(arguments.seed, arguments.count, progress)
    print(
        f"{result.payments:,} payments, {result.seconds:,.0f} s of CPU in the model; {result.jumps:,} jumps of more "
        f"than a year; highest score {result.highest:.1f}; {result.alerts:,} alerts; otherwise: {len(result.wrong)}"
    )
    for each in result.wrong[:10]:
        print(each, file=sys.stderr)
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
