"""Guards (前置条件): what a rule asks of fields that have few values, answered once for each combination of values.

Most rules are about one kind of payment: cash, cards, some classes of spending. Whether a payment is of that kind is a
matter of fields of which a year of a province has a few hundred combinations. The guard of a rule is the most that
these fields alone say: where it does not hold, the rule cannot; where it does, the rest of the condition decides.
"""

from __future__ import annotations

from treasury_watch.rules.meaning import leaves
from treasury_watch.rules.schema import All, Any_, Condition, Feature, FeatureRef, FieldRef, Leaf, None_, Not, Param

CLASSES = (
    "settlement", "payment_mode", "business_type", "payee_kind", "payer_account_kind", "unit_level", "green_channel",
    "economic_class", "department_economic_class", "fund_type", "function_class",
)  # fmt: skip
MOST_COMBINATIONS = 4_096  # remembered ones; then from anew
_OPERATORS = frozenset({"eq", "ne", "in", "not_in", "starts_with", "ends_with", "contains", "is_missing"})


def guard_of(condition: Condition) -> Condition | None:
    """The guard of a condition; `None` if it has none."""
    bound = _bound(condition, True)
    return None if isinstance(bound, bool) else bound


def rest_of(condition: Condition) -> Condition | None:
    """What is left to ask where the guard of a condition holds; `None` if nothing is."""
    if _few_valued(condition):
        return None
    if isinstance(condition, All):
        rests = [rest for rest in map(rest_of, condition.items) if rest is not None]
        return rests[0] if len(rests) == 1 else All(tuple(rests))
    return condition


def asked_by(guard: Condition) -> set[str]:
    """The fields that a guard asks."""
    return {leaf.subject.name for leaf in leaves(guard)}


def _few_valued(condition: Condition) -> bool:
    return all(_is_few_valued(leaf) for leaf in leaves(condition))


def _is_few_valued(leaf: Leaf) -> bool:
    operands = leaf.operand if isinstance(leaf.operand, tuple) else (leaf.operand,)
    return (
        isinstance(leaf.subject, FieldRef)
        and leaf.subject.name in CLASSES
        and leaf.operator in _OPERATORS
        and not any(isinstance(each, (FieldRef, FeatureRef, Feature, Param)) for each in operands)
    )


def _bound(condition: Condition, upper: bool) -> Condition | bool:
    """The most (`upper`) or the least that few-valued fields alone say: a condition on them, or what is always so."""
    if _few_valued(condition):
        return condition
    match condition:
        case All(items):
            return _joined(All, [_bound(item, upper) for item in items], False)
        case Any_(items):
            return _joined(Any_, [_bound(item, upper) for item in items], True)
        case None_(items):
            return _negated(_joined(Any_, [_bound(item, not upper) for item in items], True))
        case Not(item):
            return _negated(_bound(item, not upper))
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
