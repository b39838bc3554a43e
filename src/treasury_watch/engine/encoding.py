"""Encoding (编码): a state as bytes, equal for equal states, and back.

MessagePack of `[version, max_lateness, layout, start, {scope: [watermark, ids, since, series, cases]}]`, with what has
expired left out and everything in order. The layout says what a state holds: one of other rules is taken over as far as
it reaches, and the rest warms.
"""

from __future__ import annotations

import sys
from array import array
from typing import Any

import msgspec

from treasury_watch.engine.ids import us_in
from treasury_watch.engine.rows import Layout, Rows, Translation, exact, plain
from treasury_watch.engine.scopes import Case, Scope
from treasury_watch.engine.state import State
from treasury_watch.engine.windows import held, packed_since

VERSION = 3


class StateError(ValueError):
    """Bytes that are no state of this version, or one that forgot too early."""


def dump(state: State) -> bytes:
    """A state as bytes: equal for equal states, whatever the order and the batches in which they came about.

    Raises StateError while there are effects that are neither absorbed nor discarded.
    """
    if not state.settled:
        raise StateError("there are effects that are neither absorbed nor discarded")
    scopes = {key: _scope(state, scope) for key, scope in sorted(state.scopes.items())}
    return msgspec.msgpack.encode([VERSION, state.max_lateness_us, state.rows.layout, state.start, scopes])


def load(state: State, data: bytes) -> None:
    """Fills a new state; series that the bytes do not hold, or not as far back, warm.

    Raises StateError on bytes that are damaged or of another version, or that forgot ids that are needed still.
    """
    try:
        version, _, *_ = cells = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise StateError(f"not a state: {error}") from None
    if version != VERSION:
        raise StateError(f"state of version {version}; this engine reads version {VERSION}")
    try:
        _, max_lateness_us, layout, start, scopes = cells
        if max_lateness_us < state.max_lateness_us:
            raise StateError("state of a shorter max_lateness: ids that may still come again are not in it")
        found = msgspec.convert(layout, Layout)
        translation = Translation(found, state.rows.layout)
        state.start = start
        for key, cells in scopes.items():
            _load_scope(state, found, translation, key, *cells)
    except StateError:
        raise
    except (msgspec.ValidationError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise StateError(f"a state that is damaged: {error}") from None


def _scope(state: State, scope: Scope) -> list[Any]:
    alive = scope.watermark - state.max_lateness_us
    ids = sorted((instruction_id, seen) for instruction_id, seen in scope.ids.items() if us_in(seen) >= alive)
    series = [sorted_rows(entry_rows(state, scope, index, scope.series[index])) for index in range(len(state.series))]
    cases = [
        case_cells(state.rows, instruction_id, case)
        for instruction_id, case in sorted(scope.cases.items())
        if not state.is_over(scope, case)
    ]
    return [scope.watermark, ids, scope.since, series, cases]


def sorted_rows(rows: list[list[Any]]) -> list[list[Any]]:
    """Rows of `entry_rows` in the order of their keys."""
    return sorted(rows, key=lambda row: (isinstance(row[0], bytes), row[0]))


def entry_rows(state: State, scope: Scope, index: int, keys: Any) -> list[list[Any]]:
    """For each of the keys of a series that holds entries still asked for: the key, times and values as bytes; of a
    symbolic series times as bytes and values as they are.
    """
    series, keyed = state.series[index], scope.series[index]
    since = scope.watermark - state.history.reaches[index]
    rows = []
    for key in keys:
        entries = keyed.get(key)
        packed = None if entries is None else packed_since(entries, since, series.keeps)
        if not packed:
            continue
        if series.symbolic:
            n = len(packed) // 2
            rows.append([key, _little(packed[:n]), [plain(value) for value in scope.symbols.of(packed[n:])]])
        else:
            rows.append([key, _little(packed)])
    return rows


def take_entry_rows(scope: Scope, index: int, rows: list[list[Any]], keeps: bool, symbolic: bool) -> None:
    """Puts the entries of `entry_rows` in the place of what the scope holds under their keys."""
    keyed = scope.series[index]
    for key, times, *values in rows:
        packed = array("q")
        packed.frombytes(times)
        if sys.byteorder == "big":
            packed.byteswap()
        if symbolic:
            if key in keyed:
                scope.forget_symbols(index, (key,))
            packed += array("q", [scope.symbols.take(exact(value)) for value in values[0]])
        keyed[key] = held(packed, keeps)


def case_cells(rows: Rows, instruction_id: str, case: Case) -> list[Any]:
    """A case in the types of MessagePack."""
    return [instruction_id, case.passed, case.last, case.dispositions, rows.plain(case.row)]


def take_case_cells(scope: Scope, rows: Rows, translation: Translation, cells: list[Any]) -> None:
    """Puts a case into its scope; `rows` are those of the layout that it was written in."""
    instruction_id, passed, last, dispositions, row = cells
    scope.cases[instruction_id] = Case(passed, translation.row(rows.exact(row)), last, dispositions)


def _load_scope(
    state: State,
    layout: Layout,
    translation: Translation,
    key: str,
    watermark: int,
    ids: list[tuple[str, bytes]],
    since: list[int],
    series: list[list[Any]],
    cases: list[Any],
) -> None:
    scope = state.scopes[key] = Scope(key, len(state.series))
    scope.watermark = watermark
    scope.ids.newest = dict(ids)
    for index, number in enumerate(translation.numbers):
        if number is not None:
            take_entry_rows(scope, number, series[index], state.series[number].keeps, state.series[number].symbolic)
    rows = Rows(layout)
    for cells in cases:
        take_case_cells(scope, rows, translation, cells)
    state.know(scope, state.kept_since(layout, translation, since, watermark))


def _little(packed: array[int]) -> bytes:
    if sys.byteorder == "big":
        packed = packed[:]
        packed.byteswap()
    return packed.tobytes()
