"""Guards (前置条件): what one thing of an instruction alone says of all rules, answered once for each of its values.

Most rules are about one kind of payment: cash, cards, some classes of spending, amounts beyond a limit. Whether a
payment is of that kind is a matter of fields of which a year of a province has a few hundred combinations, of the
stretch between two limits in which its amount lies, or of a text that comes again and again. Each of these is a
*source*. The guard of a rule in a source is the most that leaves of that source alone say: where it does not hold, the
rule cannot. So a payment is asked only the rules that no source rules out, and of those only what is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from treasury_watch.domain.payment import Kind, field_of
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.forms.first_seen import FirstSeen
from treasury_watch.rules.meaning import leaves
from treasury_watch.rules.schema import All, Any_, Condition, Feature, FeatureRef, FieldRef, Leaf, None_, Not, Param

Source = Callable[[Leaf], str | None]  # the source that answers a leaf; `None` if no single one does

CLASSED = "classes"  # the source of the combinations of the fields below
AMOUNT = "amount"  # the source of the stretches between limits
CLASSES = (
    "settlement", "payment_mode", "business_type", "payee_kind", "payer_account_kind", "unit_level", "green_channel",
    "economic_class", "department_economic_class", "fund_type", "function_class",
)  # fmt: skip
MOST_COMBINATIONS = 4_096  # remembered ones; then from anew
MOST_TEXTS = 16_384  # of a field, remembered; then from anew
LONG_TEXT = 64  # characters: longer texts are asked each time
_OFTEN = 3
_PLAIN = frozenset({"eq", "ne", "gt", "gte", "lt", "lte", "between", "in", "not_in", "is_missing", "same_as"})
_OPERATORS = frozenset({"eq", "ne", "in", "not_in", "starts_with", "ends_with", "contains"})
_SAID = (Kind.TEXT, Kind.NAME, Kind.ACCOUNT, Kind.ENUM, Kind.DATE, Kind.BOOLEAN)  # present when the message says them
_UNSAID = ("currency", "fiscal_year")  # present also when it does not
_OF_AMOUNT = frozenset({"eq", "ne", "gt", "gte", "lt", "lte", "between", "is_missing"})


def guard_of(condition: Condition, source: Callable[[Leaf], bool]) -> Condition | None:
    """The most that leaves of one source say of a condition; `None` if they say nothing."""
    bound = _bound(condition, source, True)
    return None if isinstance(bound, bool) else bound


def rest_of(condition: Condition, source: Source) -> Condition | None:
    """What is left to ask where the guards of a condition hold in all sources; `None` if nothing is."""
    if _is_of_one(condition, source):
        return None
    if isinstance(condition, All):
        rests = [rest for rest in (rest_of(item, source) for item in condition.items) if rest is not None]
        if len(rests) > 1:
            return All(tuple(rests))
        return rests[0] if rests else None
    return condition


def is_of_classes(leaf: Leaf) -> bool:
    """Whether a leaf asks for nothing but a field of few values, or whether a field is there at all."""
    if not isinstance(leaf.subject, FieldRef):
        return False
    if leaf.operator == "is_missing":
        known = field_of(leaf.subject.name)
        return known is not None and not known.required and known.kind in _SAID and known.name not in _UNSAID
    return (
        leaf.subject.name in CLASSES
        and leaf.operator in _OPERATORS
        and not any(isinstance(each, (FieldRef, FeatureRef, Feature, Param)) for each in _operands(leaf))
    )


def is_of_amount(leaf: Leaf) -> bool:
    """Whether a leaf compares the amount with nothing but limits that are the same for all instructions of a day."""
    return (
        isinstance(leaf.subject, FieldRef)
        and leaf.subject.name == "amount"
        and leaf.operator in _OF_AMOUNT
        and not any(
            isinstance(each, (FieldRef, FeatureRef, Feature))
            or (isinstance(each, Param) and each.segment_by is not None)
            for each in _operands(leaf)
        )
    )


def limits_of(leaf: Leaf) -> tuple[object, ...]:
    """What a leaf of the amount compares it with."""
    return () if leaf.operator == "is_missing" else _operands(leaf)


def _operands(leaf: Leaf) -> tuple[object, ...]:
    return leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,)


def in_order(items: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """The items of a group, cheap ones first: the order in which they are asked has no effect on what they come to."""
    return tuple(sorted(items, key=_cost))


def _cost(condition: Condition) -> int:
    """About how long a condition takes to ask, in tests of a plain field."""
    cost = 0
    for leaf in leaves(condition):
        operands = leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,)
        cost += 1 if leaf.operator in _PLAIN else 3
        cost += sum(_feature_cost(each) for each in (leaf.subject, *operands))
    return cost


def _feature_cost(operand: object) -> int:
    if isinstance(operand, FeatureRef):
        return _feature_cost(operand.feature)
    if not isinstance(operand, Feature):
        return 0
    return (20 if isinstance(operand, (Aggregate, FirstSeen)) else 5) + sum(map(_feature_cost, operand.parts()))


def texts_asked(conditions: Iterable[Condition], steady: Callable[[Leaf], bool]) -> dict[str, int]:
    """Fields that are texts → how often one is asked for nothing but what a rule says of that text, if often enough.

    `steady`: whether the answer to a leaf is the same on every day.
    """
    asked = Counter(
        leaf.subject.name
        for condition in conditions
        for leaf in leaves(condition)
        if is_of_text(leaf) and leaf.operator not in _PLAIN and steady(leaf)
    )
    return {name: count for name, count in asked.items() if count >= _OFTEN}


def is_of_text(leaf: Leaf) -> bool:
    """Whether a leaf asks for nothing but what the rule says of one text of the instruction."""
    operands = leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,)
    named = [each[1] if isinstance(each, tuple) else each for each in operands]  # the bounds of a length
    known = field_of(leaf.subject.name) if isinstance(leaf.subject, FieldRef) else None
    return (
        known is not None
        and known.kind in (Kind.TEXT, Kind.NAME)
        and leaf.subject.name not in ("instruction_id", *CLASSES)
        and not any(isinstance(each, (FieldRef, FeatureRef, Feature, Param)) for each in named)
    )


def _is_of_one(condition: Condition, source: Source) -> bool:
    """Whether one source answers all of a condition."""
    sources = {source(leaf) for leaf in leaves(condition)}
    return len(sources) == 1 and None not in sources


def _bound(condition: Condition, source: Callable[[Leaf], bool], upper: bool) -> Condition | bool:
    """The most (`upper`) or the least that leaves of a source say: a condition on them, or what is always so."""
    if all(map(source, leaves(condition))):
        return condition
    match condition:
        case All(items):
            return _joined(All, [_bound(item, source, upper) for item in items], False)
        case Any_(items):
            return _joined(Any_, [_bound(item, source, upper) for item in items], True)
        case None_(items):
            return _negated(_joined(Any_, [_bound(item, source, not upper) for item in items], True))
        case Not(item):
            return _negated(_bound(item, source, not upper))
        case Leaf():
            return upper


def _joined(group: type[All | Any_], bounds: list[Condition | bool], decisive: bool) -> Condition | bool:
    """`decisive`: the truth of one item that decides the group's, false for all, true for any."""
    if any(bound is decisive for bound in bounds):
        return decisive
    open_ = tuple(bound for bound in bounds if not isinstance(bound, bool))
    return group(open_) if open_ else not decisive


def _negated(bound: Condition | bool) -> Condition | bool:
    return not bound if isinstance(bound, bool) else Not(bound)
