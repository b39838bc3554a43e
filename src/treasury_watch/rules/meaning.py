"""Meaning (含义): what compiled and interpreted rules must agree on: values at run time, dates, short conditions.

At run time money is in fen, dates are day ordinals, texts are in the form in which they are compared, and numbers
are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from treasury_watch.domain.payment import Kind, account_form, name_form
from treasury_watch.rules.plan import running
from treasury_watch.rules.schema import (
    All,
    Any_,
    Condition,
    FeatureRef,
    FieldRef,
    Leaf,
    Lookup,
    None_,
    Not,
    Param,
    Rule,
    RuleSet,
    Scalar,
    Table,
)

FOREVER = date.max.toordinal() + 1
LONG_KEY = 64  # characters: keys longer than that are kept as their digest
_COLUMN_KINDS = {
    "text": Kind.TEXT,
    "account": Kind.ACCOUNT,
    "name": Kind.NAME,
    "money": Kind.MONEY,
    "integer": Kind.INTEGER,
    "number": Kind.INTEGER,
    "date": Kind.DATE,
    "boolean": Kind.BOOLEAN,
}


def column_kind(table: Table, column: str) -> Kind:
    """The kind of a column's values."""
    return _COLUMN_KINDS[table.types[column]]


def runtime_value(value: Scalar, kind: Kind) -> Any:
    """A value of a rule file or a table as generated code compares it with a value of that kind: exact, in fen, in
    normal form.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, date):
        return value.toordinal()
    if isinstance(value, (int, Decimal)):
        exact = Fraction(value) * (100 if kind is Kind.MONEY else 1)
        return exact.numerator if exact.denominator == 1 else exact
    if kind is Kind.ACCOUNT:
        return account_form(value)
    if kind is Kind.NAME:
        return name_form(value)
    return value


def param_on(param: Param, segment: str | None, ordinal: int) -> Scalar | None:
    """A parameter's value for a segment on a local day; `None` before its first date."""
    dated = param.segments.get(segment)
    if dated is None:
        dated = param.segments.get(None, ())
    found = None
    for each in dated:
        if each.since is None or each.since.toordinal() <= ordinal:
            found = each.value
    return found


def boundaries(ruleset: RuleSet) -> tuple[int, ...]:
    """The local days (ordinals, ascending) from which on something dated in the running rules is different."""
    days = set()
    for rule in running(ruleset):
        for edge in (rule.effective_from, rule.effective_until):
            if edge is not None:
                days.add(edge.toordinal())
        for param in rule.params.values():
            for dated in param.segments.values():
                days.update(each.since.toordinal() for each in dated if each.since is not None)
    return tuple(sorted(days))


def in_effect(rule: Rule, ordinal: int) -> bool:
    """Whether a rule is in effect on a local day."""
    starts = rule.effective_from is None or rule.effective_from.toordinal() <= ordinal
    return starts and (rule.effective_until is None or ordinal < rule.effective_until.toordinal())


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Every leaf of a condition."""
    match condition:
        case All(items) | Any_(items) | None_(items):
            for item in items:
                yield from leaves(item)
        case Not(item):
            yield from leaves(item)
        case Leaf():
            yield condition


def spelled_out(leaf: Leaf) -> Condition:
    """The leaf itself or, where one of several right-hand sides may be missing, the simpler leaves that it stands
    for: so that a choice that is there decides even if another is missing."""
    if leaf.operator == "length":
        if len(leaf.operand) == 1:
            return leaf
        return All(tuple(Leaf(leaf.subject, "length", (pair,), leaf.span) for pair in leaf.operand))
    if leaf.operator not in ("between", "in", "not_in"):
        return leaf
    if not any(isinstance(each, (FieldRef, FeatureRef, Lookup, Param)) for each in leaf.operand):
        return leaf
    if leaf.operator == "between":
        low, high = leaf.operand
        return All((Leaf(leaf.subject, "gte", low, leaf.span), Leaf(leaf.subject, "lte", high, leaf.span)))
    choices = tuple(Leaf(leaf.subject, "eq", each, leaf.span) for each in leaf.operand)
    return Any_(choices) if leaf.operator == "in" else None_(choices)
