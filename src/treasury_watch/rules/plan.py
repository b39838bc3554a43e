"""The plan: which series of entries a rule set's features need, shared wherever two features say the same.

A series is what is kept: the entries under one list of keys, one `where` and one population. Windows and periods of
any length are cut from the same series, and so are sums and extremes of the same field. Counts have one of their own,
which keeps no values: so a rule that comes or goes never changes what another's windows are cut from (ADR 0029).

What one instruction adds to all series is one *row*: its event time, the series that it belongs to as bits, then the
values and the keys that they need, each once however many series need it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from treasury_watch.domain.payment import Kind, field_of
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.forms.anomaly import Anomaly
from treasury_watch.rules.meaning import leaves
from treasury_watch.rules.schema import (
    All,
    Any_,
    Condition,
    Feature,
    FeatureRef,
    Leaf,
    None_,
    Not,
    Operand,
    Population,
    Rule,
    RuleSet,
)

ROW_HEAD = 2  # a row begins with the event time and the bits of its series
_IN_64_BITS = (Kind.MONEY, Kind.INTEGER, Kind.BOOLEAN, Kind.DATE, Kind.TIME)


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What tells one series from another. `field` is the field that must be present; `None` where it always is."""

    by: tuple[str, ...]
    where: Condition | None
    field: str | None
    numbers: bool  # of a local field: whether only numbers are counted; other fields have one type
    population: Population
    fiscal: bool  # grouped by the field `fiscal_year` as well
    keeps: bool  # whether the field's values are kept besides times

    @property
    def grouped_by(self) -> tuple[str, ...]:
        """The fields of which a key is made: equal lists make equal keys."""
        return (*self.by, "fiscal_year") if self.fiscal else self.by


@dataclass(slots=True)
class Series:
    """One series: its number, where its key and values stand in a row, and how far back it is asked for."""

    index: int
    key: SeriesKey
    slot: int = 0  # the place of its key among the keys of a row
    own: int | None = None  # the place of its value among the values of a row; `None` where it keeps none
    symbolic: bool = False  # values are symbols of a scope's table: texts, and numbers that need not fit 64 bits
    reach_us: int = 0

    @property
    def name(self) -> str:
        """The series' meaning as a text that is the same wherever the same series is planned."""
        return repr(self.key)

    @property
    def keeps(self) -> bool:
        """Whether the field's values are kept besides times."""
        return self.key.keeps


def always_present(name: str) -> bool:
    """Whether no accepted instruction lacks the field."""
    known = field_of(name)
    return known is not None and known.required


def series_key(feature: Aggregate) -> SeriesKey:
    """The series that a feature is cut from."""
    keeps = feature.kind != "count"
    field = feature.field if keeps or not always_present(feature.field) else None
    known = field_of(feature.field)
    local = known is not None and known.kind is Kind.ATTRIBUTE
    numbers = local and keeps and feature.kind != "distinct"
    fiscal = feature.period == "fiscal_year"
    return SeriesKey(feature.by, feature.where, field, numbers, feature.population, fiscal, keeps)


def features(node: Condition | Operand | None, seen: set[int] | None = None) -> Iterator[Feature]:
    """Every feature that a condition or feature needs, what it is made of first; one that is named again, once.

    `seen`: the identities of those that were given, which are passed over and added to.
    """
    seen = set() if seen is None else seen
    match node:
        case Feature():
            if id(node) not in seen:
                seen.add(id(node))
                for part in node.parts():
                    yield from features(part, seen)
                yield node
        case FeatureRef():
            yield from features(node.feature, seen)
        case All() | Any_() | None_():
            for item in node.items:
                yield from features(item, seen)
        case Not():
            yield from features(node.item, seen)
        case Leaf():
            yield from features(node.subject, seen)
            operands = node.operand if isinstance(node.operand, tuple) else (node.operand,)
            for operand in operands:
                yield from features(operand[1] if isinstance(operand, tuple) else operand, seen)


def features_in(rule: Rule) -> Iterator[Feature]:
    """Every feature that a rule needs; one that it names several times, once."""
    seen: set[int] = set()
    yield from features(rule.when, seen)
    for feature in rule.features.values():
        yield from features(feature, seen)
    for exception in rule.exceptions:
        yield from features(exception.match, seen)


def asks_model(rule: Rule) -> bool:
    """Whether one of its features is what the anomaly model says."""
    return any(isinstance(feature, Anomaly) for feature in features_in(rule))


def condition_count(rule: Rule) -> int:
    """How much a rule says: the tests in its condition, its exceptions and what its features count, and with each test
    the steps of the features that it names, with those that they build on.
    """
    sizes: dict[int, int] = {}

    def steps(operand: Condition | Operand) -> int:
        feature = operand.feature if isinstance(operand, FeatureRef) else operand
        if not isinstance(feature, Feature):
            return 0
        if id(feature) not in sizes:
            sizes[id(feature)] = 1 + sum(map(steps, feature.parts()))
        return sizes[id(feature)]

    said = [rule.when, *(each.match for each in rule.exceptions), *(each.where for each in needed_by(rule))]
    count = 0
    for leaf in (leaf for condition in said if condition is not None for leaf in leaves(condition)):
        operands = leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,)
        named = [operand[1] if isinstance(operand, tuple) else operand for operand in operands]
        count += 1 + sum(map(steps, (leaf.subject, *named)))
    return count


def needed_by(rule: Rule) -> Iterator[Aggregate]:
    """Every aggregate that a rule needs."""
    return (each for each in features_in(rule) if isinstance(each, Aggregate))


def plan(ruleset: RuleSet) -> dict[SeriesKey, Series]:
    """The series of a rule set, in the order in which its rules first need them."""
    found: dict[SeriesKey, Series] = {}
    for rule in ruleset.running:
        for feature in needed_by(rule):
            key = series_key(feature)
            series = found.setdefault(key, Series(len(found), key))
            series.reach_us = max(series.reach_us, feature.reach_us)
            if key.keeps:
                known = field_of(feature.field)
                series.symbolic = known is None or known.kind not in _IN_64_BITS
    slots: dict[tuple[str, ...], int] = {}
    owns: dict[tuple[str | None, bool], int] = {}
    for series in found.values():
        series.slot = slots.setdefault(series.key.grouped_by, len(slots))
        if series.keeps:
            series.own = owns.setdefault((series.key.field, series.key.numbers), len(owns))
    return found
