"""Scopes (范围): what is remembered of the instructions of one partition-key value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from treasury_watch.engine.anomaly import Effect, Model
from treasury_watch.engine.ids import Ids
from treasury_watch.engine.rows import Row, Rows
from treasury_watch.engine.symbols import Symbols
from treasury_watch.engine.warming import ANCIENT
from treasury_watch.engine.windows import Keyed, add_entry, add_time, beside, packed_of, take_out

Disposed = Literal["release", "return", "confirm"]


@dataclass(slots=True)
class Case:
    """An instruction that was not simply passed: what it adds to windows, and what people decided about it.

    `fingerprint`: that of its content, with which its decision's id begins. `passed`: whether its verdict let it go on
    (a warning). `last`: the last disposition that was no `confirm`.
    `effect`: what the model would learn of it, if there is one; `learned`, whether it has; `wrong`, what people said
    last of the payment.
    """

    fingerprint: bytes
    passed: bool
    row: Row
    last: Disposed | None = None
    dispositions: list[str] = field(default_factory=list)  # ids of those that were applied
    effect: Effect | None = None
    learned: bool = False
    wrong: bool | None = None

    @property
    def executed(self) -> bool:
        """Whether it counts as executed. Source: contract, "Disposition"."""
        return (self.passed or self.last == "release") and self.last != "return"


class Scope:
    """The memory of one partition-key value. `watermark` is the newest event time accepted (microseconds); `since` the
    event time from which on each series is whole, and `warming` the numbers of those for which that matters. `model`
    is its anomaly model, if the rule set has one, and `p_value` what that says of the instruction that is judged now.
    Cases of before `forgotten`, an event time, were over under rules of before, and stay so under longer windows.
    """

    __slots__ = (
        "cases",
        "forgotten",
        "ids",
        "key",
        "looked_at",
        "model",
        "p_value",
        "series",
        "since",
        "symbols",
        "warming",
        "watermark",
    )

    def __init__(self, key: str, series: int, model: Model | None = None) -> None:
        self.key = key
        self.model = model
        self.p_value: Fraction | int | None = None
        self.watermark = ANCIENT
        self.ids = Ids()
        self.series: list[Keyed] = [{} for _ in range(series)]
        self.symbols = Symbols()
        self.cases: dict[str, Case] = {}
        self.forgotten = ANCIENT
        self.since = [ANCIENT] * series
        self.warming: frozenset[int] = frozenset()
        self.looked_at = [ANCIENT] * series  # the watermark when a series was last gone through for what has expired

    def add(self, rows: Rows, series: int, row: Row) -> None:
        """Adds a row's entries to the series that are bits of `series`."""
        us = row[0]
        for index, key_at, value_at, symbolic in rows.members(series):
            keyed, key = self.series[index], row[key_at]
            entries = keyed.get(key)
            if value_at is None:
                if entries is None:
                    keyed[key] = us
                else:
                    add_time(keyed, key, entries, us)
                continue
            value = self.symbols.take(row[value_at]) if symbolic else row[value_at]
            if entries is None:
                keyed[key] = beside(us, value)
            else:
                add_entry(keyed, key, entries, us, value)

    def forget_symbols(self, index: int, keys: Iterable[str | bytes] | None = None) -> None:
        """Counts the symbols of a series' entries as not used any more: under these keys, or all of them."""
        keyed = self.series[index]
        for key in keyed if keys is None else keys:
            packed = packed_of(keyed[key], True)
            for symbol in packed[len(packed) // 2 :]:
                self.symbols.release(symbol)

    def forget_series(self, index: int, symbolic: bool) -> None:
        """Forgets all entries of a series."""
        if symbolic:
            self.forget_symbols(index)
        self.series[index] = {}

    def forget_effects(self) -> None:
        """Forgets what a model would have learned of the cases."""
        for case in self.cases.values():
            case.effect = None

    def take_back(self, rows: Rows, series: int, row: Row) -> None:
        """Removes a row's entries again from the series that are bits of `series`; one that is forgotten is gone."""
        for index, key_at, value_at, symbolic in rows.members(series):
            value: Any = 0 if value_at is None else row[value_at]
            if symbolic:
                found = self.symbols.number(value)
                if found is None:
                    continue
                value = found
            if take_out(self.series[index], row[key_at], row[0], value, value_at is not None) and symbolic:
                self.symbols.release(value)
