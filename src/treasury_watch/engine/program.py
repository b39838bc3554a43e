"""The program (规则程序): a rule set made ready to run, shared by the engines of all partitions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import date, timedelta
from operator import attrgetter
from typing import Any
from unicodedata import is_normalized

from treasury_watch.domain.calendar import Days, LocalDay
from treasury_watch.domain.payment import (
    HOME_CURRENCY,
    Instruction,
    Kind,
    account_form,
    field_of,
    name_form,
    partition_key_of,
)
from treasury_watch.engine import windows
from treasury_watch.engine.failsafe import SafeVerdict
from treasury_watch.engine.warming import ANCIENT
from treasury_watch.rules import values
from treasury_watch.rules.compiler import Compiler
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.forms.lookup import Column, column_of
from treasury_watch.rules.meaning import boundaries
from treasury_watch.rules.plan import Series, plan, series_key
from treasury_watch.rules.schema import RuleSet

DEFAULT_MAX_LATENESS = timedelta(days=31)
_MISSING = object()

Judge = Callable[..., Any]


class Program:
    """A compiled rule set. Nothing in it changes a verdict once it is made: what it remembers are its own functions
    and days.
    """

    def __init__(
        self,
        ruleset: RuleSet,
        max_lateness: timedelta = DEFAULT_MAX_LATENESS,
        on_error: SafeVerdict = "intercept",
    ) -> None:
        """`on_error`: the verdict on an instruction on which the rules fail. Raises ValueError if `max_lateness` is
        negative.
        """
        if max_lateness < timedelta(0):
            raise ValueError("max_lateness is negative")
        self.ruleset = ruleset
        self.on_error: SafeVerdict = on_error
        self.max_lateness_us = max_lateness // timedelta(microseconds=1)
        self.days = Days(ruleset.timezone)
        self.partition_key = _partition_key(ruleset.partition_by)
        self.rules = ruleset.running
        self.model = ruleset.model
        self.series = plan(ruleset)
        self._boundaries = boundaries(ruleset)
        self._by_span: dict[tuple[int, frozenset[int]], Judge] = {}
        self._bound: dict[Any, Any] = {}
        self._series_of: dict[int, Series] = {}
        self._rates = self.column("exchange_rates", "rate") if "exchange_rates" in ruleset.tables else None

    def judge(self, day: LocalDay, warming: frozenset[int] = frozenset()) -> Judge:
        """The function that judges instructions of a local day: see `rules.compiler`.

        `warming`: the series whose history may begin too late for a window of some scope.
        """
        span = (bisect_right(self._boundaries, day.ordinal), warming)
        found = self._by_span.get(span)
        if found is None:
            found = self._by_span[span] = self._compile(day.ordinal, warming)
        return found

    def source(self, ordinal: int) -> str:
        """The generated source for a local day, for people who want to see what runs."""
        return self._compiler(ordinal, frozenset()).source()

    def series_of(self, feature: Aggregate) -> Series:
        """The series that an aggregate of this rule set is cut from."""
        found = self._series_of.get(
            id(feature)
        )  # by identity: the rule set keeps its features, and hashing them is slow
        if found is None:
            found = self._series_of[id(feature)] = self.series[series_key(feature)]
        return found

    def amount(self, instruction: Instruction, fen: int, ordinal: int) -> int | None:
        """The amount in fen of CNY as rules see it: missing in a currency without a rate on that local day."""
        currency = instruction.currency
        if currency is None or currency == HOME_CURRENCY:
            return fen
        rate = None if self._rates is None else self._rates((currency,), ordinal)
        return None if rate is None else values.in_home_currency(fen, rate)

    def column(self, table: str, column: str) -> Column:
        """The look-up `(key cells, local day) → value or None` of one column of a table, in run-time values."""
        found = self.ruleset.tables[table]
        bound: Column = self._bind(("column", table, column), lambda: column_of(found, column))
        return bound

    def _compiler(self, ordinal: int, warming: frozenset[int]) -> Compiler:
        return Compiler(self.ruleset, self.series, ordinal, self._bind, warming)

    def _compile(self, ordinal: int, warming: frozenset[int]) -> Judge:
        compiler = self._compiler(ordinal, warming)
        source = compiler.source()
        namespace: dict[str, Any] = {**_NAMES, **compiler.constants}
        exec(compile(source, f"<rules from {date.fromordinal(ordinal)}>", "exec"), namespace)
        judge: Judge = namespace["judge"]
        return judge

    def _bind(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        if key not in self._bound:
            self._bound[key] = make()
        return self._bound[key]


def _partition_key(name: str) -> Callable[[Instruction], str]:
    """The partition-key value of an instruction as text: empty where it is missing, as it cannot be in the worker."""
    known = field_of(name)
    if known is not None and known.required and known.kind in (Kind.TEXT, Kind.ENUM):
        return attrgetter(name)
    return lambda instruction: partition_key_of(instruction, name) or ""


_NAMES: dict[str, Any] = {
    "U": _MISSING,
    "BEFORE_ALL": ANCIENT,
    "BIAS": windows.BIAS,
    "account_form": account_form,
    "name_form": name_form,
    "is_normalized": is_normalized,
    "bisect_right": bisect_right,
    **{name: getattr(windows, name) for name in (
        "cut_values", "cut_times", "total", "least", "greatest", "mean", "add_entry", "add_time", "beside",
    )},
    **{name: getattr(values, name) for name in (
        "digest", "add_exact", "sub_exact", "mul_exact", "div_exact",
        "attribute_number", "attribute_money", "attribute_text", "attribute_boolean", "attribute_any", "attribute_key",
        "sum_of", "min_of", "max_of", "avg_of", "distinct_of",
    )},
}  # fmt: skip
