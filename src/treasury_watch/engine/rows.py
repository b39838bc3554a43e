"""Rows (行): what one instruction adds to all series, as plain data that can be kept, sent and read again.

A row is a tuple: event time, the series that the instruction belongs to as bits, then values, then keys. `Layout` says
what stands where, in terms that mean the same in every rule set, so that rows of one are read under another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from msgspec import Struct

from treasury_watch.rules.plan import ROW_HEAD, Series
from treasury_watch.rules.values import simplest

Row = tuple[Any, ...]

_REMEMBERED = 4_096  # combinations of series
_WIDEST = 63  # series whose bits are a number of MessagePack


class Kept(Struct, frozen=True, array_like=True):
    """What is kept of one series: its meaning, the places of its key and value among a row's keys and values
    (`None`: it keeps none), whether values are symbols, and how far back it reaches (microseconds, lateness included).
    """

    name: str
    key: int
    value: int | None
    symbolic: bool
    reach_us: int


class Layout(Struct, frozen=True, array_like=True):
    """What stands in rows: of each value its field and whether only numbers count, of each key its fields."""

    series: tuple[Kept, ...]
    values: tuple[tuple[str, bool], ...]
    keys: tuple[tuple[str, ...], ...]


def layout_of(series: Sequence[Series], reaches: Sequence[int]) -> Layout:
    """The layout of a plan, its series in order of their numbers."""
    values: dict[int, tuple[str, bool]] = {}
    keys: dict[int, tuple[str, ...]] = {}
    for each in series:
        keys[each.slot] = each.key.grouped_by
        if each.own is not None:
            values[each.own] = (each.key.field or "", each.key.numbers)
    return Layout(
        tuple(
            Kept(each.name, each.slot, each.own, each.symbolic, reach_us)
            for each, reach_us in zip(series, reaches, strict=True)
        ),
        tuple(values[at] for at in range(len(values))),
        tuple(keys[at] for at in range(len(keys))),
    )


def longest_us(layout: Layout, max_lateness_us: int) -> int:
    """How far back the series of a layout reach at most (microseconds, lateness included)."""
    return max((each.reach_us for each in layout.series), default=max_lateness_us)


class Rows:
    """Reads and writes the rows of one layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        first_key = ROW_HEAD + len(layout.values)
        self._places = [
            (index, first_key + each.key, None if each.value is None else ROW_HEAD + each.value, each.symbolic)
            for index, each in enumerate(layout.series)
        ]
        self._members: dict[int, tuple[tuple[int, int, int | None, bool], ...]] = {}
        self._odd = sorted({at for _, _, at, symbolic in self._places if symbolic and at is not None})
        self._wide = len(layout.series) > _WIDEST

    def members(self, series: int) -> tuple[tuple[int, int, int | None, bool], ...]:
        """For each of the series, given as bits: its number, the places of key and value, whether it is symbolic."""
        found = self._members.get(series)
        if found is None:
            if len(self._members) >= _REMEMBERED:
                self._members.clear()
            found = self._members[series] = tuple(self._places[index] for index in bits(series))
        return found

    def nothing(self, us: int) -> Row:
        """The row of an instruction that belongs to no series."""
        return (us, 0, *(None for _ in self.layout.values), *(None for _ in self.layout.keys))

    def plain(self, row: Row) -> Sequence[Any]:
        """A row in the types of MessagePack."""
        if not self._wide and all(row[at] is None or type(row[at]) is str for at in self._odd):
            return row
        cells = list(row)
        for at in self._odd:
            cells[at] = plain(row[at])
        cells[1] = self.plain_bits(row[1])
        return cells

    def plain_bits(self, series: int) -> int | bytes:
        """Bits in the types of MessagePack."""
        return series.to_bytes((series.bit_length() + 7) // 8, "big") if self._wide else series

    def exact(self, cells: Sequence[Any]) -> Row:
        """The row that `plain` was given."""
        row = list(cells)
        row[1] = exact_bits(row[1])
        for at in self._odd:
            row[at] = exact(row[at])
        return tuple(row)


class Translation:
    """Rows of one layout as rows of another: series of the same name, values and keys of the same fields.

    Of series that are new nothing is known; they are in no row.
    """

    def __init__(self, old: Layout, new: Layout) -> None:
        self._values = [_place(old.values, each) for each in new.values]
        self._keys = [_place(old.keys, each) for each in new.keys]
        self._first_key = ROW_HEAD + len(old.values)
        names = {each.name: index for index, each in enumerate(new.series)}
        self.numbers = [names.get(each.name) for each in old.series]  # old series number → new one
        self.same = old.values == new.values and old.keys == new.keys and self.numbers == [*range(len(new.series))]

    def bits(self, series: int) -> int:
        """The same series as bits of the new layout."""
        if self.same:
            return series
        return sum(1 << new for old in bits(series) if (new := self.numbers[old]) is not None)

    def row(self, row: Row) -> Row:
        """The row in the new layout."""
        if self.same:
            return row
        values = (None if at is None else row[ROW_HEAD + at] for at in self._values)
        keys = (None if at is None else row[self._first_key + at] for at in self._keys)
        return (row[0], self.bits(row[1]), *values, *keys)


def bits(series: int) -> Iterator[int]:
    """The numbers of the bits that are set, lowest first."""
    while series:
        low = series & -series
        yield low.bit_length() - 1
        series ^= low


def exact_bits(series: int | bytes) -> int:
    """The bits that `plain_bits` was given."""
    return series if isinstance(series, int) else int.from_bytes(series, "big")


def plain(value: Any) -> Any:
    """A symbol's value in MessagePack: numbers, which may be wider than its 64 bits, as pairs of texts."""
    if isinstance(value, (int, Fraction)):
        return [str(value.numerator), str(value.denominator)]
    return value


def exact(value: Any) -> Any:
    """The value that `plain` was given."""
    return simplest(Fraction(int(value[0]), int(value[1]))) if isinstance(value, list) else value


def _place(known: Sequence[Any], wanted: Any) -> int | None:
    return known.index(wanted) if wanted in known else None
