"""Conditions: `all`, `any`, `none`, `not`, and leaves of one subject, one operator and its right-hand side."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import re2

from treasury_watch.rules import scalars
from treasury_watch.rules.diagnostics import did_you_mean, use_one_of
from treasury_watch.rules.operands import read_literal, read_operand
from treasury_watch.rules.operators import COMPARISONS, OPERATORS, Operator, Right
from treasury_watch.rules.schema import (
    All,
    Any_,
    Condition,
    FeatureRef,
    FieldRef,
    Leaf,
    None_,
    Not,
    Operand,
    Param,
    WordList,
)
from treasury_watch.rules.scope import Scope, field_name, list_name
from treasury_watch.rules.shapes import Key, Line, ListOf, Raw, Record, unknown_key, unsupported
from treasury_watch.rules.source import MappingNode, Node, ScalarNode, SequenceNode
from treasury_watch.rules.types import FORMS, Sort, Type, literal_type, type_of

GROUPS: Mapping[str, type[All | Any_ | None_]] = {"all": All, "any": Any_, "none": None_}
SUBJECTS = ("field", "feature")
LATER = ("working_time", "anomaly")
WORDS = Record(
    "list of words",
    (
        Key("list", Raw("name"), "a list of the rule set", True),
        Key("except", ListOf(Line()), "words in which these words do not count"),
    ),
)
_PATTERN_MEMORY = 1 << 20  # bytes: bounds the compiled form of a pattern, as MAX_TEXT does its text


def read_condition(node: Node, scope: Scope, *, in_where: bool = False) -> Condition | None:
    """A condition, or `None` after telling the author everything that is wrong with it."""
    report = scope.report
    if not isinstance(node, MappingNode):
        hint = "`all:` before the list" if isinstance(node, SequenceNode) else "such as {field: amount, gte: 500000.00}"
        report.error(node.span, "TW104", "not a condition", f"expected {hint}")
        return None
    groups = [(key, value) for key, value in node.entries if key.text in GROUPS or key.text == "not"]
    if not groups:
        return _read_leaf(node, scope, in_where)
    key, value = groups[0]
    for other, _ in node.entries:
        if other is not key:
            report.error(
                other.span, "TW109", f"`{other.text}` beside `{key.text}`", f"put it into a list under `{key.text}`"
            )
    if key.text == "not":
        item = read_condition(value, scope, in_where=in_where)
        return None if item is None else Not(item)
    if not isinstance(value, SequenceNode) or not value.items:
        report.error(value.span, "TW104", f"no conditions under `{key.text}`", "expected a list: one `- ` a condition")
        return None
    items = [read_condition(each, scope, in_where=in_where) for each in value.items]
    read = tuple(item for item in items if item is not None)
    return GROUPS[key.text](read) if len(read) == len(items) else None


def _read_leaf(node: MappingNode, scope: Scope, in_where: bool) -> Leaf | None:
    report = scope.report
    later = [key for key, _ in node.entries if key.text in LATER]
    if later:
        unsupported(later[0], report)
        return None
    subjects = [(key, value) for key, value in node.entries if key.text in SUBJECTS]
    operators = [(key, value) for key, value in node.entries if key.text in OPERATORS]
    for key, _ in node.entries:
        if key.text not in SUBJECTS and key.text not in OPERATORS:
            unknown_key(key, "condition", (*OPERATORS, *SUBJECTS, *GROUPS, "not"), report)
    if len(subjects) != 1:
        span = subjects[1][0].span if subjects else node.span
        report.error(
            span, "TW109" if subjects else "TW102", _count("subject", len(subjects)), "one `field:` or `feature:`"
        )
    if len(operators) != 1:
        span = operators[1][0].span if operators else node.span
        hint = "one operator; join several with `all`, or use `between`" if operators else use_one_of(OPERATORS)
        report.error(span, "TW109" if operators else "TW102", _count("operator", len(operators)), hint)
    if len(subjects) != 1 or len(operators) != 1:
        return None
    subject = _read_subject(*subjects[0], scope, in_where)
    if subject is None:
        return None
    (name, right), operator = operators[0], OPERATORS[operators[0][0].text]
    subject_type = type_of(subject, scope.reference.tables)
    if not operator.applies(subject_type):
        found = "one of a few words" if subject_type.values else subject_type.sort.value
        allowed = [each.name for each in OPERATORS.values() if each.applies(subject_type)]
        message = f"`{operator.name}` does not apply: `{subject.name}` is {found}"
        report.error(name.span, "TW301", message, use_one_of(allowed))
        return None
    operand = _read_right(right, operator, subject_type, scope, in_where)
    return None if operand is None else Leaf(subject, operator.name, operand, node.span)  # type: ignore[arg-type]


def _count(what: str, found: int) -> str:
    return f"{found} {what}s in one condition" if found else f"a condition without {what}"


def _read_subject(key: ScalarNode, value: Node, scope: Scope, in_where: bool) -> FieldRef | FeatureRef | None:
    report = scope.report
    if key.text == "field":
        name = field_name(value, report)
        return None if name is None else FieldRef(name, value.span)
    found = scalars.scalar(value, report, "the name of a feature")
    if found is None:
        return None
    name = found.text.removeprefix("$")
    if in_where:
        report.error(found.span, "TW202", f"`{name}` is a feature", "a `where` compares fields, params and lookups")
        return None
    if not scope.knows_feature(name):
        hint = "it is a param: write it on the right-hand side" if name in scope.params else ""
        known = [each for each in scope.known_names() if each not in scope.params]
        report.error(found.span, "TW202", f"the rule has no feature `{name}`", hint or did_you_mean(name, known))
        return None
    return scope.feature(name, found.span)


def _read_right(node: Node, operator: Operator, subject: Type, scope: Scope, in_where: bool) -> Any | None:
    wanted = Type(operator.local) if subject.sort is Sort.LOCAL else subject
    match operator.right:
        case Right.ONE:
            return read_operand(node, scope, wanted, in_where=in_where)
        case Right.STEP:
            return _read_step(node, wanted, scope)
        case Right.TWO:
            return _read_bounds(node, wanted, scope, in_where)
        case Right.MANY:
            return _read_choices(node, wanted, scope, in_where)
        case Right.OTHER:
            return _read_other(node, wanted, scope, in_where)
        case Right.LIST:
            name = list_name(node, scope)
            return None if name is None else WordList(name, span=node.span)
        case Right.WORDS:
            return _read_words(node, subject, scope)
        case Right.PATTERN:
            return _read_pattern(node, scope)
        case Right.LENGTH:
            return _read_length(node, scope, in_where)
        case Right.FLAG:
            return scalars.flag(node, scope.report)


def _read_step(node: Node, wanted: Type, scope: Scope) -> Operand | None:
    """What `multiple_of` divides by. Above zero, which of fields and features nobody could promise."""
    operand = read_operand(node, scope, wanted)
    values = (
        [each.value for dated in operand.segments.values() for each in dated]
        if isinstance(operand, Param)
        else [operand]
    )
    if operand is not None and not all(isinstance(value, int | Decimal) and value > 0 for value in values):
        scope.report.error(node.span, "TW108", "not a number above zero", "expected one, or a param of such")
        return None
    return operand


def _read_bounds(node: Node, wanted: Type, scope: Scope, in_where: bool) -> tuple[Operand, ...] | None:
    if not isinstance(node, SequenceNode) or len(node.items) != 2:
        scope.report.error(node.span, "TW104", "not a lowest and a highest value", "expected [lowest, highest]")
        return None
    low, high = (read_operand(item, scope, wanted, in_where=in_where) for item in node.items)
    if low is None or high is None:
        return None
    if _above(low, high):
        scope.report.error(node.span, "TW108", "the lowest is above the highest", "expected [lowest, highest]")
        return None
    return low, high


def _read_choices(node: Node, wanted: Type, scope: Scope, in_where: bool) -> tuple[Operand, ...] | None:
    if not isinstance(node, SequenceNode) or not node.items:
        scope.report.error(
            node.span, "TW104", "not a list of values", "expected [a, b, …]; a named list takes `in_list`"
        )
        return None
    operands = [read_operand(item, scope, wanted, in_where=in_where) for item in node.items]
    read = tuple(operand for operand in operands if operand is not None)
    if len(read) != len(operands):
        return None
    literals = {literal_type(each).sort for each in read if isinstance(each, str | int | Decimal)}
    if wanted.sort is Sort.LOCAL and len(literals) > 1:
        scope.report.error(
            node.span, "TW303", "values of several sorts", "a local field is read as what it is compared with"
        )
        return None
    return read


def _read_other(node: Node, wanted: Type, scope: Scope, in_where: bool) -> FieldRef | FeatureRef | None:
    operand = None
    if not isinstance(node, ScalarNode) or node.text.startswith("$"):
        operand = read_operand(node, scope, wanted, in_where=in_where)
        if operand is None or isinstance(operand, FieldRef | FeatureRef):
            return operand
    hint = "`same_as` names another field, as in {field: approver}, or a feature; values take `eq`"
    scope.report.error(node.span, "TW104", "neither field nor feature", hint)
    return None


def _above(low: Operand, high: Operand) -> bool:
    if isinstance(low, int | Decimal) and isinstance(high, int | Decimal):
        return low > high
    return isinstance(low, date) and isinstance(high, date) and low > high


def _read_words(node: Node, subject: Type, scope: Scope) -> WordList | tuple[str, ...] | None:
    form = FORMS[subject.form]
    if isinstance(node, MappingNode):
        read = WORDS.read(node, scope.report) or {}
        name = list_name(read["list"], scope) if "list" in read else None
        return None if name is None else WordList(name, tuple(form(word) for word in read.get("except", ())), node.span)
    words = ListOf(Line(), at_least=1).read(node, scope.report)
    return tuple(form(word) for word in words) if words else None


def _read_pattern(node: Node, scope: Scope) -> str | None:
    found = scalars.scalar(node, scope.report, "a regular expression")
    if found is None:
        return None
    options = re2.Options()
    options.max_mem = _PATTERN_MEMORY
    options.log_errors = False
    try:
        re2.compile(found.text, options)
    except re2.error as error:
        problem = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
        hint = "RE2 syntax: no look-around, no back-references; quote it in single quotes"
        scope.report.error(found.span, "TW304", problem, hint)
        return None
    return found.text


def _read_length(node: Node, scope: Scope, in_where: bool) -> tuple[tuple[str, Operand], ...] | None:
    whole = Type(Sort.COUNT)
    if not isinstance(node, MappingNode):
        operand = read_literal(node, scope, whole)
        return None if operand is None else (("eq", operand),)
    pairs = []
    if not node.entries:
        scope.report.error(node.span, "TW104", "an empty length", "expected such as {gte: 2, lt: 10}")
    for key, value in node.entries:
        if key.text not in COMPARISONS:
            unknown_key(key, "length", COMPARISONS, scope.report)
            continue
        operand_read = read_operand(value, scope, whole, in_where=in_where)
        if operand_read is not None:
            pairs.append((key.text, operand_read))
    return tuple(pairs) if pairs and len(pairs) == len(node.entries) else None
