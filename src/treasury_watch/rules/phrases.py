"""Phrases (表述): conditions, operands and features written out in one line, as near to the rule file as can be.

Accounts and card numbers among the literals are masked to their last four.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from treasury_watch.domain.calendar import DAY_US, HOUR_US
from treasury_watch.domain.payment import Kind, field_of, masked
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.forms.arithmetic import Arithmetic
from treasury_watch.rules.forms.first_seen import FirstSeen
from treasury_watch.rules.forms.lookup import Lookup
from treasury_watch.rules.operators.working_time import Hours
from treasury_watch.rules.schema import (
    All,
    Any_,
    Condition,
    FeatureRef,
    FieldRef,
    Leaf,
    None_,
    Not,
    Param,
    WordList,
)

SYMBOLS = {"eq": "=", "ne": "≠", "gt": ">", "gte": "≥", "lt": "<", "lte": "≤"}
SHOWN_CHOICES = 8
_UNITS = ((DAY_US, "d"), (HOUR_US, "h"), (60_000_000, "m"), (1_000_000, "s"))
_SIGNS = {"add": " + ", "sub": " − ", "mul": " × ", "div": " ÷ "}
_GROUPS = {All: "all", Any_: "any", None_: "none"}


def condition_phrase(condition: Condition) -> str:
    """A condition on one line: `settlement in cash, cash_cheque`; `all(…; …)`."""
    match condition:
        case Leaf():
            return f"{operand_phrase(condition.subject)} {test_phrase(condition)}"
        case Not(item):
            return f"not({condition_phrase(item)})"
        case All(items) | Any_(items) | None_(items):
            return f"{_GROUPS[type(condition)]}({'; '.join(condition_phrase(each) for each in items)})"


def test_phrase(leaf: Leaf) -> str:
    """A leaf without its subject: `≥ $limit`, `in cash, cash_cheque`, `is missing`."""
    operand, secret = leaf.operand, is_account(leaf.subject)
    match leaf.operator:
        case "is_missing":
            return "is missing" if operand else "is there"
        case "in_list":
            return f"in list {operand.name}"
        case "between":
            return "between " + " and ".join(operand_phrase(each, secret=secret) for each in operand)
        case "length":
            return "length " + " and ".join(f"{SYMBOLS[name]} {operand_phrase(bound)}" for name, bound in operand)
    name = SYMBOLS.get(leaf.operator) or leaf.operator.replace("_", " ")
    return f"{name} {operand_phrase(operand, secret=secret)}"


def operand_phrase(operand: Any, *, secret: bool = False) -> str:
    """An operand: `amount`, `$limit`, `50000.00`. `secret`: it is compared with an account or card number."""
    match operand:
        case FieldRef(name):
            return name
        case Param(name):
            return f"${name}"
        case FeatureRef(name):
            return name
        case Hours(calendar, opens, closes):
            return f"{calendar} {opens // 60:02}:{opens % 60:02}-{closes // 60:02}:{closes % 60:02}"
        case WordList(name, excepted):
            return f"list {name}" + (f" except {_listed(excepted)}" if excepted else "")
        case tuple():
            return _listed(operand, secret=secret)
        case bool():
            return "true" if operand else "false"
        case Decimal():
            return f"{operand:f}"
        case date():
            return operand.isoformat()
        case int():
            return str(operand)
        case str():
            return masked(operand) if secret else operand or '""'
    return feature_phrase(operand)


def feature_phrase(feature: Any) -> str:
    """What a feature computes: `sum of amount by budget_unit, 72h, where settlement = cash`."""
    match feature:
        case Aggregate():
            span = feature.period or duration_phrase(feature.window_us or 0)
            return f"{feature.kind} of {feature.field}{_counted(feature, span)}"
        case FirstSeen():
            return f"{feature.field} first seen{_counted(feature, duration_phrase(feature.lookback_us))}"
        case Lookup():
            return f"{feature.table}.{feature.column} of {', '.join(feature.key)}"
        case Arithmetic():
            return _SIGNS[feature.kind].join(_bracketed(each) for each in feature.operands)
    return _of_parts(feature)


def duration_phrase(us: int) -> str:
    """A duration in microseconds in the largest units that it is made of: `3d`, `1h30m`."""
    parts = []
    for unit, name in _UNITS:
        if us >= unit:
            parts.append(f"{us // unit}{name}")
            us %= unit
    return "".join(parts) or "0s"


def is_account(subject: Any) -> bool:
    """Whether a subject is an account or card number, which is shown masked."""
    known = field_of(subject.name) if isinstance(subject, FieldRef) else None
    return known is not None and known.kind is Kind.ACCOUNT


def _counted(feature: Aggregate | FirstSeen, span: str) -> str:
    by = f" by {', '.join(feature.by)}" if feature.by else ""
    where = "" if feature.where is None else f", where {condition_phrase(feature.where)}"
    population = "" if feature.population == "executed" else f", {feature.population}"
    return f"{by}, {span}{where}{population}"


def _bracketed(operand: Any) -> str:
    phrase = operand_phrase(operand)
    return f"({phrase})" if isinstance(operand, Arithmetic) else phrase


def _listed(values: tuple[Any, ...], *, secret: bool = False) -> str:
    shown = ", ".join(operand_phrase(each, secret=secret) for each in values[:SHOWN_CHOICES])
    more = len(values) - SHOWN_CHOICES
    return f"{shown} and {more} more" if more > 0 else shown


def _of_parts(part: Any) -> str:
    """What no other phrase is made for: its name and what it holds."""
    if not is_dataclass(part) or isinstance(part, type):
        return str(part)
    held = ((each.name, getattr(part, each.name)) for each in fields(part) if each.compare and each.init)
    told = ", ".join(f"{name} {operand_phrase(value)}" for name, value in held if value is not None)
    return f"{type(part).__name__.lower()}({told})"
