"""`python -m benchmarks.anomaly_speed`: what the anomaly model costs for each payment, in CPU time.

Payments are scored, their effects made and applied, after as many for warming up. Times of a machine that others use
say little: beside them stands the ratio to a turn of a loop of float additions, which runs in between.
"""

from __future__ import annotations

import argparse
import gc
import random
from time import process_time

from treasury_watch.engine.anomaly import Model, Observation, dump, load

WARMING = COUNTED = 20_000
REPETITIONS = 5
_PART = 500  # payments between two measurements of the loop
_TURNS = 20_000
_HOUR_US = 3_600_000_000
_START_US = 1_767_571_200_000_000  # a Monday, 0:00 UTC
_A_DAY = 400


def payments(count: int) -> list[Observation]:
    """Payments of 100 units to some 3,000 payees on working days, amounts of one yuan to millions."""
    rng, made = random.Random("speed"), []
    for number in range(count):
        day, at = divmod(number, _A_DAY)
        hour = day // 5 * 168 + day % 5 * 24 + 9 + 8 * at // _A_DAY
        unit = int(100 * rng.random() ** 2)
        payee = int(30 * rng.random() ** 2) * (unit + 1) if rng.random() < 0.9 else rng.randrange(3_000)
        fen = int(10 ** rng.gauss(4.0 + unit % 4, 0.5)) + 1
        made.append(
            Observation(_START_US + hour * _HOUR_US, hour % 168, fen, f"U{unit}", f"P{payee}", f"S{rng.randrange(20)}")
        )
    return made


def turn_ns() -> float:
    """The nanoseconds that a float addition in a loop takes just now."""
    started, total = process_time(), 0.0
    for _ in range(_TURNS):
        total += 0.5
    return (process_time() - started) / _TURNS * 1e9


def measure() -> tuple[float, float]:
    """µs for each payment, and how many turns of the loop that is: the best of the repetitions by turns."""
    stream = payments(WARMING + COUNTED)
    model = Model()
    for seen in stream[:WARMING]:
        model.apply(model.effect(seen, model.score(seen), True))
    warm, found = dump(model), []
    for _ in range(REPETITIONS):
        model, seconds, turns = load(warm), 0.0, []
        gc.collect()
        for start in range(WARMING, WARMING + COUNTED, _PART):
            part = stream[start : start + _PART]
            started = process_time()
            for seen in part:
                model.apply(model.effect(seen, model.score(seen), True))
            seconds += process_time() - started
            turns.append(turn_ns())
        us = seconds / COUNTED * 1e6
        found.append((us / (sum(turns) / len(turns)) * 1e3, us))
    turns_worth, us = min(found)
    return us, turns_worth


def main() -> None:
    """The command."""
    argparse.ArgumentParser(prog="python -m benchmarks.anomaly_speed", description=__doc__).parse_args()
    us, turns = measure()
    print(f"score, effect and apply: {us:.1f} µs of CPU a payment, {turns:.0f} turns of the loop")


if __name__ == "__main__":
    main()
