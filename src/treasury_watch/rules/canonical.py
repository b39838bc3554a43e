"""The canonical form of what a rule set means, and its hashes: the same on every machine, however it is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from treasury_watch.rules.schema import FeatureRef, Param, Rule, RuleSet

# What a verdict or its text depends on. Owners, tests and the basis of a rule are for people.
_JUDGED = (
    "id", "revision", "title", "mode", "action", "level", "evidence_required", "risk_point", "effective_from",
    "effective_until", "on_missing", "params", "features", "when", "exceptions", "reason",
)  # fmt: skip
# What may not change without a new revision. A change of mode is a promotion, one of wording a correction.
_LOGIC = ("action", "evidence_required", "effective_from", "effective_until", "on_missing", "when", "exceptions")


def set_hash(ruleset: RuleSet) -> str:
    """ "sha256:…" over everything but instructions that verdicts and their texts depend on."""
    return _hash(
        {
            "timezone": ruleset.timezone,
            "partition_by": ruleset.partition_by,
            "rules": [{name: _plain(getattr(rule, name), named=True) for name in _JUDGED} for rule in ruleset.rules],
            "lists": {name: _plain(each.entries, named=True) for name, each in ruleset.lists.items()},
            "reference": reference_hash(ruleset),
        }
        | _calendars(ruleset)
        | _model(ruleset)
    )


def _calendars(ruleset: RuleSet) -> dict[str, Any]:
    """The days of all calendars; nothing where a set has none, so that it keeps the hash that it always had."""
    if not ruleset.calendars:
        return {}
    said = {
        name: {str(year): [sorted(own.holidays), sorted(own.made_up)] for year, own in calendar.years.items()}
        for name, calendar in ruleset.calendars.items()
    }
    return {"calendars": said}


def _model(ruleset: RuleSet) -> dict[str, Any]:
    """The model; nothing where a set has none, as for calendars."""
    return {} if ruleset.model is None else {"model": _plain(ruleset.model, named=True)}


def reference_hash(ruleset: RuleSet) -> str:
    """ "sha256:…" over the tables alone."""
    return _hash(
        {
            name: {
                "key": list(table.key),
                "types": dict(table.types),
                "rows": sorted([list(key), _plain(rows, named=True)] for key, rows in table.rows.items()),
            }
            for name, table in ruleset.tables.items()
        }
    )


def logic_hash(rule: Rule) -> str:
    """ "sha256:…" over the logic of a rule, whatever its params and features are called."""
    return _hash({name: _plain(getattr(rule, name), named=False) for name in _LOGIC})


def condition_of(rule: Rule) -> str:
    """The rule's condition and exceptions as a text, whatever its params and features are called."""
    return _json([_plain(rule.when, named=False), _plain(rule.exceptions, named=False)])


def _plain(value: Any, *, named: bool) -> Any:
    """A value as JSON. `named`: the names of params and features count, since reasons and evidence show them."""
    match value:
        case None | bool() | int() | str():
            return value
        case float() | Fraction():
            return {type(value).__name__.lower(): str(value)}
        case Decimal():
            return {"decimal": str(value)}
        case date():
            return {"date": value.isoformat()}
        case FeatureRef() if not named:
            return _plain(value.feature, named=False)
        case Param() if not named:
            return ["Param", value.segment_by, _mapping(value.segments, named=False)]
        case Mapping():
            return _mapping(value, named=named)
        case tuple() | list():
            return [_plain(each, named=named) for each in value]
    if is_dataclass(value):
        kept = [each.name for each in fields(value) if each.init and each.name != "span"]
        return [type(value).__name__, *(_plain(getattr(value, name), named=named) for name in kept)]
    if hasattr(value, "__struct_fields__"):
        return [_plain(getattr(value, name), named=named) for name in value.__struct_fields__]
    raise TypeError(f"{type(value).__name__} has no canonical form")


def _mapping(value: Mapping[Any, Any], *, named: bool) -> dict[str, Any]:
    return {"" if key is None else str(key): _plain(each, named=named) for key, each in value.items()}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _hash(value: Any) -> str:
    return "sha256:" + hashlib.sha256(_json(value).encode()).hexdigest()
