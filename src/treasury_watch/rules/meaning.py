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
from treasury_watch.rules.schema import (
    All,
    Any_,
    Condition,
    Leaf,
    None_,
    Not,
    Param,
    Rule,
    RuleSet,
    Scalar,
    WordList,
)

FOREVER = date.max.toordinal() + 1
LONG_KEY = 64  # characters: keys longer than that are kept as their digest


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
    for rule in ruleset.running:
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


def counting(words: WordList, ruleset: RuleSet, kind: Kind) -> dict[Any, int]:
    """The entries of a named list as compared with that kind, and the last local day (ordinal) on which each counts."""
    found: dict[Any, int] = {}
    for entry, expires in ruleset.lists[words.name].entries.items():
        value, until = runtime_value(entry, kind), FOREVER if expires is None else expires.toordinal()
        found[value] = max(until, found.get(value, until))  # two entries may have one normal form
    return found
