"""(f) What rules cost: the engine without any, with the first pack, the full one, and ten times as many rules."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from time import process_time

from benchmarks import packs
from benchmarks.figures import Aim, Figure, Section, median
from benchmarks.memory import held_by_series
from benchmarks.sizes import BATCH, Sizes
from benchmarks.workload import DAYS, default_ruleset, instructions
from treasury_watch.domain.payment import Instruction, microseconds
from treasury_watch.engine import Engine, Program
from treasury_watch.rules.plan import needed_by, series_key
from treasury_watch.rules.schema import RuleSet

NONE, FIRST, FULL = "no rules", "first pack", "full pack"
SHARING, APART = f"full pack × {packs.COPIES}, sharing features", f"full pack × {packs.COPIES}, sharing none"
_AIMS = {FULL: Aim(12, at_most=True)}
_AIM_SHARING = Aim(3, at_most=True)
_SETS: dict[str, Callable[[RuleSet], RuleSet]] = {
    NONE: packs.none,
    FIRST: packs.first,
    FULL: lambda ruleset: ruleset,
    SHARING: lambda ruleset: packs.tenfold(ruleset, sharing=True),
    APART: lambda ruleset: packs.tenfold(ruleset, sharing=False),
}


@dataclass(slots=True)
class _Measured:
    """A rule set, and what it took: seconds of CPU to compile it, µs of CPU for each instruction by repetition."""

    program: Program
    compiling: float
    costs: list[float] = field(default_factory=list)


def measure(sizes: Sizes) -> Section:
    """All rule sets in turn in each repetition, so that what else the machine does falls on all of them."""
    ruleset, batch = default_ruleset(), instructions(sizes.rules)
    measured = {name: _compiled(made(ruleset), batch[0]) for name, made in _SETS.items()}
    held = 0.0
    for _ in range(sizes.repetitions):
        for name, each in measured.items():
            engine, seconds = _judge_all(each.program, batch)
            each.costs.append(seconds / len(batch) * 1e6)
            if name == FULL:
                held = _held(engine, each.program)
    figures = [
        *(Figure(name, median(each.costs), "µs", _AIMS.get(name)) for name, each in measured.items()),
        *(Figure(f"{name} ÷ {NONE}", _ratio(measured, name, NONE), "times") for name in measured if name != NONE),
        Figure(f"{SHARING} ÷ {FULL}", _ratio(measured, SHARING, FULL), "times", _AIM_SHARING),
        Figure(f"{APART} ÷ {FULL}", _ratio(measured, APART, FULL), "times"),
        Figure(f"state of a key and window, {FULL}", held, "bytes"),
        *(Figure(f"compiling, {name}", each.compiling * 1000, "ms") for name, each in measured.items() if name != NONE),
    ]
    return Section(
        "rules",
        f"(f) Rules: CPU for each of {len(batch):,} instructions of {DAYS} days, batches of {BATCH}, "
        f"{sizes.repetitions} repetitions",
        tuple(figures),
        (
            *(
                f"{name}: {len(each.program.rules)} rules, {len(each.program.series)} series of entries, "
                f"{_windows(each.program)} windows cut from them"
                for name, each in measured.items()
                if name != NONE
            ),
            "costs are medians; ratios are medians of those within a repetition; a program outlives the repetitions, "
            "with what it remembers of texts",
        ),
    )


def _compiled(ruleset: RuleSet, first: Instruction) -> _Measured:
    started = process_time()
    program = Program(ruleset)
    program.judge(program.days.of(microseconds(first.event_time)))
    return _Measured(program, process_time() - started)


def _judge_all(program: Program, everything: list[Instruction]) -> tuple[Engine, float]:
    engine, seconds = Engine(program), 0.0
    gc.collect()
    for start in range(0, len(everything), BATCH):
        batch = everything[start : start + BATCH]
        started = process_time()
        engine.assess(batch)
        engine.absorb()
        seconds += process_time() - started
    return engine, seconds


def _ratio(measured: dict[str, _Measured], name: str, other: str) -> float:
    pairs = zip(measured[name].costs, measured[other].costs, strict=True)
    return median([cost / base for cost, base in pairs])


def _held(engine: Engine, program: Program) -> float:
    """The bytes of the state, without ids, for each key and window: a key counts once for each window cut from it."""
    found = held_by_series(engine, program)
    windows = _windows_by_series(program)
    return sum(held for _, held, _ in found) / sum(count * windows[series.index] for series, _, count in found)


def _windows(program: Program) -> int:
    return sum(_windows_by_series(program).values())


def _windows_by_series(program: Program) -> dict[int, int]:
    """Series number → how many windows and periods its features cut from it."""
    cut = {
        (program.series[series_key(feature)].index, feature.window_us, feature.period)
        for rule in program.rules
        for feature in needed_by(rule)
    }
    return {index: sum(at == index for at, _, _ in cut) for index in range(len(program.series))}
