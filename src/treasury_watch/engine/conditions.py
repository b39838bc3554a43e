"""Conditions, interpreted: the truth of a rule in Kleene logic for one instruction, with the values it rests on.

The compiled rules decide; this says why. It is the plain reading of the rule guide, asked only of rules that fired,
and a test holds the two to the same answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from treasury_watch.domain.calendar import LocalDay, year_start
from treasury_watch.domain.payment import HOME_CURRENCY, Instruction, Kind, account_form, field_of, name_form
from treasury_watch.engine import windows
from treasury_watch.engine.program import Program
from treasury_watch.engine.scopes import Scope
from treasury_watch.engine.warming import ANCIENT
from treasury_watch.rules import values
from treasury_watch.rules.evaluation import Truth
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.meaning import LONG_KEY, param_on, runtime_value
from treasury_watch.rules.operators import OPERATORS
from treasury_watch.rules.plan import SeriesKey
from treasury_watch.rules.schema import (
    All,
    Any_,
    Condition,
    Feature,
    FeatureRef,
    FieldRef,
    Leaf,
    None_,
    Not,
    Operand,
    Param,
    RuleSet,
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One instruction at the moment it is judged: before it is added to the windows, which hold what came before it.

    `amount` is in fen of CNY, `None` if missing; `us` is the event time in microseconds; `p_value` is what the anomaly
    model says, `None` if nothing.
    """

    program: Program
    instruction: Instruction
    us: int
    amount: int | None
    day: LocalDay
    scope: Scope
    p_value: Fraction | int | None

    @property
    def ruleset(self) -> RuleSet:
        return self.program.ruleset

    # --- conditions ---

    def truth(self, condition: Condition) -> Truth:
        """True, false, or `None` for missing."""
        match condition:
            case All(items):
                return conjunction(self.truth(item) for item in items)
            case Any_(items):
                return negation(conjunction(negation(self.truth(item)) for item in items))
            case None_(items):
                return conjunction(negation(self.truth(item)) for item in items)
            case Not(item):
                return negation(self.truth(item))
            case Leaf():
                return self._leaf(condition)

    def _leaf(self, leaf: Leaf) -> Truth:
        operator = OPERATORS[leaf.operator]
        simpler = operator.spelled_out(leaf)
        if simpler is not leaf:
            return self.truth(simpler)
        left, kind = self.value(leaf.subject, operator.context(leaf.operand))
        if left is None and not operator.sees_missing:
            return None
        return operator.holds(self, left, kind, leaf.operand)

    # --- values ---

    def value(self, operand: Operand, context: Any = None) -> tuple[Any, Kind]:
        """An operand's run-time value (`None`: missing) and its kind, as compared with `context`: a kind or the other
        side.
        """
        match operand:
            case FieldRef(name):
                return self.field(name, context)
            case FeatureRef():
                return self.feature(operand.feature)
            case Feature():
                return self.feature(operand)
            case Param():
                kind = context if isinstance(context, Kind) else Kind.INTEGER
                found = self.param(operand)
                return (None if found is None else runtime_value(found, kind)), kind
            case _:
                kind = context if isinstance(context, Kind) else Kind.INTEGER
                return runtime_value(operand, kind), kind

    def param(self, param: Param) -> Any:
        """A parameter's value, as written, for this instruction's day and segment."""
        segment = None if param.segment_by is None else self.field(param.segment_by)[0]
        return param_on(param, segment, self.day.ordinal)

    def field(self, name: str, context: Any = None) -> tuple[Any, Kind]:
        """A field's run-time value and kind; an attribute is read as what it is compared with."""
        known = field_of(name)
        assert known is not None, name
        if known.kind is Kind.MONEY:
            return self.amount, Kind.MONEY
        if known.kind is Kind.ATTRIBUTE:
            return self._attribute(name.removeprefix("attributes."), context)
        if name == "fiscal_year":
            return self.fiscal_year, Kind.INTEGER
        value = getattr(self.instruction, name)
        if name == "currency" and value is None:
            value = HOME_CURRENCY
        if known.kind is Kind.TIME:
            return self.day.ordinal, Kind.DATE
        if value is not None and known.kind is Kind.ACCOUNT:
            value = account_form(value)
        elif value is not None and known.kind is Kind.NAME:
            value = name_form(value)
        elif value is not None and known.kind is Kind.DATE:
            value = value.toordinal()
        return value, known.kind

    @property
    def fiscal_year(self) -> int:
        year = self.instruction.fiscal_year
        return self.day.year if year is None else year

    def _attribute(self, name: str, context: Any) -> tuple[Any, Kind]:
        while isinstance(context, tuple) and context:
            context = context[0]
        if isinstance(context, Param):
            context = next((each.value for dated in context.segments.values() for each in dated), "")
        elif isinstance(context, FieldRef) and not context.name.startswith("attributes."):
            context = self.field(context.name)[1]
        elif isinstance(context, (FeatureRef, Feature)):
            context = self.value(context)[1]
        attributes = self.instruction.attributes
        if context is None:
            return values.attribute_any(attributes, name), Kind.TEXT
        if context is Kind.ATTRIBUTE:
            return values.attribute_key(attributes, name), Kind.TEXT
        if isinstance(context, bool) or context is Kind.BOOLEAN:
            return values.attribute_boolean(attributes, name), Kind.BOOLEAN
        if context is Kind.MONEY:
            return values.attribute_money(attributes, name), Kind.MONEY
        if context is Kind.INTEGER or (not isinstance(context, (str, Kind)) and runtime_number(context)):
            return values.attribute_number(attributes, name), Kind.INTEGER
        return values.attribute_text(attributes, name), Kind.TEXT

    # --- features ---

    def feature(self, feature: Feature) -> tuple[Any, Kind]:
        """A feature's run-time value (`None`: missing) and kind."""
        return feature.value(self)

    def cell(self, table: str, column: str, key: tuple[Any, ...]) -> Any:
        """The cell of a table on the local day; `None` if it is missing."""
        return self.program.column(table, column)(key, self.day.ordinal)

    def earlier(self, aggregate: Aggregate) -> Sequence[Any] | None:
        """The values of the earlier instructions that an aggregate is computed of (for a count, anything of each);
        `None` if the instruction lacks a key, or the history does not reach back far enough.
        """
        series = self.program.series_of(aggregate)
        key = self._key(series.key)
        outside = series.key.fiscal and not -1 <= self.day.year - self.fiscal_year <= 1
        if key is None or outside or self.warming(aggregate):
            return None
        entries = self.scope.series[series.index].get(key)
        cut = windows.cut_values if series.keeps else windows.cut_times
        part = cut(entries, self._after(aggregate), self.us)
        if aggregate.kind == "count":
            return range(len(part))
        return self.scope.symbols.of(part) if series.symbolic else list(part)

    def own(self, aggregate: Aggregate) -> Any:
        """The instruction's own value of the aggregate's field, `True` for a count; `None` if it is not counted."""
        key = self.program.series_of(aggregate).key
        if not self._counted(key):
            return None
        return True if aggregate.kind == "count" else self._own(key)

    def warming(self, aggregate: Aggregate) -> bool:
        """Whether the history of an aggregate begins too late for its window."""
        since: int = self.scope.since[self.program.series_of(aggregate).index]
        if aggregate.period == "fiscal_year":
            return year_start(self.ruleset.timezone, self.fiscal_year - 1) < since - 1
        return bool(self._after(aggregate) < since - 1)

    def absent(self, operand: Any, context: Any) -> Iterator[str]:
        """The names that explain why one operand is missing: nothing if it is there."""
        match operand:
            case FieldRef(name):
                if self.field(name, context)[0] is None:
                    yield name
            case Param(name):
                if self.param(operand) is None:
                    yield name
            case FeatureRef(name, feature):
                if self.feature(feature)[0] is None:
                    yield from list(feature.absent(self)) or [name]
            case Feature():
                if self.feature(operand)[0] is None:
                    yield from operand.absent(self)

    def _after(self, feature: Aggregate) -> int:
        match feature.period:
            case None:
                return self.us - (feature.window_us or 0)
            case "fiscal_year":
                return ANCIENT
            case "day":
                return self.day.day_us - 1
            case "week":
                return self.day.week_us - 1
            case "month":
                return self.day.month_us - 1
            case "quarter":
                return self.day.quarter_us - 1

    def _own(self, key: SeriesKey) -> Any:
        if key.field is None:
            return None
        return self.field(key.field, Kind.INTEGER if key.numbers else Kind.ATTRIBUTE)[0]

    def _counted(self, key: SeriesKey) -> bool:
        if key.where is not None and self.truth(key.where) is not True:
            return False
        return key.field is None or self._own(key) is not None

    def _key(self, key: SeriesKey) -> str | bytes | None:
        fields = [self.field(name, Kind.ATTRIBUTE) for name in key.by]
        if key.fiscal:
            fields.append((self.fiscal_year, Kind.INTEGER))
        parts = []
        for at, (value, kind) in enumerate(fields, 1):
            if value is None:
                return None
            last = at == len(fields)
            prefixed = kind in (Kind.TEXT, Kind.NAME, Kind.ACCOUNT) and not last
            parts.append(f"{len(value)}|{value}" if prefixed else f"{value}" if last else f"{value}|")
        joined = "".join(parts)
        return joined if len(joined) <= LONG_KEY else values.digest(joined)


def conjunction(truths: Iterator[Truth]) -> Truth:
    """Kleene's and: false if any is false, else missing if any is missing, else true."""
    result: Truth = True
    for truth in truths:
        if truth is False:
            return False
        if truth is None:
            result = None
    return result


def negation(truth: Truth) -> Truth:
    """Kleene's not: missing stays missing."""
    return None if truth is None else not truth


def runtime_number(value: Any) -> bool:
    """Whether a literal is a number."""
    return hasattr(value, "as_integer_ratio") and not isinstance(value, bool)
