"""Conditions: `all`, `any`, `none`, `not`, and leaves of one subject, one operator and its right-hand side."""

from __future__ import annotations

from collections.abc import Mapping

from treasury_watch.rules import scalars
from treasury_watch.rules.diagnostics import did_you_mean, use_one_of
from treasury_watch.rules.operators import OPERATORS
from treasury_watch.rules.schema import All, Any_, Condition, FeatureRef, FieldRef, Leaf, None_, Not
from treasury_watch.rules.scope import Scope, field_name
from treasury_watch.rules.shapes import unknown_key
from treasury_watch.rules.source import MappingNode, Node, ScalarNode, SequenceNode
from treasury_watch.rules.types import Sort, Type, type_of

GROUPS: Mapping[str, type[All | Any_ | None_]] = {"all": All, "any": Any_, "none": None_}
SUBJECTS = ("field", "feature")


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
    subjects = [(key, value) for key, value in node.entries if key.text in SUBJECTS]
    operators = [(key, value) for key, value in node.entries if key.text in OPERATORS]
    for key, _ in node.entries:
        if key.text not in SUBJECTS and key.text not in OPERATORS:
            unknown_key(key, "condition", (*OPERATORS, *SUBJECTS, *GROUPS, "not"), report)
    own = OPERATORS[operators[0][0].text].own_subject if len(operators) == 1 else None
    if own is not None and subjects:
        message = f"`{operators[0][0].text}` beside `{subjects[0][0].text}`"
        report.error(subjects[0][0].span, "TW109", message, f"it is about `{own}`: leave the subject out")
        return None
    if own is None and len(subjects) != 1:
        span = subjects[1][0].span if subjects else node.span
        report.error(
            span, "TW109" if subjects else "TW102", _count("subject", len(subjects)), "one `field:` or `feature:`"
        )
    if len(operators) != 1:
        span = operators[1][0].span if operators else node.span
        hint = "one operator; join several with `all`, or use `between`" if operators else use_one_of(OPERATORS)
        report.error(span, "TW109" if operators else "TW102", _count("operator", len(operators)), hint)
    if len(operators) != 1 or (own is None and len(subjects) != 1):
        return None
    subject = FieldRef(own, node.span) if own is not None else _read_subject(*subjects[0], scope, in_where)
    if subject is None:
        return None
    (name, right), operator = operators[0], OPERATORS[operators[0][0].text]
    subject_type = type_of(subject, scope.reference.tables)
    if not operator.applies(subject_type):
        found = "one of a few words" if subject_type.values else subject_type.sort.value
        allowed = [each.name for each in OPERATORS.values() if each.applies(subject_type) and not each.own_subject]
        message = f"`{operator.name}` does not apply: `{subject.name}` is {found}"
        report.error(name.span, "TW301", message, use_one_of(allowed))
        return None
    wanted = Type(operator.local) if subject_type.sort is Sort.LOCAL else subject_type
    operand = operator.read(right, wanted, scope, in_where)
    return None if operand is None else Leaf(subject, operator.name, operand, node.span)


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
