"""Exact arithmetic with fields, params, literals, look-ups and other features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Literal

from treasury_watch.domain.payment import Kind
from treasury_watch.rules import values
from treasury_watch.rules.evaluation import Coder, Expression, Judging
from treasury_watch.rules.operands import read_operand
from treasury_watch.rules.schema import Condition, Feature, FeatureRef, FieldRef, Operand, Span, Table
from treasury_watch.rules.scope import Scope
from treasury_watch.rules.shapes import Key, Raw, Record
from treasury_watch.rules.source import MappingNode, SequenceNode
from treasury_watch.rules.types import NUMERIC, Sort, Type, type_of

ArithmeticKind = Literal["add", "sub", "mul", "div"]

KINDS = {
    "add": ("a + b + …", "各项之和"),
    "sub": ("a − b", "两项之差"),
    "mul": ("a × b × …", "各项之积"),
    "div": ("a ÷ b; missing if b is 0", "两项之商；除数为 0 时缺失"),
}
RECORDS = {kind: Record(f"{kind} feature", (Key(kind, Raw("operands"), *docs, True),)) for kind, docs in KINDS.items()}
_EXACT: Mapping[str, Callable[..., Any]] = {
    "add": values.add_exact,
    "sub": values.sub_exact,
    "mul": values.mul_exact,
    "div": values.div_exact,
}


@dataclass(frozen=True, slots=True)
class Arithmetic(Feature):
    """`{div: [$a, $b]}`: exact; division by zero is missing. `add` and `mul` take two or more, `sub` and `div` two."""

    kind: ArithmeticKind
    operands: tuple[Operand, ...]
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)

    def type(self, tables: Mapping[str, Table]) -> Type:
        return Type(sort_of(self.kind, [type_of(each, tables).sort for each in self.operands]))

    def parts(self) -> Iterator[Condition | Operand]:
        yield from self.operands

    def _kinds(self, money: list[bool]) -> tuple[list[Kind], Kind]:
        """As what each operand is read, and what the result is, from which of them are money."""
        additive = self.kind in ("add", "sub")
        is_money = any(money) if additive or self.kind == "mul" else money[0] and not money[1]
        read = [Kind.MONEY if (any(money) if additive else each) else Kind.INTEGER for each in money]
        return read, Kind.MONEY if is_money else Kind.INTEGER

    def code(self, coder: Coder) -> Expression:
        money = [_computed(each) and coder.operand(each, Kind.INTEGER).kind is Kind.MONEY for each in self.operands]
        kinds, kind = self._kinds(money)

        def make() -> str:
            parts = [coder.operand(each, as_kind).code for each, as_kind in zip(self.operands, kinds, strict=True)]
            return f"{self.kind}_exact({', '.join(parts)})"

        return Expression(coder.once(self, "v", make), True, kind)

    def value(self, judged: Judging) -> tuple[Any, Kind]:
        # Features are asked once, whatever they are compared with: twice on each level would double with every level.
        found = [judged.value(each, Kind.INTEGER) if _computed(each) else None for each in self.operands]
        kinds, kind = self._kinds([each is not None and each[1] is Kind.MONEY for each in found])
        parts = [
            known[0] if known is not None and not isinstance(each, FieldRef) else judged.value(each, as_kind)[0]
            for each, known, as_kind in zip(self.operands, found, kinds, strict=True)
        ]
        return _EXACT[self.kind](*parts), kind

    def absent(self, judged: Judging) -> Iterator[str]:
        for each in self.operands:
            yield from judged.absent(each, None)


def _computed(operand: Operand) -> bool:
    return isinstance(operand, (FieldRef, FeatureRef, Feature))


def sort_of(kind: str, sorts: list[Sort]) -> Sort:
    """The sort of a sum, difference, product or quotient; raises TypeError, in words for the author, if there is none.

    money ± money is money; money × number is money; money ÷ money is a number; money ÷ number is money.
    """
    for sort in sorts:
        if sort not in NUMERIC and sort is not Sort.LOCAL:
            raise TypeError(f"{sort.value} cannot be calculated with")
    paid = [sort for sort in sorts if sort is Sort.MONEY]
    if kind in ("add", "sub"):
        if paid and any(sort not in (Sort.MONEY, Sort.BARE) for sort in sorts):
            raise TypeError("money and numbers cannot be added or subtracted")
        return Sort.MONEY if paid else _number(sorts)
    if kind == "mul":
        if len(paid) > 1:
            raise TypeError("money times money means nothing")
        return Sort.MONEY if paid else _number(sorts)
    if sorts[0] is not Sort.MONEY and paid:
        raise TypeError("a number divided by money means nothing")
    return Sort.MONEY if len(paid) == 1 else Sort.NUMBER


def _number(sorts: list[Sort]) -> Sort:
    return Sort.COUNT if set(sorts) == {Sort.COUNT} else Sort.NUMBER


def read_arithmetic(kind: str, read: dict[str, Any], node: MappingNode, scope: Scope) -> Arithmetic | None:
    """The calculation that a mapping says, or `None` after telling the author what is wrong."""
    report, listed = scope.report, read[kind]
    exactly_two = kind in ("sub", "div")
    count = len(listed.items) if isinstance(listed, SequenceNode) else 0
    if not isinstance(listed, SequenceNode) or count < 2 or (exactly_two and count != 2):
        expected = "two operands" if exactly_two else "two or more operands"
        report.error(listed.span, "TW104", f"`{kind}` of {count or 'no'} operands", f"expected {expected}: [$a, $b]")
        return None
    # In sums and differences, money makes amounts of plain numbers: operands are read twice, first for their sorts.
    anything = Type(Sort.LOCAL)
    operands = [read_operand(item, scope, anything) for item in listed.items]
    found = [operand for operand in operands if operand is not None]
    if len(found) != len(operands):
        return None
    sorts = [type_of(operand, scope.reference.tables).sort for operand in found]
    try:
        sort = sort_of(kind, sorts)
    except TypeError as error:
        report.error(node.span, "TW303", str(error), "money ± money, money × number, money ÷ money, money ÷ number")
        return None
    if kind in ("add", "sub") and sort is Sort.MONEY:
        again = [read_operand(item, scope, Type(Sort.MONEY)) for item in listed.items]
        found = [operand for operand in again if operand is not None]
        if len(found) != len(again):
            return None
    if kind == "div" and found[1] == 0:
        report.error(listed.items[1].span, "TW108", "a division by zero is always missing", "divide by something else")
        return None
    return Arithmetic(kind, tuple(found), node.span)  # type: ignore[arg-type]
