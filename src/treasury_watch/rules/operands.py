"""Right-hand sides of operators and operands of arithmetic: a literal, `$name`, `{field: …}` or `{lookup: …}`."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

from treasury_watch.rules import scalars
from treasury_watch.rules.diagnostics import did_you_mean
from treasury_watch.rules.forms import lookup
from treasury_watch.rules.schema import Dated, FieldRef, Operand, Param, Scalar, Span
from treasury_watch.rules.scope import Scope, field_name
from treasury_watch.rules.shapes import Key, Raw, Record
from treasury_watch.rules.source import MappingNode, Node, ScalarNode
from treasury_watch.rules.types import FORMS, Sort, Type, comparable, type_of

FIELD_OPERAND = Record(
    "right-hand side", (Key("field", Raw("field"), "a field of the instruction", "支付指令的字段", True),)
)
_REFERENCE = re.compile(r"\$[a-z][a-z0-9_]*")


def read_operand(node: Node, scope: Scope, wanted: Type, *, in_where: bool = False) -> Operand | None:
    """An operand that compares with a value of the wanted type. `in_where`: features are not allowed."""
    if isinstance(node, MappingNode):
        operand = _read_mapping(node, scope)
    elif isinstance(node, ScalarNode) and node.text.startswith("$") and not node.text.startswith("$$"):
        operand = read_reference(node, scope, in_where=in_where)
    else:
        return read_literal(node, scope, wanted)
    return None if operand is None else fitted(operand, wanted, node.span, scope)


def _read_mapping(node: MappingNode, scope: Scope) -> Operand | None:
    if node.get("lookup") is not None:
        read = lookup.RECORD.read(node, scope.report)
        return None if not read or "lookup" not in read else lookup.read_lookup("lookup", read, node, scope)
    read = FIELD_OPERAND.read(node, scope.report) or {}
    name = field_name(read["field"], scope.report) if "field" in read else None
    return None if name is None else FieldRef(name, node.span)


def read_reference(node: ScalarNode, scope: Scope, *, in_where: bool = False) -> Operand | None:
    """The param or feature that `$name` stands for."""
    name = node.text.removeprefix("$")
    if not _REFERENCE.fullmatch(node.text):
        scope.report.error(
            node.span, "TW202", f"`{node.text}` is not a name", 'a text that starts with "$" is written "$$…"'
        )
        return None
    if name in scope.params:
        return replace(scope.params[name], span=node.span)
    if name in scope.broken:
        return None
    if scope.knows_feature(name):
        if in_where:
            hint = "a `where` compares fields, params and lookups"
            scope.report.error(node.span, "TW202", f"`{node.text}` is a feature", hint)
            return None
        return scope.feature(name, node.span)
    hint = did_you_mean(name, scope.known_names(), otherwise="name it under `params` or `features`")
    scope.report.error(node.span, "TW202", f"the rule has no param or feature `{name}`", hint)
    return None


def fitted(operand: Operand, wanted: Type, span: Span, scope: Scope) -> Operand | None:
    """The operand as it compares with the wanted type: a param of numbers becomes amounts beside money."""
    found = type_of(operand, scope.reference.tables)
    if not comparable(wanted.sort, found.sort):
        message = f"this is {found.sort.value}, the other side is {wanted.sort.value}"
        mixed = {found.sort, wanted.sort} == {Sort.MONEY, Sort.NUMBER}
        hint = (
            "multiply the amount instead of the limit: a number has no currency" if mixed else "compare like with like"
        )
        scope.report.error(span, "TW303", message, hint)
        return None
    if isinstance(operand, Param):
        return fitted_param(replace(operand, span=span), wanted, scope)
    return operand


def fitted_param(param: Param, wanted: Type, scope: Scope) -> Param | None:
    """The param with its values as they compare with the wanted type."""
    assert param.span is not None
    node = ScalarNode(f"${param.name}", True, param.span)
    if wanted.sort is Sort.MONEY:
        scope.money_params.add(param.name)
    segments = {}
    for segment, dated in param.segments.items():
        values = [_fitted_value(each.value, wanted, node, scope) for each in dated]
        fitting = [Dated(each.since, value) for each, value in zip(dated, values, strict=True) if value is not None]
        if len(fitting) != len(dated):
            return None
        segments[segment] = tuple(fitting)
    return replace(param, segments=segments)


def _fitted_value(value: Scalar, wanted: Type, node: ScalarNode, scope: Scope) -> Scalar | None:
    if wanted.sort is Sort.MONEY and isinstance(value, int | Decimal):
        return scalars.yuan(value, node, scope.report)
    if wanted.values and value not in wanted.values:
        scope.report.error(node.span, "TW302", f"`{value}` is never its value", did_you_mean(str(value), wanted.values))
        return None
    return value


def read_literal(node: Node, scope: Scope, wanted: Type) -> Scalar | None:
    """A literal of the wanted type, in the form in which it is compared."""
    report = scope.report
    match wanted.sort:
        case Sort.MONEY:
            return scalars.money(node, report)
        case Sort.COUNT:
            return scalars.whole(node, report, -(2**63), 2**63 - 1)
        case Sort.NUMBER | Sort.BARE | Sort.LOCAL_NUMBER:
            return scalars.number(node, report)
        case Sort.BOOLEAN:
            return scalars.flag(node, report)
        case Sort.DATE:
            return scalars.day(node, report)
        case Sort.LOCAL:
            return scalars.literal(node, report)
    text = scalars.text(node, report)
    if text is None:
        return None
    if text.startswith("$$"):
        text = text[1:]
    if wanted.values and text not in wanted.values:
        report.error(node.span, "TW302", f"`{text}` is never its value", did_you_mean(text, wanted.values))
        return None
    return FORMS[wanted.form](text)
