"""State (状态): what is remembered of one partition's instructions, kept apart for each value of the partition key.

A scope is one such value. It remembers the ids it has seen, with the fingerprint of their content, and the entries of
every series. What is forgotten is only what no acceptable instruction can ask for any more; when it is forgotten has
no effect on any verdict.

Encoding: MessagePack of `[version, layout, {scope: [watermark, ids, series]}]`, with what has expired left out and
everything in order, so that equal states have equal bytes. The layout says which series there are and how far each
reaches back: a state that reaches less far would judge with short windows.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import msgspec

from treasury_watch.engine.ids import Ids, us_in
from treasury_watch.engine.symbols import Symbols
from treasury_watch.engine.windows import Keyed, count, held, oldest, packed_since, remove_entry, trim
from treasury_watch.rules.plan import Series
from treasury_watch.rules.values import simplest

VERSION = 1
ANCIENT = -(2**63)  # before every event time


class Scope:
    """The memory of one partition-key value. `watermark` is the newest event time accepted (microseconds)."""

    __slots__ = ("ids", "series", "since", "symbols", "watermark")

    def __init__(self, series: int) -> None:
        self.watermark = ANCIENT
        self.ids = Ids()
        self.series: list[Keyed] = [{} for _ in range(series)]
        self.symbols = Symbols()
        self.since = [ANCIENT] * series  # event time from which on the history of each series is whole


class StateError(ValueError):
    """Bytes that are no state of this version and these windows."""


class State:
    """All scopes of one partition, with the effects that are not absorbed yet kept on a log so that they can be
    undone.
    """

    def __init__(self, series: list[Series], max_lateness_us: int) -> None:
        self._series = series
        self._max_lateness_us = max_lateness_us
        self._reaches = [each.reach_us + max_lateness_us for each in series]
        self._layout = [max_lateness_us, *([each.name, each.reach_us] for each in series)]
        self.scopes: dict[str, Scope] = {}
        # Flat lists, since a tuple for each addition would keep the garbage collector busy. Additions to series, oldest
        # first: scope, series number, key, time. Ids noted: scope, id, what it replaced.
        self.log: list[Any] = []
        self.new_ids: list[Any] = []
        self.touched: dict[str, tuple[Scope, int]] = {}  # scopes judged in, with the watermark they had before
        # The round of forgetting: what is still to be gone through, the series that is, and its keys that are left.
        self._places: Iterator[tuple[Scope, int]] = iter(())
        self._place: tuple[Scope, int] = (Scope(0), 0)
        self._keys: list[str | bytes] = []

    def scope(self, key: str) -> Scope:
        """The scope of a partition-key value that is not among the touched ones, now noted as one of them."""
        scope = self.scopes.get(key)
        if scope is None:
            scope = self.scopes[key] = Scope(len(self._series))
        self.touched[key] = (scope, scope.watermark)
        return scope

    def absorb(self) -> None:
        """Keeps what the log says, and forgets some of what has expired: work in proportion to what was added."""
        for scope, _ in self.touched.values():
            scope.ids.forget(scope.watermark, self._max_lateness_us)
        self._forget_entries(len(self.log) // 4)
        self.log.clear()
        self.new_ids.clear()
        self.touched.clear()

    def discard(self) -> None:
        """Undoes what the log says, newest first."""
        for scope, index, key, us in _rows(self.log, 4):
            value = remove_entry(scope.series[index], key, us, self._series[index].keeps)
            if self._series[index].symbolic:
                scope.symbols.release(value)
        for scope, instruction_id, replaced in _rows(self.new_ids, 3):
            del scope.ids.newest[instruction_id]
            if replaced is not None:
                scope.ids.newest[instruction_id] = replaced
        for key, (scope, watermark) in self.touched.items():
            scope.watermark = watermark
            if watermark == ANCIENT:
                del self.scopes[key]
        self.log.clear()
        self.new_ids.clear()
        self.touched.clear()

    # --- forgetting ---

    def _forget_entries(self, keys: int) -> None:
        """Looks at that many keys for expired entries, going round all of them: as many as were added, so that memory
        is bounded by what was added in one round, also under keys that are never used again."""
        while keys > 0:
            if not self._keys:
                place = next(self._places, None)
                if place is None:
                    self._places = self._round()
                    place = next(self._places, None)
                    if place is None:
                        return
                self._place = place
                self._keys = list(place[0].series[place[1]])[::-1]  # the oldest last: looked at first, it has expired
            scope, index = self._place
            keyed, series, before = scope.series[index], self._series[index], scope.watermark - self._reaches[index]
            looked_at = self._keys[-keys:]
            del self._keys[-keys:]
            keys -= len(looked_at)
            for key in looked_at:
                entries = keyed.get(key)
                if entries is None:
                    continue
                lone = not series.keeps and isinstance(entries, int)  # most are, and a call for each would be felt
                first: int = entries if lone else oldest(entries, series.keeps)  # type: ignore[assignment]
                if first < before:
                    gone = trim(keyed, key, before, series.keeps)
                    if series.symbolic:
                        for symbol in gone:
                            scope.symbols.release(symbol)

    def _round(self) -> Iterator[tuple[Scope, int]]:
        """Every series of every scope that holds any key, once."""
        for scope in list(self.scopes.values()):
            for index, keyed in enumerate(scope.series):
                if keyed:
                    yield scope, index

    # --- counting and encoding ---

    def entries(self) -> dict[str, int]:
        """How many scopes, ids, keys and entries are held, expired ones that are not forgotten yet included."""
        scopes = list(self.scopes.values())
        return {
            "scopes": len(scopes),
            "ids": sum(len(scope.ids) for scope in scopes),
            "keys": sum(len(series) for scope in scopes for series in scope.series),
            "entries": sum(
                count(entries, series.keeps)
                for scope in scopes
                for series, keyed in zip(self._series, scope.series, strict=True)
                for entries in keyed.values()
            ),
        }

    def dump(self) -> bytes:
        """The state as bytes: equal for equal states, whatever the order and the batches in which they came about."""
        if self.log or self.touched:
            raise StateError("there are effects that are neither absorbed nor discarded")
        scopes = {key: self._dump_scope(scope) for key, scope in sorted(self.scopes.items())}
        return msgspec.msgpack.encode([VERSION, self._layout, scopes])

    def _dump_scope(self, scope: Scope) -> list[Any]:
        alive = scope.watermark - self._max_lateness_us
        ids = sorted((instruction_id, seen) for instruction_id, seen in scope.ids.items() if us_in(seen) >= alive)
        return [scope.watermark, ids, [self._dump_series(scope, index) for index in range(len(self._series))]]

    def _dump_series(self, scope: Scope, index: int) -> list[Any]:
        series = self._series[index]
        since = scope.watermark - self._reaches[index]
        rows = []
        for key, entries in scope.series[index].items():
            packed = packed_since(entries, since, series.keeps)
            if not packed:
                continue
            if series.symbolic:
                n = len(packed) // 2
                rows.append([key, _little(packed[:n]), [_plain(value) for value in scope.symbols.of(packed[n:])]])
            else:
                rows.append([key, _little(packed)])
        return sorted(rows, key=lambda row: (isinstance(row[0], bytes), row[0]))

    def load(self, data: bytes) -> None:
        """Takes the place of this state. Raises StateError on bytes that are damaged or of other make."""
        try:
            version, layout, scopes = msgspec.msgpack.decode(data)
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            raise StateError(f"not a state: {error}") from None
        if version != VERSION:
            raise StateError(f"state of version {version}; this engine reads version {VERSION}")
        if layout != self._layout:
            raise StateError("state of a rule set with other windows, or of another max_lateness")
        try:
            self.scopes = {key: self._load_scope(*row) for key, row in scopes.items()}
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise StateError(f"a state that is damaged: {error}") from None

    def _load_scope(self, watermark: int, ids: list[tuple[str, bytes]], series: list[list[Any]]) -> Scope:
        scope = Scope(len(self._series))
        scope.watermark = watermark
        scope.ids.newest = dict(ids)
        for index, rows in enumerate(series):
            keeps, symbolic = self._series[index].keeps, self._series[index].symbolic
            for key, times, *values in rows:
                packed = array("q")
                packed.frombytes(times)
                if sys.byteorder == "big":
                    packed.byteswap()
                if symbolic:
                    packed += array("q", [scope.symbols.take(_exact(value)) for value in values[0]])
                scope.series[index][key] = held(packed, keeps)
        return scope


def _rows(flat: list[Any], width: int) -> Iterator[list[Any]]:
    """The rows of a flat list, last first."""
    for at in range(len(flat) - width, -1, -width):
        yield flat[at : at + width]


def _little(packed: array[int]) -> bytes:
    if sys.byteorder == "big":
        packed = packed[:]
        packed.byteswap()
    return packed.tobytes()


def _plain(value: Any) -> Any:
    """A symbol's value in MessagePack: numbers, which may be wider than its 64 bits, as pairs of texts."""
    if isinstance(value, (int, Fraction)):
        return [str(value.numerator), str(value.denominator)]
    return value


def _exact(value: Any) -> Any:
    return simplest(Fraction(int(value[0]), int(value[1]))) if isinstance(value, list) else value
