"""Comparisons of two values: equal, greater, a multiple; with another field or feature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from treasury_watch.domain.payment import Kind
from treasury_watch.rules import scalars
from treasury_watch.rules.evaluation import Coder, Judging, Truth
from treasury_watch.rules.operands import read_operand
from treasury_watch.rules.operators.base import OPERAND, REFERENCE, Operator
from treasury_watch.rules.schema import FeatureRef, FieldRef, Operand, Param
from treasury_watch.rules.scope import Scope
from treasury_watch.rules.shapes import JsonSchema
from treasury_watch.rules.source import Node, ScalarNode
from treasury_watch.rules.types import Type


@dataclass(frozen=True, slots=True)
class Comparison(Operator):
    """A test of two values: `template` is its code in terms of `{x}` and `{y}`, `test` the same as a function."""

    template: str = ""
    test: Callable[[Any, Any], bool] = lambda x, y: False

    def schema(self) -> JsonSchema:
        return OPERAND

    def read(self, node: Node, wanted: Type, scope: Scope, in_where: bool) -> Operand | None:
        return read_operand(node, scope, wanted, in_where=in_where)

    def code(self, coder: Coder, x: str, kind: Kind, operand: Any, strict: bool, guards: list[str]) -> str:
        y = coder.guarded(coder.operand(operand, kind), strict, guards)
        return self.template.format(x=x, y=y)

    def holds(self, judged: Judging, left: Any, kind: Kind, operand: Any) -> Truth:
        right = judged.value(operand, kind)[0]
        return None if right is None else bool(self.test(left, right))


@dataclass(frozen=True, slots=True)
class MultipleOf(Comparison):
    """Division without remainder, by a number above zero: what fields and features are, nobody could promise."""

    def schema(self) -> JsonSchema:
        return {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, REFERENCE]}

    def read(self, node: Node, wanted: Type, scope: Scope, in_where: bool) -> Operand | None:
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


@dataclass(frozen=True, slots=True)
class SameAs(Comparison):
    """Equality with another field or feature: the right-hand side is a FieldRef or a FeatureRef."""

    def schema(self) -> JsonSchema:
        return {"anyOf": [REFERENCE, {"$ref": "#/$defs/field_operand"}]}

    def read(self, node: Node, wanted: Type, scope: Scope, in_where: bool) -> FieldRef | FeatureRef | None:
        if not isinstance(node, ScalarNode) or node.text.startswith("$"):
            operand = read_operand(node, scope, wanted, in_where=in_where)
            if operand is None or isinstance(operand, FieldRef | FeatureRef):
                return operand
        hint = "`same_as` names another field, as in {field: approver}, or a feature; values take `eq`"
        scope.report.error(node.span, "TW104", "neither field nor feature", hint)
        return None


@dataclass(frozen=True, slots=True)
class IsMissing(Operator):
    """Presence: the right-hand side is a truth value. Never missing itself."""

    sees_missing = True

    def context(self, operand: Any) -> Any:
        return None  # whatever it is, it is there

    def schema(self) -> JsonSchema:
        return {"type": "boolean"}

    def read(self, node: Node, wanted: Type, scope: Scope, in_where: bool) -> bool | None:
        return scalars.flag(node, scope.report)

    def code(self, coder: Coder, x: str, kind: Kind, operand: Any, strict: bool, guards: list[str]) -> str:
        return f"({x} {'is' if operand else 'is not'} None)"

    def holds(self, judged: Judging, left: Any, kind: Kind, operand: Any) -> Truth:
        return bool((left is None) == operand)
