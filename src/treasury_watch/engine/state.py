"""State (状态): what is remembered of one partition's instructions, kept apart for each value of the partition key.

A scope is one such value. It remembers the ids it has seen, with the fingerprint of their content, and the entries of
every series. What is forgotten is only what no acceptable instruction can ask for any more; when it is forgotten has
no effect on any verdict.

A series of a scope is whole from an event time on, its `since`. Before that its entries are not all there, because the
rule that asks for them is newer than they are, or because what was before is gone: a window that begins earlier is
missing, and the series is *warming* until no acceptable instruction can ask for such a window (ADR 0016).

Encoding: MessagePack of `[version, [max_lateness, [name, reach] of each series], start, {scope: [watermark, ids, since,
series]}]`, with what has expired left out and everything in order, so that equal states have equal bytes. The names and
reaches say what a state holds: one of other rules is taken over as far as it reaches, and the rest warms.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import msgspec

from treasury_watch.engine.ids import Ids, us_in
from treasury_watch.engine.symbols import Symbols
from treasury_watch.engine.warming import ANCIENT as ANCIENT
from treasury_watch.engine.warming import History
from treasury_watch.engine.windows import Keyed, count, held, packed_since, remove_entry, trim
from treasury_watch.rules.plan import Series, row_layout
from treasury_watch.rules.values import simplest

VERSION = 2
_LOOKS = 4  # times in the time that an entry is kept its key is looked at: memory is held for a quarter more than that
_PASSING_BY = 8  # what it counts for, in keys, to find that a series need not be gone through


class Scope:
    """The memory of one partition-key value. `watermark` is the newest event time accepted (microseconds); `since` the
    event time from which on each series is whole, and `warming` the numbers of those for which that matters.
    """

    __slots__ = ("ids", "looked_at", "series", "since", "symbols", "warming", "watermark")

    def __init__(self, series: int) -> None:
        self.watermark = ANCIENT
        self.ids = Ids()
        self.series: list[Keyed] = [{} for _ in range(series)]
        self.symbols = Symbols()
        self.since = [ANCIENT] * series
        self.looked_at = [ANCIENT] * series  # the watermark when a series was last gone through for what has expired
        self.warming: frozenset[int] = frozenset()


class StateError(ValueError):
    """Bytes that are no state of this version, or one that forgot too early."""


class State:
    """All scopes of one partition, with the effects that are not absorbed yet kept on a log so that they can be
    undone.
    """

    def __init__(self, series: list[Series], max_lateness_us: int) -> None:
        self._series = series
        self._max_lateness_us = max_lateness_us
        self._history = History(series, max_lateness_us)
        self._keys_at, self._owns_at = row_layout(series)
        self._layout = [max_lateness_us, *([each.name, each.reach_us] for each in series)]
        self._start = ANCIENT  # the event time before which nothing is known of any scope
        self.warming: frozenset[int] = frozenset()  # the series that are warming in any scope
        self.scopes: dict[str, Scope] = {}
        # Flat lists, since a tuple for each entry would keep the garbage collector busy. Instructions that were added,
        # oldest first: scope, the series that they were added to as bits, the row. Ids that were noted: scope, id, what
        # it replaced.
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
            if self._start > ANCIENT:
                self._begin(scope)
        self.touched[key] = (scope, scope.watermark)
        return scope

    def starts_at(self, us: int) -> None:
        """Says that what was before this event time is not known, of no scope: windows that begin earlier are missing.

        To be said before anything is judged; of two times the later one holds.
        """
        self._start = max(self._start, us)
        for scope in self.scopes.values():
            self._begin(scope)

    def _begin(self, scope: Scope) -> None:
        since = (max(each, self._start) for each in scope.since)
        self._know(scope, self._history.whole_from(since, scope.watermark))

    def _know(self, scope: Scope, since: list[int]) -> None:
        """Sets from when on a scope's series are whole; where that does not matter, they always were."""
        warming = self._history.warming(since, scope.watermark)
        scope.since = [us if index in warming else ANCIENT for index, us in enumerate(since)]
        scope.warming = warming
        if not warming <= self.warming:
            self.warming |= warming

    def lacking(self) -> int:
        """How many series do not reach back far enough for a payment of now, in any scope: late ones are not asked."""
        lack = (self._history.warming(each.since, each.watermark, late=False) for each in self.scopes.values())
        return len(frozenset().union(*lack)) if self.warming else 0

    def absorb(self) -> None:
        """Keeps what the log says, and forgets some of what has expired: work in proportion to what was added."""
        covered = False
        for scope, _ in self.touched.values():
            scope.ids.forget(scope.watermark, self._max_lateness_us)
            if scope.warming and self._history.warming(scope.since, scope.watermark) != scope.warming:
                self._know(scope, scope.since)
                covered = True
        if covered:
            self.warming = frozenset().union(*(scope.warming for scope in self.scopes.values()))
        self._forget_entries(len(self.log) // 3 * len(self._series))
        self.log.clear()
        self.new_ids.clear()
        self.touched.clear()

    def discard(self) -> None:
        """Undoes what the log says, newest first."""
        for scope, added, row in _rows(self.log, 3):
            self._take_back(scope, added, row)
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

    def _take_back(self, scope: Scope, added: int, row: Sequence[Any]) -> None:
        """Removes a row's entries from the series that are bits of `added`; each was the last added at its time."""
        for index in _bits(added):
            series = self._series[index]
            value = remove_entry(scope.series[index], row[self._keys_at[index]], row[0], series.keeps)
            if series.symbolic:
                scope.symbols.release(value)

    def forget_ids(self) -> dict[str, tuple[frozenset[str], int]]:
        """Forgets every id; returns, for each partition-key value, those that could still be accepted, and the newest
        event time among them.
        """
        known = {}
        for key, scope in self.scopes.items():
            found = {each: us_in(seen) for each, seen in scope.ids.items() if self.accepts(key, us_in(seen))}
            if found:
                known[key] = frozenset(found), max(found.values())
            scope.ids = Ids()
        return known

    def accepts(self, key: str, us: int) -> bool:
        """Whether an instruction of that event time would not be too late."""
        scope = self.scopes.get(key)
        return scope is None or us >= scope.watermark - self._max_lateness_us

    # --- forgetting ---

    def _forget_entries(self, keys: int) -> None:
        """Looks at that many keys for expired entries, going round all series of which much can have expired: at least
        as many as were added, so that memory is bounded by what was added in one round, also under keys that are never
        used again."""
        while keys > 0:
            if not self._keys:
                place = next(self._places, None)
                if place is None:
                    self._places = self._round()
                    place = next(self._places, None)
                    if place is None:
                        return
                scope, index = self._place = place
                if scope.watermark - scope.looked_at[index] < self._history.reaches[index] // _LOOKS:
                    keys -= _PASSING_BY
                    continue
                scope.looked_at[index] = scope.watermark
                self._keys = list(scope.series[index])[::-1]  # the oldest last: looked at first, it has expired
            scope, index = self._place
            keyed, series = scope.series[index], self._series[index]
            before = scope.watermark - self._history.reaches[index]
            looked_at = self._keys[-keys:]
            del self._keys[-keys:]
            keys -= len(looked_at)
            for key in looked_at:
                entries = keyed.get(key)
                if entries is None:
                    continue
                if isinstance(entries, array):  # a call for each would be felt
                    first = entries[0]
                elif isinstance(entries, int):
                    first = entries >> 64 if series.keeps else entries
                else:
                    first = entries.firsts[0]
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
        return msgspec.msgpack.encode([VERSION, self._layout, self._start, scopes])

    def _dump_scope(self, scope: Scope) -> list[Any]:
        alive = scope.watermark - self._max_lateness_us
        ids = sorted((instruction_id, seen) for instruction_id, seen in scope.ids.items() if us_in(seen) >= alive)
        series = [self._dump_series(scope, index) for index in range(len(self._series))]
        return [scope.watermark, ids, scope.since, series]

    def _dump_series(self, scope: Scope, index: int) -> list[Any]:
        series = self._series[index]
        since = scope.watermark - self._history.reaches[index]
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
        """Takes the place of this state; series that the bytes do not hold, or not as far back, warm.

        Raises StateError on bytes that are damaged or of another version, or that forgot ids that are needed still.
        """
        try:
            version, _, *_ = parts = msgspec.msgpack.decode(data)
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            raise StateError(f"not a state: {error}") from None
        if version != VERSION:
            raise StateError(f"state of version {version}; this engine reads version {VERSION}")
        try:
            _, (max_lateness_us, *layout), start, scopes = parts
            kept_ids = max_lateness_us >= self._max_lateness_us
            found = {name: (at, reach + max_lateness_us) for at, (name, reach) in enumerate(layout)}
            places = [found.get(each.name) for each in self._series]
            loaded = {key: self._load_scope(places, *row) for key, row in scopes.items()}
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise StateError(f"a state that is damaged: {error}") from None
        if not kept_ids:
            raise StateError("state of a shorter max_lateness: ids that may still come again are not in it")
        self._start, self.scopes, self.warming = start, {}, frozenset()
        for key, (scope, since) in loaded.items():
            self.scopes[key] = scope
            self._know(scope, self._history.whole_from(since, scope.watermark))

    def _load_scope(
        self,
        places: list[tuple[int, int] | None],
        watermark: int,
        ids: list[tuple[str, bytes]],
        since: list[int],
        series: list[list[Any]],
    ) -> tuple[Scope, list[int]]:
        """A scope, and from when on each of its series was kept: `places` says as which number, and how far back."""
        scope = Scope(len(self._series))
        scope.watermark = watermark
        scope.ids.newest = dict(ids)
        kept_since = []
        for index, place in enumerate(places):
            if place is None:
                kept_since.append(watermark + 1)
                continue
            at, reach_us = place
            reaches = reach_us >= self._history.reaches[index]
            kept_since.append(since[at] if reaches else max(since[at], watermark - reach_us))
            self._load_series(scope, index, series[at])
        return scope, kept_since

    def _load_series(self, scope: Scope, index: int, rows: list[Any]) -> None:
        keeps, symbolic = self._series[index].keeps, self._series[index].symbolic
        for key, times, *values in rows:
            packed = array("q")
            packed.frombytes(times)
            if sys.byteorder == "big":
                packed.byteswap()
            if symbolic:
                packed += array("q", [scope.symbols.take(_exact(value)) for value in values[0]])
            scope.series[index][key] = held(packed, keeps)


def _rows(flat: list[Any], width: int) -> Iterator[list[Any]]:
    """The rows of a flat list, last first."""
    for at in range(len(flat) - width, -1, -width):
        yield flat[at : at + width]


def _bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


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
