"""(d) Memory: what the state holds for each key, each further entry of a key and each instruction id.

The parts are found by walking through a state that the engine has built, and added up with the allocator's rounding;
what the process has grown by, as the system says, shows how much of the truth that is.
"""

from __future__ import annotations

import gc
import os
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from benchmarks.figures import Aim, Figure, Section
from benchmarks.sizes import BATCH, Sizes
from benchmarks.workload import decoded, default_program, instructions
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.payment import Instruction
from treasury_watch.engine import Engine, Program
from treasury_watch.rules.plan import Series

AIM_KEY, AIM_ENTRY = Aim(200, at_most=True), Aim(16, at_most=True)
_TEMPLATES = 2_000  # simulated instructions, in turn
_ALIGNMENT = 16  # bytes, of Python's allocator and of the C library's


def measure(sizes: Sizes) -> Section:
    """In a process of its own, whose growth is the state's."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (sizes,))


def _measure(sizes: Sizes) -> Section:
    program = default_program()
    templates = instructions(_TEMPLATES)
    _engine_after(program, templates)  # texts that patterns remember, and the like
    before = _resident()
    engine = _engine_after(program, _units(templates, sizes.memory_keys))
    after = _resident()
    keys, walked = _keys(engine, program)
    ids, ids_bytes = _ids(engine)
    counts = engine.state.entries()
    notes = [
        f"{counts['keys']:,} keys with {counts['entries']:,} entries and {ids:,} ids; a key counts once for its "
        "series, however many windows are cut from it",
    ]
    if before is not None and after is not None and after > before:
        share = (walked + ids_bytes) / (after - before)
        notes.append(
            f"the process grew by {(after - before) / 1e6:,.1f} MB; the parts found add up to {share:.0%} of that"
        )
    return Section(
        "memory",
        f"(d) Memory of the state: {sizes.memory_keys:,} budget units with a payment each, default pack",
        (
            *keys,
            *_further_entries(program, templates, sizes.memory_entries),
            Figure("instruction id", ids_bytes / ids, "bytes"),
            Figure("a million instruction ids", ids_bytes / ids, "MB"),
        ),
        tuple(notes),
    )


def _engine_after(program: Program, everything: Iterable[Instruction]) -> Engine:
    engine = Engine(program)
    batch: list[Instruction] = []
    for instruction in everything:
        batch.append(instruction)
        if len(batch) == BATCH:
            engine.assess(batch)
            engine.absorb()
            batch.clear()
    engine.assess(batch)
    engine.absorb()
    return engine


def _resident() -> int | None:
    gc.collect()
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def _units(templates: list[Instruction], count: int) -> Iterator[Instruction]:
    """Instructions of a unit each, so that each begins a key in every series that it takes part in: half by official
    card, half in cash."""
    for number in range(count):
        template = templates[number % len(templates)]
        by_card = number % 2
        instruction = replace(
            template,
            instruction_id=f"{template.instruction_id[:-8]}{number:08d}",
            budget_unit=f"{number:06d}",
            amount="100.00",
            currency=None,
            payee_account=template.payee_account or f"9933{number:015d}",
            invoice_no=f"26990000{number:012d}",
            settlement="official_card" if by_card else "cash",
            card_no=f"62899{number:011d}" if by_card else None,
        )
        yield decoded(encode_instruction(instruction))  # with texts of its own, as the worker has it


def _keys(engine: Engine, program: Program) -> tuple[list[Figure], int]:
    """The bytes of a key with one entry, by series and on average; and of everything in all series. A series that none
    of these payments takes part in is left out."""
    found = held_by_series(engine, program)
    total, keys = sum(held for _, held, _ in found), sum(count for _, _, count in found)
    figures = [
        Figure(f"key of {_meaning(series)}", held / count, "bytes", AIM_KEY) for series, held, count in found if count
    ]
    return [Figure("key with one entry, mean of all series", total / keys, "bytes", AIM_KEY), *figures], round(total)


def held_by_series(engine: Engine, program: Program) -> list[tuple[Series, float, int]]:
    """Each series with the bytes of all that it holds and how many keys it has; a key in several is shared out."""
    scopes = list(engine.state.scopes.values())
    holders = Counter(id(key) for scope in scopes for keyed in scope.series for key in keyed)
    found = []
    for series in program.series.values():
        held, count = 0.0, 0
        for scope in scopes:
            keyed = scope.series[series.index]
            count += len(keyed)
            held += sys.getsizeof(keyed) if keyed else 0
            held += sum(_rounded(sys.getsizeof(key)) / holders[id(key)] for key in keyed)
            held += sum(map(held_by, keyed.values()))
        found.append((series, held, count))
    return found


def _meaning(series: Series) -> str:
    by = ", ".join((*series.key.by, "fiscal_year") if series.key.fiscal else series.key.by)
    where = " of some payments" if series.key.where else ""
    return f"{by}{where}: {'times and values' if series.keeps else 'times'}"


def _ids(engine: Engine) -> tuple[int, int]:
    """How many ids are known, and their bytes with what is kept of each."""
    scopes = engine.state.scopes.values()
    return sum(len(scope.ids) for scope in scopes), sum(held_by(scope.ids) for scope in scopes)


def _further_entries(program: Program, templates: list[Instruction], counts: tuple[int, ...]) -> Iterator[Figure]:
    """The bytes of each further entry in a key that comes to hold so many, in the series that count small payments."""
    base = next(
        each
        for each in templates
        if each.settlement == "transfer" and each.business_type == "normal" and each.payee_account
    )

    def payments(start: int, stop: int) -> Iterator[Instruction]:
        for number in range(start, stop):
            yield replace(
                base,
                instruction_id=f"E{number:08d}",
                event_time=base.event_time + timedelta(seconds=number),
                amount="0.01",
                purpose=f"办公用品采购第{number}批",
                invoice_no=None,
            )

    asked = [each for each in program.series.values() if each.key.by == ("budget_unit", "payee_account")]
    engine, held, first = Engine(program), 0, {}
    for count in counts:
        for instruction in payments(held, count):
            engine.assess([instruction])
            engine.absorb()
            if not held:
                series = [each for each in asked if engine.state.scopes[instruction.jurisdiction].series[each.index]]
                first = {each.index: held_by(_only(engine, each)) for each in series}
                held = 1
        held = count
        for each in series:
            entries = _only(engine, each)
            further = (held_by(entries) - first[each.index]) / (count - 1)
            what = "time and value" if each.keeps else "time"
            yield Figure(f"further entry ({what}) in a key of {count:,}", further, "bytes", AIM_ENTRY)


def _only(engine: Engine, series: Series) -> Any:
    (scope,) = engine.state.scopes.values()
    (entries,) = scope.series[series.index].values()
    return entries


def held_by(value: Any) -> int:
    """The bytes of an object of the state, with everything that it alone refers to."""
    if isinstance(value, array):
        buffer = value.__sizeof__() - _EMPTY_ARRAY
        return _rounded(sys.getsizeof(value) - buffer) + _rounded(buffer)
    own = _rounded(sys.getsizeof(value))
    if isinstance(value, dict):
        return own + sum(held_by(key) + held_by(each) for key, each in value.items())
    if isinstance(value, list | tuple):
        return own + sum(map(held_by, value))
    return own + sum(held_by(getattr(value, name)) for name in getattr(type(value), "__slots__", ()))


_EMPTY_ARRAY = array("q").__sizeof__()


def _rounded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
