"""Encoding (编码): a state as bytes, equal for equal states, and back.

MessagePack of `[version, max_lateness, layout, start, model, {scope: [watermark, ids, since, series, forgotten, cases,
model]}]`, with what has expired left out and everything in order. The layout says what a state holds: one of other
rules is taken over as far as it reaches, and the rest warms.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator
from fractions import Fraction
from struct import Struct
from typing import Any

import msgspec

from treasury_watch.engine import anomaly
from treasury_watch.engine.blocks import BLOCK
from treasury_watch.engine.ids import us_in
from treasury_watch.engine.rows import Layout, Rows, Translation, exact, plain
from treasury_watch.engine.scopes import Case, Scope
from treasury_watch.engine.state import State
from treasury_watch.engine.windows import Keyed, beside, held, packed_of, packed_since, value_in
from treasury_watch.rules.schema import ModelBlock

VERSION = 8
_PIECE = 8_192  # entries of one row
_ENTRY = 16  # bytes
_PAIR, _TIME = Struct("<qq"), Struct("<q")


class StateError(ValueError):
    """Bytes that are no state of this version, or one that forgot too early."""


def dump(state: State) -> bytes:
    """A state as bytes: equal for equal states, whatever the order and the batches in which they came about.

    Raises StateError while there are effects that are neither absorbed nor discarded.
    """
    if not state.settled:
        raise StateError("there are effects that are neither absorbed nor discarded")
    scopes = {key: _scope(state, scope) for key, scope in sorted(state.scopes.items())}
    model = block_cells(state.model)
    return msgspec.msgpack.encode([VERSION, state.max_lateness_us, state.rows.layout, state.start, model, scopes])


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
        _, max_lateness_us, layout, start, model, scopes = cells
        if max_lateness_us < state.max_lateness_us:
            raise StateError("state of a shorter max_lateness: ids that may still come again are not in it")
        found = msgspec.convert(layout, Layout)
        translation = Translation(found, state.rows.layout)
        state.start = start
        wanted, state.model = state.model, block_of(model)
        for key, cells in scopes.items():
            _load_scope(state, found, translation, key, *cells)
        state.remodel(wanted)
    except StateError:
        raise
    except anomaly.ModelError as error:
        raise StateError(str(error)) from None
    except (msgspec.ValidationError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise StateError(f"a state that is damaged: {error}") from None


def _scope(state: State, scope: Scope) -> list[Any]:
    alive = scope.watermark - state.max_lateness_us
    ids = sorted((instruction_id, seen) for instruction_id, seen in scope.ids.items() if us_in(seen) >= alive)
    series = [[*entry_rows(state, scope, index, _in_order(scope.series[index]))] for index in range(len(state.series))]
    cases = [
        case_cells(state.rows, instruction_id, case)
        for instruction_id, case in sorted(scope.cases.items())
        if not state.is_over(scope, case)
    ]
    return [
        scope.watermark,
        ids,
        scope.since,
        series,
        state.forgotten(scope),
        cases,
        None if scope.model is None else anomaly.dump(scope.model),
    ]


def _in_order(keys: Iterable[str | bytes]) -> list[str | bytes]:
    return sorted(keys, key=lambda key: (isinstance(key, bytes), key))


def entry_rows(state: State, scope: Scope, index: int, keys: Iterable[str | bytes]) -> Iterator[list[Any]]:
    """For each of the keys of a series that holds entries still asked for: the key, true, times and values as bytes; of
    a symbolic series times as bytes and values as they are. Of a key with many entries there are more rows, with false.
    No window asks for entries of before the series is whole.
    """
    series, keyed = state.series[index], scope.series[index]
    since = max(scope.watermark - state.history.reaches[index], scope.since[index])
    keeps = series.keeps
    usual = _PAIR.pack if keeps else _TIME.pack
    quick = sys.byteorder == "little" and not series.symbolic
    for key in keys:
        entries = keyed.get(key)
        if entries is None:
            continue
        if quick:  # most keys have few entries, of which none has expired
            if isinstance(entries, int):
                time = entries >> 64 if keeps else entries
                if time >= since:
                    yield [key, True, usual(time, value_in(entries)) if keeps else usual(time)]
                continue
            if isinstance(entries, array) and entries[0] >= since and len(entries) <= _PIECE:
                yield [key, True, entries.tobytes()]
                continue
        packed = packed_since(entries, since, keeps)
        if not packed:
            continue
        n = len(packed) >> 1 if keeps else len(packed)
        if series.symbolic:
            values = [plain(value) for value in scope.symbols.of(packed[n:])]
            for start, stop in _pieces(values):
                yield [key, not start, _little(packed[start:stop]), values[start:stop]]
            continue
        for start in range(0, n, _PIECE):
            stop = min(start + _PIECE, n)
            yield [key, not start, _little(packed[start:stop] + packed[n + start : n + stop])]


def take_entry_rows(scope: Scope, index: int, rows: Iterable[list[Any]], keeps: bool, symbolic: bool) -> None:
    """Puts the entries of `entry_rows` in the place of what the scope holds under their keys."""
    keyed = scope.series[index]
    if sys.byteorder == "little" and not symbolic:
        rows = _take_usual_rows(keyed, rows, keeps)
    for key, first, times, *values in rows:
        packed = array("q")
        packed.frombytes(times)
        if sys.byteorder == "big":
            packed.byteswap()
        if symbolic:
            if first and key in keyed:
                scope.forget_symbols(index, (key,))
            packed += array("q", [scope.symbols.take(exact(value)) for value in values[0]])
        if not first:
            packed = _joined(packed_of(keyed[key], keeps), packed, keeps)
        keyed[key] = held(packed, keeps)


def _take_usual_rows(keyed: Keyed, rows: Iterable[list[Any]], keeps: bool) -> list[list[Any]]:
    """Puts entries in place that need nothing but to be copied, which is most of them; returns the other rows."""
    others = []
    size = _ENTRY if keeps else _ENTRY // 2
    for row in rows:
        key, first, data = row
        length = len(data)
        if not first or not size <= length <= size * BLOCK:
            others.append(row)
        elif length > size:
            keyed[key] = array("q", data)
        elif keeps:
            us, value = _PAIR.unpack(data)
            keyed[key] = beside(us, value)
        else:
            (keyed[key],) = _TIME.unpack(data)
    return others


def _pieces(values: list[Any]) -> Iterator[tuple[int, int]]:
    """Stretches of values that are not too large for one row."""
    start = size = 0
    for at, value in enumerate(values):
        size += _ENTRY + 4 * sum(map(len, value))  # a text's characters, or two texts
        if size > _PIECE * _ENTRY and at > start:
            yield start, at
            start, size = at, _ENTRY + 4 * sum(map(len, value))
    yield start, len(values)


def _joined(one: array[int], other: array[int], keeps: bool) -> array[int]:
    if not keeps:
        return one + other
    n, m = len(one) >> 1, len(other) >> 1
    return one[:n] + other[:m] + one[n:] + other[m:]


def case_cells(rows: Rows, instruction_id: str, case: Case) -> list[Any]:
    """A case in the types of MessagePack."""
    model = None if case.effect is None else [case.effect, case.learned, case.wrong]
    return [instruction_id, case.fingerprint, case.passed, case.last, case.dispositions, rows.plain(case.row), model]


def take_case_cells(scope: Scope, rows: Rows, translation: Translation, cells: list[Any]) -> None:
    """Puts a case into its scope; `rows` are those of the layout that it was written in."""
    instruction_id, fingerprint, passed, last, dispositions, row, model = cells
    row = translation.row(rows.exact(row))
    case = scope.cases[instruction_id] = Case(fingerprint, passed, row, last, dispositions)
    if model is not None:
        effect, case.learned, case.wrong = model
        case.effect = tuple(effect)


def _load_scope(
    state: State,
    layout: Layout,
    translation: Translation,
    key: str,
    watermark: int,
    ids: list[tuple[str, bytes]],
    since: list[int],
    series: list[list[Any]],
    forgotten: int,
    cases: list[Any],
    model: bytes | None,
) -> None:
    scope = state.scopes[key] = Scope(key, len(state.series), None if model is None else anomaly.load(model))
    scope.watermark, scope.forgotten = watermark, forgotten
    scope.ids.newest = dict(ids)
    for index, number in enumerate(translation.numbers):
        if number is not None:
            take_entry_rows(scope, number, series[index], state.series[number].keeps, state.series[number].symbolic)
    rows = Rows(layout)
    for cells in cases:
        take_case_cells(scope, rows, translation, cells)
    state.know(scope, state.kept_since(layout, translation, since, watermark))


def block_cells(block: ModelBlock | None) -> list[Any] | None:
    """Which model judges, in the types of MessagePack: its detector, target and parameters."""
    return None if block is None else [block.detector, str(block.target), block.parameters]


def block_of(cells: list[Any] | None) -> ModelBlock | None:
    """The model of `block_cells`."""
    if cells is None:
        return None
    detector, target, parameters = cells
    return ModelBlock(detector, Fraction(target), tuple((name, value) for name, value in parameters))


def _little(packed: array[int]) -> bytes:
    if sys.byteorder == "big":
        packed = packed[:]
        packed.byteswap()
    return packed.tobytes()
