"""Payments for the tests of the model: an ordinary stream, and how a model lives through it."""

from __future__ import annotations

import random
from collections.abc import Iterable

from treasury_watch.engine.anomaly import Effect, Model, Observation, Scored

HOUR_US = 3_600_000_000
MONDAY_US = 1_772_409_600_000_000 // HOUR_US * HOUR_US  # of March 2026, 0:00 UTC


def paid(hours: float, fen: int, unit: str = "U1", payee: str | None = "P1", subject: str | None = None) -> Observation:
    """A payment so many hours after a Monday, 0:00."""
    us = MONDAY_US + int(hours * HOUR_US)
    return Observation(us, int(hours) % 168, fen, unit, payee, subject)


def ordinary(count: int, seed: int = 1, units: int = 10, a_day: int = 40) -> list[Observation]:
    """Payments of working hours: each unit has a level of its own and a dozen payees."""
    rng = random.Random(f"ordinary:{seed}")
    made = []
    for number in range(count):
        day, unit = divmod(number // a_day, 5), rng.randrange(units)
        hours = day[0] * 168 + day[1] * 24 + 9 + 8 * (number % a_day) / a_day
        fen = 10 ** (4 + unit % 3) * rng.randint(30, 100) * rng.randint(30, 100) // 3_000
        made.append(
            paid(hours, fen, f"U{unit}", f"P{unit}-{min(rng.randrange(12), rng.randrange(12))}", f"S{rng.randrange(4)}")
        )
    return made


def anything(rng: random.Random, us: int) -> Observation:
    """A payment of any hour, amount and names at that event time."""
    fen = rng.choice((0, rng.randrange(10**7), -rng.randrange(10**9), int(10 ** rng.uniform(0, 17))))
    payee = rng.choice((None, f"P{rng.randrange(300)}", chr(rng.randrange(0x4E00, 0x9FFF)) * rng.randrange(1, 9)))
    return Observation(us, rng.randrange(168), fen, f"U{rng.randrange(50)}", payee, rng.choice((None, "302", "")))


def chaos(count: int, seed: int) -> list[Observation]:
    """Payments of any sort: late ones, ones of the same moment, gaps of years."""
    rng, us, made = random.Random(seed), 1_700_000_000_000_000, []
    for _ in range(count):
        us += rng.choice((0, 1, 10**6, 10**9, -(10**11), 10**11, 10**15 if rng.random() < 0.001 else 0))
        made.append(anything(rng, us))
    return made


def live(model: Model, payments: Iterable[Observation], learn: bool = True) -> list[tuple[Scored, Effect]]:
    """Scores payments and applies their effects, one after another."""
    lived = []
    for seen in payments:
        scored = model.score(seen)
        effect = model.effect(seen, scored, learn)
        model.apply(effect)
        lived.append((scored, effect))
    return lived
