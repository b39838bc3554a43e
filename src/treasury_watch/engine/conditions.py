"""Conditions, interpreted: the truth of a rule in Kleene logic for one instruction, with the values it rests on.

The compiled rules decide; this says why. It is the plain reading of the rule guide, asked only of rules that fired,
and a test holds the two to the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from treasury_watch.domain.calendar import LocalDay
from treasury_watch.domain.payment import HOME_CURRENCY, Instruction, Kind, account_form, field_of, name_form
from treasury_watch.engine import windows
from treasury_watch.engine.program import Program, pattern
from treasury_watch.engine.state import ANCIENT, Scope
from treasury_watch.rules import values
from treasury_watch.rules.meaning import FOREVER, LONG_KEY, column_kind, param_on, runtime_value, spelled_out
from treasury_watch.rules.plan import SeriesKey
from treasury_watch.rules.schema import (
    Aggregate,
    All,
    Any_,
    Arithmetic,
    Condition,
    Feature,
    FeatureRef,
    FieldRef,
    Leaf,
    Lookup,
    None_,
    Not,
    Operand,
    Param,
    WordList,
)

Truth = bool | None


@dataclass(frozen=True, slots=True)
class Judged:
    """One instruction at the moment it is judged: before it is added to the windows, which hold what came before it.

    `amount` is in fen of CNY, `None` if missing; `us` is the event time in microseconds.
    """

    program: Program
    instruction: Instruction
    us: int
    amount: int | None
    day: LocalDay
    scope: Scope

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
        if leaf.operator == "is_missing":
            return bool((self.value(leaf.subject)[0] is None) == leaf.operand)
        simpler = spelled_out(leaf)
        if simpler is not leaf:
            return self.truth(simpler)
        left, kind = self.value(leaf.subject, leaf.operand)
        if left is None:
            return None
        match leaf.operator:
            case "in" | "not_in" | "between":
                choices = [runtime_value(each, kind) for each in leaf.operand]
                if leaf.operator == "between":
                    return bool(choices[0] <= left <= choices[1])
                return bool((left in choices) == (leaf.operator == "in"))
            case "in_list":
                entries = self.program.ruleset.lists[leaf.operand.name].entries
                return any(
                    runtime_value(entry, kind) == left and self._counts(expires) for entry, expires in entries.items()
                )
            case "contains_any":
                return self._contains_any(left, kind, leaf.operand)
            case "matches":
                return pattern(leaf.operand)(left)
            case "length":
                ((operator, bound),) = leaf.operand
                right = self.value(bound, Kind.INTEGER)[0]
                return None if right is None else _OPERATORS[operator](len(left), right)
        right = self.value(leaf.operand, kind)[0]
        return None if right is None else _OPERATORS[leaf.operator](left, right)

    def _counts(self, expires: Any) -> bool:
        return self.day.ordinal <= (FOREVER if expires is None else expires.toordinal())

    def _contains_any(self, text: str, kind: Kind, operand: Any) -> bool:
        if isinstance(operand, WordList):
            entries = self.program.ruleset.lists[operand.name].entries
            words = [runtime_value(word, kind) for word, expires in entries.items() if self._counts(expires)]
            return values.any_word(text, words, tuple(runtime_value(word, kind) for word in operand.excepted))
        return values.any_word(text, [runtime_value(word, kind) for word in operand], ())

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
            case Lookup():
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
        elif isinstance(context, (FeatureRef, Lookup)):
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
        match feature:
            case Lookup():
                table = self.program.ruleset.tables[feature.table]
                key = tuple(self.field(name, Kind.TEXT)[0] for name in feature.key)
                found = (
                    None if None in key else self.program.column(feature.table, feature.column)(key, self.day.ordinal)
                )
                return found, column_kind(table, feature.column)
            case Arithmetic():
                return self._arithmetic(feature)
            case Aggregate():
                return self._aggregate(feature)

    def _arithmetic(self, feature: Arithmetic) -> tuple[Any, Kind]:
        additive = feature.kind in ("add", "sub")
        money = [
            isinstance(each, (FieldRef, FeatureRef, Lookup)) and self.value(each, Kind.INTEGER)[1] is Kind.MONEY
            for each in feature.operands
        ]
        parts = [
            self.value(each, Kind.MONEY if (any(money) if additive else is_money) else Kind.INTEGER)[0]
            for each, is_money in zip(feature.operands, money, strict=True)
        ]
        is_money = any(money) if additive or feature.kind == "mul" else money[0] and not money[1]
        return _ARITHMETIC[feature.kind](*parts), Kind.MONEY if is_money else Kind.INTEGER

    def _aggregate(self, feature: Aggregate) -> tuple[Any, Kind]:
        known = field_of(feature.field)
        assert known is not None, feature.field
        kind = known.kind if feature.kind not in ("count", "distinct") else Kind.INTEGER
        kind = Kind.INTEGER if kind is Kind.ATTRIBUTE else kind
        series = self.program.series_of(feature)
        key = self._key(series.key)
        if key is None or (series.key.fiscal and not -1 <= self.day.year - self.fiscal_year <= 1):
            return None, kind
        entries = self.scope.series[series.index].get(key)
        cut = (windows.cut_values if series.keeps else windows.cut_times)(entries, self._after(feature), self.us)
        own = self._own(series.key)
        if feature.kind == "count":
            return len(cut) + self._counted(series.key), kind
        own = own if self._counted(series.key) else None
        everything: list[Any] = self.scope.symbols.of(cut) if series.symbolic else list(cut)
        return _AGGREGATES[feature.kind](everything, own), kind

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


def _apply(operator: str, left: Any, right: Any) -> bool:
    match operator:
        case "eq" | "same_as":
            return bool(left == right)
        case "ne":
            return bool(left != right)
        case "gt":
            return bool(left > right)
        case "gte":
            return bool(left >= right)
        case "lt":
            return bool(left < right)
        case "lte":
            return bool(left <= right)
        case "contains":
            return right in left
        case "starts_with":
            return bool(left.startswith(right))
        case "ends_with":
            return bool(left.endswith(right))
    return bool(left % right == 0)  # multiple_of


_OPERATORS = {
    name: partial(_apply, name)
    for name in (
        "eq", "ne", "gt", "gte", "lt", "lte", "same_as", "contains", "starts_with", "ends_with", "multiple_of",
    )
}  # fmt: skip
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": values.add_exact,
    "sub": values.sub_exact,
    "mul": values.mul_exact,
    "div": values.div_exact,
}
_AGGREGATES: dict[str, Callable[..., Any]] = {
    "sum": values.sum_of,
    "min": values.min_of,
    "max": values.max_of,
    "avg": values.avg_of,
    "distinct": values.distinct_of,
}
