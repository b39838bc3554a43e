"""(a) The engine alone: decoded instructions in, decisions out, in this process, on one core."""

from __future__ import annotations

import gc
from collections import Counter
from time import perf_counter

from benchmarks.figures import Aim, Figure, Section, median
from benchmarks.sizes import BATCH, Sizes
from benchmarks.workload import DAYS, default_program, instructions
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision
from treasury_watch.engine import Engine, Program

AIM = Aim(60_000)
_CALIBRATION_STEPS = 400_000


def measure(sizes: Sizes) -> Section:
    """`assess` and `absorb` in batches, every repetition with a new engine, between two calibrations."""
    program, batch = default_program(), instructions(sizes.engine)
    rates, units = [], []
    for _ in range(sizes.repetitions):
        before = calibration_seconds()
        seconds, verdicts, hits = _judge_all(program, batch)
        units.append((before + calibration_seconds()) / 2)
        rates.append(len(batch) / seconds)
    per_unit = [rate * unit for rate, unit in zip(rates, units, strict=True)]
    return Section(
        "engine",
        f"(a) Engine alone: {len(batch):,} instructions of {DAYS} days, default pack, batches of {BATCH}, "
        f"{sizes.repetitions} repetitions",
        (
            Figure("median", median(rates), "instructions/s", AIM),
            Figure("slowest", min(rates), "instructions/s"),
            Figure("fastest", max(rates), "instructions/s"),
            Figure("per calibration unit, median", median(per_unit), "instructions"),
            Figure("calibration unit, median", median(units) * 1000, "ms"),
        ),
        (
            f"{sum(verdicts.values()) - verdicts['pass']:,} are not passed, {hits:,} hits",
            "the calibration unit is fixed work in plain Python, timed around each repetition: compare machines, "
            "and busy with idle hours, by instructions per unit",
        ),
    )


def _judge_all(program: Program, everything: list[Instruction]) -> tuple[float, Counter[str], int]:
    engine = Engine(program)
    verdicts: Counter[str] = Counter()
    hits, seconds = 0, 0.0
    gc.collect()
    for start in range(0, len(everything), BATCH):
        batch = everything[start : start + BATCH]
        started = perf_counter()
        outcomes = engine.assess(batch)
        engine.absorb()
        seconds += perf_counter() - started
        for outcome in outcomes:
            assert isinstance(outcome, Decision)
            verdicts[outcome.verdict] += 1
            hits += len(outcome.hits)
    return seconds, verdicts, hits


def calibration_seconds() -> float:
    """How long fixed work takes that is like the engine's: short texts, a dictionary, whole numbers."""
    table: dict[str, int] = {}
    started = perf_counter()
    for step in range(_CALIBRATION_STEPS):
        key = f"{step % 5_000}|{step & 7}"
        table[key] = table.get(key, 0) + step * step % 97
    return perf_counter() - started
