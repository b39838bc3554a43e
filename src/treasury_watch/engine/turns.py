"""Turning points (临界值): the values of single numbers at which a rule's condition would have come out otherwise.

A turning point is never only calculated: the whole condition is judged again with the number on either side of it, and
what does not turn there is not told. So a number decides alone, while every other condition keeps its answer or turns
with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from math import ceil, floor
from typing import Any, Literal

from treasury_watch.domain.payment import Kind, field_of
from treasury_watch.domain.verdict import Text
from treasury_watch.engine.conditions import Judged
from treasury_watch.engine.shown import Shown, shown_value
from treasury_watch.rules.evaluation import Truth
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.meaning import leaves
from treasury_watch.rules.schema import Condition, FeatureRef, FieldRef, Leaf
from treasury_watch.rules.values import Number

Direction = Literal["from", "up_to"]

_AMOUNT = FieldRef("amount")
_LARGEST = 10**18  # fen: amounts are below it
_HAIR = Fraction(1, 10**15)  # a step on either side of a limit of numbers that have no steps
# Operator → whether what equals the limit belongs to the values above it.
_ABOVE = {"gte": True, "lt": True, "gt": False, "lte": False}


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a condition turns: it is true from `value` on, or up to it, and not one step beyond.

    `inclusive`: it is true at `value` itself. Not so for some limits of ratios, which have no step next to them.
    """

    value: Number  # run-time: fen where it is money
    direction: Direction
    inclusive: bool = True


@dataclass(frozen=True, slots=True)
class Turn:
    """A number of the condition that decides alone: what it is, and where the condition turns.

    `fires`: the condition is true as it is. `amount`: the amount of this payment (fen of CNY) at which the number
    comes to its edge, where it depends on the amount and the condition turns at that amount too.
    """

    subject: str
    kind: Kind
    value: Number
    fires: bool
    edge: Edge
    amount: Edge | None = None

    def shown(self, value: Number, kind: Kind | None = None) -> Shown:
        """A value of the number as people read it."""
        found = shown_value(value, kind or self.kind)
        assert found is not None
        return found


def turns_of(judged: Judged, condition: Condition) -> tuple[Turn, ...]:
    """The turning points of a condition that is true or false; none of one that is missing."""
    truth = judged.truth(condition)
    if truth is None:
        return ()
    found = (turn for leaf in leaves(condition) for turn in _turns(judged, condition, leaf, truth))
    return tuple(dict.fromkeys(found))


def turn_text(turn: Turn, amount: int | None) -> Text:
    """A turning point as a sentence. `amount`: that of this payment, in fen of CNY."""
    known = field_of(turn.subject)
    form = _FORMS[turn.fires, turn.edge.direction, turn.edge.inclusive]
    at, was = turn.shown(turn.edge.value).en, turn.shown(turn.value).en
    zh = f"{turn.subject if known is None else known.zh}{form.zh.format(at)}，本笔为{was}"
    en = f"{turn.subject}: {form.en.format(at)}; this one was {was}"
    if turn.amount is not None and amount is not None:
        edge, paid = (turn.shown(each, Kind.MONEY).en for each in (turn.amount.value, amount))
        form = _FORMS[turn.fires, turn.amount.direction, True]
        zh += f"；即支付金额{form.zh.format(edge)}，本笔金额为{paid}"
        en += f". By its amount: {form.en.format(edge)}; this payment was {paid}"
    return Text(zh=zh, en=en)


_FORMS: dict[tuple[bool, Direction, bool], Text] = {
    (False, "from", True): Text(zh="达到{}起命中", en="fires from {}"),
    (False, "from", False): Text(zh="高于{}时命中", en="fires above {}"),
    (False, "up_to", True): Text(zh="不高于{}时命中", en="fires up to {}"),
    (False, "up_to", False): Text(zh="低于{}时命中", en="fires below {}"),
    (True, "from", True): Text(zh="低于{}则不命中", en="would not fire below {}"),
    (True, "from", False): Text(zh="不高于{}则不命中", en="would not fire up to {}"),
    (True, "up_to", True): Text(zh="高于{}则不命中", en="would not fire above {}"),
    (True, "up_to", False): Text(zh="达到{}则不命中", en="would not fire from {}"),
}


# --- where a leaf turns ---


def _turns(judged: Judged, condition: Condition, leaf: Leaf, truth: bool) -> Iterator[Turn]:
    for limit, above in _limits(leaf):
        value, kind = judged.value(leaf.subject, leaf.operand)
        bound = judged.value(limit, kind)[0]
        if kind not in (Kind.MONEY, Kind.INTEGER) or not _is_number(value) or not _is_number(bound):
            continue
        amount = None if _counts(leaf.subject) else _of_amount(judged, condition, leaf, limit, above, truth)
        if leaf.subject == _AMOUNT:
            if amount is not None:
                yield Turn("amount", kind, value, truth, amount)
            continue
        judge = _supposing(judged, leaf.subject, kind, condition)
        edge = _edge(bound, above, _has_steps(leaf.subject), value, truth, judge)
        if edge is not None:
            yield Turn(leaf.subject.name, kind, value, truth, edge, amount)


def _limits(leaf: Leaf) -> Iterator[tuple[Any, bool]]:
    """The operands that a leaf compares with as limits, and whether what equals one belongs to what is above it."""
    if leaf.operator in _ABOVE:
        yield leaf.operand, _ABOVE[leaf.operator]
    elif leaf.operator == "between":
        yield leaf.operand[0], True
        yield leaf.operand[1], False


def _edge(
    limit: Number, above: bool, steps: bool, value: Number, truth: bool, judge: Callable[[Number], Truth]
) -> Edge | None:
    """Where the condition turns at a limit, if it does: asked on both sides of it."""
    if steps:
        upper: Number = ceil(limit) if above else floor(limit) + 1
        lower: Number = upper - 1
    else:
        upper, lower = (limit, limit - _HAIR) if above else (limit + _HAIR, limit)
    answers = judge(lower), judge(upper)
    if None in answers or answers[0] is answers[1] or answers[value >= upper] is not truth:
        return None
    fires_above = answers[1] is True
    if steps:
        return Edge(upper, "from") if fires_above else Edge(lower, "up_to")
    return Edge(limit, "from" if fires_above else "up_to", inclusive=above is fires_above)


def _of_amount(judged: Judged, condition: Condition, leaf: Leaf, limit: Any, above: bool, truth: bool) -> Edge | None:
    """The amount of this payment at which the leaf comes to its limit, if the condition turns there.

    Of a sum, only amounts of the same sign are told: that a payment would have to be a refund helps nobody.
    """

    def distance(amount: int) -> Number | None:
        paid = replace(judged, amount=amount)
        left, kind = paid.value(leaf.subject, leaf.operand)
        right = paid.value(limit, kind)[0]
        return None if left is None or right is None else left - right

    amount = judged.amount
    if amount is None:
        return None
    here, beside = distance(amount), distance(amount + 1)
    if here is None or beside is None or here == beside:
        return None
    slope = Fraction(beside - here)
    turns_at = amount - here / slope
    edge = _edge(
        turns_at, above is (slope > 0), True, amount, truth, lambda x: replace(judged, amount=int(x)).truth(condition)
    )
    if edge is None or not -_LARGEST < edge.value < _LARGEST:
        return None
    return edge if leaf.subject == _AMOUNT or (edge.value > 0) is (amount > 0) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, Fraction)) and not isinstance(value, bool)


def _has_steps(subject: FieldRef | FeatureRef) -> bool:
    """Whether the number goes in whole steps: fen, or one by one."""
    if isinstance(subject, FieldRef):
        return not subject.name.startswith("attributes.")
    if _counts(subject):
        return True
    match subject.feature:
        case Aggregate(kind, field):
            return kind != "avg" and not field.startswith("attributes.")
    return False


def _counts(subject: FieldRef | FeatureRef) -> bool:
    """Whether it is a number of instructions or values, which no amount brings to a limit."""
    feature = subject.feature if isinstance(subject, FeatureRef) else None
    return isinstance(feature, Aggregate) and feature.kind in ("count", "distinct")


# --- what if ---


@dataclass(frozen=True, slots=True)
class _Supposing(Judged):
    """The instruction, if one field or feature of it had another value."""

    subject: FieldRef | FeatureRef
    supposed: tuple[Any, Kind]

    def field(self, name: str, context: Any = None) -> tuple[Any, Kind]:
        if isinstance(self.subject, FieldRef) and name == self.subject.name:
            return self.supposed
        return Judged.field(self, name, context)

    def feature(self, feature: Any) -> tuple[Any, Kind]:
        if isinstance(self.subject, FeatureRef) and feature == self.subject.feature:
            return self.supposed
        return Judged.feature(self, feature)


def _supposing(
    judged: Judged, subject: FieldRef | FeatureRef, kind: Kind, condition: Condition
) -> Callable[[Number], Truth]:
    """The truth of the condition by what value the subject is supposed to have."""
    same = {each.name: getattr(judged, each.name) for each in fields(Judged)}
    return lambda value: _Supposing(**same, subject=subject, supposed=(value, kind)).truth(condition)
