"""Tests against several values: a range, a few values, a named list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from treasury_watch.domain.payment import Kind
from treasury_watch.rules import limits
from treasury_watch.rules.evaluation import Coder, Judging, Truth
from treasury_watch.rules.meaning import counting, runtime_value
from treasury_watch.rules.operands import read_operand
from treasury_watch.rules.operators.base import OPERAND, Operator
from treasury_watch.rules.schema import (
    All,
    Any_,
    Condition,
    Feature,
    FeatureRef,
    FieldRef,
    Leaf,
    None_,
    Operand,
    Param,
    WordList,
)
from treasury_watch.rules.scope import Scope, list_name
from treasury_watch.rules.shapes import JsonSchema
from treasury_watch.rules.source import Node, SequenceNode
from treasury_watch.rules.types import Sort, Type, literal_type


def _may_miss(operands: tuple[Operand, ...]) -> bool:
    return any(isinstance(each, (FieldRef, FeatureRef, Feature, Param)) for each in operands)


@dataclass(frozen=True, slots=True)
class Between(Operator):
    """A range, both ends included: the right-hand side is the lowest and the highest value."""

    def schema(self) -> JsonSchema:
        return {"type": "array", "items": OPERAND, "minItems": 2, "maxItems": 2}

    def read(self, node: Node, wanted: Type, scope: Scope, in_where: bool) -> tuple[Operand, ...] | None:
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

    def spelled_out(self, leaf: Leaf) -> Condition:
        if not _may_miss(leaf.operand):
            return leaf
        low, high = leaf.operand
        return All((Leaf(leaf.subject, "gte", low, leaf.span), Leaf(leaf.subject, "lte", high, leaf.span)))

    def code(self, coder: Coder, x: str, kind: Kind, operand: Any, strict: bool, guards: list[str]) -> str:
        low, high = (coder.operand(each, kind).code for each in operand)
        return f"{low} <= {x} <= {high}"

    def holds(self, judged: Judging, left: Any, kind: Kind, operand: Any) -> Truth:
        low, high = (runtime_value(each, kind) for each in operand)
        return bool(low <= left <= high)


def _above(low: Operand, high: Operand) -> bool:
    if isinstance(low, int | Decimal) and isinstance(high, int | Decimal):
        return low > high
    return isinstance(low, date) and isinstance(high, date) and low > high


@dataclass(frozen=True, slots=True)
class Choice(Operator):
    """Equality with one of a few values (`negated`: with none of them); the right-hand side is a tuple of operands."""

    negated: bool = False

    def schema(self) -> JsonSchema:
        return {"type": "array", "items": OPERAND, "minItems": 1, "maxItems": limits.CHOICES.most}

    def read(self, node: Node, wanted: Type, scope: Scope, in_where: bool) -> tuple[Operand, ...] | None:
        if not isinstance(node, SequenceNode) or not node.items:
            hint = "expected [a, b, …]; a named list takes `in_list`"
            scope.report.error(node.span, "TW104", "not a list of values", hint)
            return None
        if not scope.report.within(node.items, limits.CHOICES):
            return None
        operands = [read_operand(item, scope, wanted, in_where=in_where) for item in node.items]
        read = tuple(operand for operand in operands if operand is not None)
        if len(read) != len(operands):
            return None
        literals = {literal_type(each).sort for each in read if isinstance(each, str | int | Decimal)}
        if wanted.sort is Sort.LOCAL and len(literals) > 1:
            hint = "a local field is read as what it is compared with"
            scope.report.error(node.span, "TW303", "values of several sorts", hint)
            return None
        return read

    def spelled_out(self, leaf: Leaf) -> Condition:
        if not _may_miss(leaf.operand):
            return leaf
        choices = tuple(Leaf(leaf.subject, "eq", each, leaf.span) for each in leaf.operand)
        return None_(choices) if self.negated else Any_(choices)

    def code(self, coder: Coder, x: str, kind: Kind, operand: Any, strict: bool, guards: list[str]) -> str:
        choices = "".join(f"{coder.operand(each, kind).code}, " for each in operand)
        return f"{x} {'not in' if self.negated else 'in'} ({choices})"

    def holds(self, judged: Judging, left: Any, kind: Kind, operand: Any) -> Truth:
        return (left in [runtime_value(each, kind) for each in operand]) != self.negated


@dataclass(frozen=True, slots=True)
class InList(Operator):
    """An entry of a named list that has not expired; the right-hand side is a WordList."""

    def schema(self) -> JsonSchema:
        return {"type": "string"}

    def read(self, node: Node, wanted: Type, scope: Scope, in_where: bool) -> WordList | None:
        name = list_name(node, scope)
        return None if name is None else WordList(name, span=node.span)

    def code(self, coder: Coder, x: str, kind: Kind, operand: Any, strict: bool, guards: list[str]) -> str:
        entries = coder.constant(("list", operand.name, kind), lambda: counting(operand, coder.ruleset, kind))
        return f"{entries}.get({x}, 0) >= day.ordinal"

    def holds(self, judged: Judging, left: Any, kind: Kind, operand: Any) -> Truth:
        entries = judged.ruleset.lists[operand.name].entries
        return any(
            runtime_value(entry, kind) == left and (expires is None or judged.day.ordinal <= expires.toordinal())
            for entry, expires in entries.items()
        )
