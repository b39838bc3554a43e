"""Builders of rules for tests of the engine: what a test does not say is plain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from treasury_watch.domain.verdict import Text
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.schema import (
    Calendar,
    CalendarYear,
    Condition,
    Dated,
    Feature,
    FeatureRef,
    FieldRef,
    Leaf,
    ModelBlock,
    NamedList,
    Param,
    Rule,
    RuleFile,
    RuleSet,
    Table,
)

# 2025-03-04 is a holiday, and 2025-03-08, a Saturday, is worked in its place.
CALENDARS = {
    "cn": Calendar(
        "cn",
        "owner",
        {
            2025: CalendarYear(
                "a notice",
                frozenset({date(2025, 3, 4).toordinal()}),
                frozenset({date(2025, 3, 8).toordinal()}),
            )
        },
    )
}
HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR


def leaf(subject: str | FeatureRef, operator: Any, operand: Any = None) -> Leaf:
    """A leaf on a field name or a feature."""
    return Leaf(FieldRef(subject) if isinstance(subject, str) else subject, operator, operand)


def yuan(text: str) -> Decimal:
    return Decimal(text)


def aggregate(kind: Any, field: str, *by: str, **rest: Any) -> Aggregate:
    return Aggregate(kind, field, by, **rest)


def ref(feature: Feature, name: str = "f") -> FeatureRef:
    return FeatureRef(name, feature)


def always(value: Any) -> Param:
    """A parameter that has one value for ever."""
    return Param("p", {None: (Dated(None, value),)})


def make_rule(rule_id: str, when: Condition, **overrides: Any) -> Rule:
    """A live rule that intercepts, in effect for ever; a missing condition passes."""
    fields: dict[str, Any] = {
        "id": rule_id,
        "revision": 1,
        "title": Text(zh="测试规则", en="Test rule"),
        "mode": "live",
        "action": "intercept",
        "level": "red",
        "evidence_required": False,
        "risk_point": None,
        "basis": None,
        "effective_from": None,
        "effective_until": None,
        "on_missing": "pass",
        "params": {},
        "features": {},
        "when": when,
        "exceptions": (),
        "reason": Text(zh="金额{amount}元", en="CNY {amount}"),
    } | overrides
    return Rule(**fields)


def make_ruleset(
    *rules: Rule,
    timezone: str = "Asia/Shanghai",
    lists: Mapping[str, Mapping[str, date | None]] | None = None,
    tables: Mapping[str, Table] | None = None,
    partition_by: str = "jurisdiction",
    calendars: Mapping[str, Calendar] | None = None,
) -> RuleSet:
    """A rule set of one file."""
    named = {name: NamedList(name, "owner", "basis", entries) for name, entries in (lists or {}).items()}
    return RuleSet(
        timezone=timezone,
        partition_by=partition_by,
        files=(RuleFile("rules.yaml", "test", "owner", rules, (), {}),),
        lists=named,
        tables=tables or {},
        calendars=calendars or {},
    )


def modelled(ruleset: RuleSet, target: str = "1/100") -> RuleSet:
    """The rule set with the anomaly model, which alerts of that share of payments."""
    return replace(ruleset, model=ModelBlock("TailSurprise", Fraction(target)))
