"""Features and params: the values that a rule names once and then uses."""

from __future__ import annotations

from datetime import date
from typing import Any

from treasury_watch.domain.payment import Kind, field_of
from treasury_watch.rules import scalars
from treasury_watch.rules.conditions import read_condition
from treasury_watch.rules.diagnostics import did_you_mean, use_one_of
from treasury_watch.rules.operands import LOOKUP, read_operand
from treasury_watch.rules.schema import Aggregate, Arithmetic, Dated, Feature, Param, Scalar
from treasury_watch.rules.scope import Scope, field_name, field_names, read_lookup
from treasury_watch.rules.shapes import Day, Duration, Key, Raw, Record, Word, unsupported
from treasury_watch.rules.source import MappingNode, Node, Report, ScalarNode, SequenceNode
from treasury_watch.rules.types import Sort, Type, arithmetic_sort, field_type, literal_type, type_of

AGGREGATES = {
    "sum": "the sum of this field",
    "count": "how many instructions have this field",
    "min": "the smallest value of this field",
    "max": "the greatest value of this field",
    "avg": "the mean of this field",
    "distinct": "how many different values this field has",
}
ARITHMETIC = {"add": "a + b + …", "sub": "a − b", "mul": "a × b × …", "div": "a ÷ b; missing if b is 0"}
LATER = ("first_seen", "anomaly")
_OVER = (
    Key("by", Raw("fields"), "the fields that the counted instructions share; [] for all of the partition", True),
    Key("where", Raw("condition"), "which instructions count"),
    Key("window", Duration(), "event time in (t − window, t]"),
    Key(
        "period", Word("period", ("day", "week", "month", "quarter", "fiscal_year")), "from its start in the zone to t"
    ),
    Key(
        "population",
        Word("population", ("executed", "attempted")),
        "executed (default): passed or warned; attempted: all",
    ),
)
FORMS = {
    **{
        kind: Record(f"{kind} feature", (Key(kind, Raw("field"), doc, True), *_OVER))
        for kind, doc in AGGREGATES.items()
    },
    **{kind: Record(f"{kind} feature", (Key(kind, Raw("operands"), doc, True),)) for kind, doc in ARITHMETIC.items()},
    "lookup": LOOKUP,
}


def read_feature(node: Node, scope: Scope) -> Feature | None:
    """A feature, or `None` after telling the author what is wrong with it."""
    report = scope.report
    if not isinstance(node, MappingNode):
        report.error(
            node.span, "TW104", "not a feature", "expected such as {sum: amount, by: [budget_unit], window: 72h}"
        )
        return None
    later = next((key for key, _ in node.entries if key.text in LATER), None)
    if later is not None:
        unsupported(later, report)
        return None
    forms = [key.text for key, _ in node.entries if key.text in FORMS]
    if len(forms) != 1:
        found = f"{' and '.join(f'`{form}`' for form in forms)} in one feature" if forms else "a feature without a form"
        report.error(node.span, "TW109" if forms else "TW102", found, use_one_of(FORMS))
        return None
    before = len(report.diagnostics)
    read = FORMS[forms[0]].read(node, report) or {}
    if forms[0] == "lookup":
        return read_lookup(node, scope) if len(report.diagnostics) == before else None
    if forms[0] in ARITHMETIC:
        return _read_arithmetic(forms[0], read[forms[0]], node, scope)
    return _read_aggregate(forms[0], read, node, scope)


def _read_aggregate(kind: str, read: dict[str, Any], node: MappingNode, scope: Scope) -> Aggregate | None:
    report = scope.report
    before = len(report.diagnostics)
    field = field_name(read[kind], report)
    if field is not None and kind in ("sum", "min", "max", "avg"):
        sort = field_type(field).sort
        if sort not in (Sort.MONEY, Sort.COUNT, Sort.LOCAL):
            report.error(
                read[kind].span, "TW301", f"no {kind} of `{field}`: it is {sort.value}", "use `count` or `distinct`"
            )
    by = field_names(read["by"], report) if "by" in read else None
    where = read_condition(read["where"], scope, in_where=True) if "where" in read else None
    bounds = [name for name in ("window", "period") if node.get(name) is not None]
    if not bounds:
        report.error(node.span, "TW405", f"a {kind} without bound", "add `window: 72h` or `period: month`")
    elif len(bounds) == 2:
        report.error(node.span, "TW109", "`window` and `period` in one feature", "keep one of them")
    if field is None or by is None or len(report.diagnostics) > before:
        return None
    return Aggregate(
        kind,  # type: ignore[arg-type]
        field,
        by,
        where,
        read.get("window"),
        read.get("period"),
        read.get("population", "executed"),
        node.span,
    )


def _read_arithmetic(kind: str, node: Node, feature: MappingNode, scope: Scope) -> Arithmetic | None:
    report = scope.report
    exactly_two = kind in ("sub", "div")
    count = len(node.items) if isinstance(node, SequenceNode) else 0
    if not isinstance(node, SequenceNode) or count < 2 or (exactly_two and count != 2):
        expected = "two operands" if exactly_two else "two or more operands"
        report.error(node.span, "TW104", f"`{kind}` of {count or 'no'} operands", f"expected {expected}: [$a, $b]")
        return None
    # In sums and differences, money makes amounts of plain numbers: operands are read twice, first for their sorts.
    anything = Type(Sort.LOCAL)
    operands = [read_operand(item, scope, anything) for item in node.items]
    read = [operand for operand in operands if operand is not None]
    if len(read) != len(operands):
        return None
    sorts = [type_of(operand, scope.reference.tables).sort for operand in read]
    try:
        sort = arithmetic_sort(kind, sorts)
    except TypeError as error:
        report.error(feature.span, "TW303", str(error), "money ± money, money × number, money ÷ money, money ÷ number")
        return None
    if kind in ("add", "sub") and sort is Sort.MONEY:
        again = [read_operand(item, scope, Type(Sort.MONEY)) for item in node.items]
        read = [operand for operand in again if operand is not None]
        if len(read) != len(again):
            return None
    if kind == "div" and read[1] == 0:
        report.error(node.items[1].span, "TW108", "a division by zero is always missing", "divide by something else")
        return None
    return Arithmetic(kind, tuple(read), feature.span)  # type: ignore[arg-type]


# --- params ---

DATED = Record(
    "dated value",
    (Key("from", Day(), "the first local day on which it holds", True), Key("value", Raw("scalar"), "the value", True)),
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
