"""Features and params: the values that a rule names once and then uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from treasury_watch.domain.payment import Kind, field_of
from treasury_watch.rules import limits, scalars
from treasury_watch.rules.diagnostics import did_you_mean, use_one_of
from treasury_watch.rules.forms import aggregate, anomaly, arithmetic, first_seen, lookup
from treasury_watch.rules.schema import Dated, Feature, Param, Scalar
from treasury_watch.rules.scope import Scope, field_name
from treasury_watch.rules.shapes import Day, Key, Raw, Record
from treasury_watch.rules.source import MappingNode, Node, Report, ScalarNode, SequenceNode
from treasury_watch.rules.types import literal_type

Reader = Callable[[str, dict[str, Any], MappingNode, Scope], Feature | None]

# The forms of features: the key that names one → how it is written, and what reads it once its keys are known.
FORMS: Mapping[str, tuple[Record, Reader]] = MappingProxyType(
    {
        **{kind: (record, aggregate.read_aggregate) for kind, record in aggregate.RECORDS.items()},
        **{kind: (record, arithmetic.read_arithmetic) for kind, record in arithmetic.RECORDS.items()},
        "first_seen": (first_seen.RECORD, first_seen.read_first_seen),
        "lookup": (lookup.RECORD, lookup.read_lookup),
        "anomaly": (anomaly.RECORD, anomaly.read_anomaly),
    }
)


def read_feature(node: Node, scope: Scope) -> Feature | None:
    """A feature, or `None` after telling the author what is wrong with it."""
    report = scope.report
    if not isinstance(node, MappingNode):
        report.error(
            node.span, "TW104", "not a feature", "expected such as {sum: amount, by: [budget_unit], window: 72h}"
        )
        return None
    forms = [key.text for key, _ in node.entries if key.text in FORMS]
    if len(forms) != 1:
        found = f"{' and '.join(f'`{form}`' for form in forms)} in one feature" if forms else "a feature without a form"
        report.error(node.span, "TW109" if forms else "TW102", found, use_one_of(FORMS))
        return None
    record, make = FORMS[forms[0]]
    read = record.read(node, report) or {}
    return make(forms[0], read, node, scope) if forms[0] in read else None


# --- params ---

DATED = Record(
    "dated value",
    (
        Key("from", Day(), "the first local day on which it holds", "第一个生效的当地日", True),
        Key("value", Raw("scalar"), "the value", "值", True),
    ),
)


def read_param(name: str, node: Node, report: Report) -> Param | None:
    """A param: a value, dated values or, with `segment_by`, either of these for each value of an enumerated field."""
    if not isinstance(node, MappingNode):
        dated = _read_dated(node, report)
        return None if dated is None else _uniform(Param(name, {None: dated}, span=node.span), report)
    by_node = node.get("segment_by")
    if by_node is None:
        hint = "a value, a list of {from, value}, or `segment_by` with a value for each segment"
        report.error(node.span, "TW102", "a param's segments without `segment_by`", f"expected {hint}")
        return None
    by = field_name(by_node, report)
    field = None if by is None else field_of(by)
    if field is None:
        return None
    if field.kind is not Kind.ENUM:
        report.error(by_node.span, "TW301", f"`{by}` has no fixed values", "segment by a field such as `unit_level`")
        return None
    segments: dict[str | None, tuple[Dated, ...]] = {}
    whole = True
    for key, value in node.entries:
        if key.text == "segment_by":
            continue
        if key.text != "default" and key.text not in field.values:
            hint = did_you_mean(key.text, (*field.values, "default"))
            report.error(key.span, "TW403", f"`{by}` is never `{key.text}`", hint)
            whole = False
            continue
        dated = _read_dated(value, report)
        if dated is None:
            whole = False
        else:
            segments[None if key.text == "default" else key.text] = dated
    if not segments and whole:
        report.error(node.span, "TW102", "a param without a value", "add `default:`")
    if not segments or not whole:
        return None
    return _uniform(Param(name, segments, by, node.span), report)


def _read_dated(node: Node, report: Report) -> tuple[Dated, ...] | None:
    if isinstance(node, ScalarNode):
        value = scalars.literal(node, report, dates=True)
        return None if value is None else (Dated(None, value),)
    if not isinstance(node, SequenceNode) or not node.items:
        report.error(node.span, "TW104", "not a value", "expected a value, or a list of {from: 2026-01-01, value: …}")
        return None
    if not report.within(node.items, limits.DATED):
        return None
    dated: list[Dated] = []
    for item in node.items:
        read = DATED.read(item, report) or {}
        value = scalars.literal(read["value"], report, dates=True) if "value" in read else None
        if "from" not in read or value is None:
            return None
        since: date = read["from"]
        previous = dated[-1].since if dated else None
        if previous is not None and since <= previous:
            report.error(item.span, "TW402", f"{since} does not come after {previous}", "oldest first, each day once")
            return None
        dated.append(Dated(since, value))
    return tuple(dated)


def _uniform(param: Param, report: Report) -> Param | None:
    values: list[Scalar] = [each.value for dated in param.segments.values() for each in dated]
    sorts = {literal_type(value).sort for value in values}
    if len(sorts) > 1 and param.span is not None:
        found = " and ".join(sorted(sort.value for sort in sorts))
        report.error(param.span, "TW303", f"`{param.name}` is {found}", "all values of a param are of one sort")
        return None
    return param
