"""Coverage (覆盖): which risk points have rules, which rules have a risk point, and what their tests show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from treasury_watch.domain.payment import field_of
from treasury_watch.rules.plan import asks_model
from treasury_watch.rules.risk_points import STEPS, RiskPoint
from treasury_watch.rules.schema import FieldRef, Rule, RuleFile, RuleSet, Step

State = Literal["live", "shadow", "none"]

_NAMING = ("field", "by", "key", "segment_by")  # the slots in which features and params name fields of the instruction
_STEP_ORDER: Mapping[str | None, int] = {step: at for at, step in enumerate(STEPS)}


@dataclass(frozen=True, slots=True)
class Cases:
    """What the inline tests of its file show of a rule."""

    hit: bool  # a step expects it by its id
    boundary_miss: bool  # such a test has a step that does not
    missing: bool | None  # a step lacks a field, or the p-value, that the rule uses; `None`: it uses none that can

    @property
    def lacks(self) -> tuple[str, ...]:
        """The names of the cases that no test shows."""
        shown = (("hit", self.hit), ("boundary miss", self.boundary_miss), ("missing field", self.missing))
        return tuple(name for name, there in shown if there is False)


@dataclass(frozen=True, slots=True)
class Covered:
    """A risk point and the running rules that answer it, in the order of their ids."""

    point: RiskPoint
    rules: tuple[Rule, ...]

    @property
    def state(self) -> State:
        """live: a live rule answers it; shadow: only rules without effect do; none: no running rule does."""
        if any(rule.mode == "live" for rule in self.rules):
            return "live"
        return "shadow" if self.rules else "none"


@dataclass(frozen=True, slots=True)
class Coverage:
    points: tuple[Covered, ...]  # in the order of the steps of a payment, then of the file
    pointless: tuple[Rule, ...]  # running rules that name no risk point of the list
    untested: tuple[tuple[Rule, Cases], ...]  # live rules whose tests lack a case

    @property
    def is_whole(self) -> bool:
        """Nothing is left to be done; risk points that only shadow rules answer are known, and are no finding."""
        return not (self.pointless or self.untested or any(each.state == "none" for each in self.points))


def coverage(ruleset: RuleSet, points: Sequence[RiskPoint]) -> Coverage:
    """What the rule set covers of the risk points."""
    running = sorted(ruleset.running, key=lambda rule: rule.id)
    known = {point.id for point in points}
    in_order = sorted(points, key=lambda each: _STEP_ORDER.get(each.step, len(STEPS)))
    tested = [(rule, cases_of(rule, file)) for file in ruleset.files for rule in file.rules if rule.mode == "live"]
    return Coverage(
        tuple(Covered(each, tuple(rule for rule in running if rule.risk_point == each.id)) for each in in_order),
        tuple(rule for rule in running if rule.risk_point not in known),
        tuple(sorted(((rule, each) for rule, each in tested if each.lacks), key=lambda pair: pair[0].id)),
    )


def cases_of(rule: Rule, file: RuleFile) -> Cases:
    """What the tests of a file show of one of its rules."""
    hitting = [test.payments for test in file.tests if any(hits(step, rule) for step in test.payments)]
    used = {name for name in fields_of(rule) if _may_be_missing(name)}
    asks = asks_model(rule)
    steps = [step for test in file.tests for step in test.payments]
    return Cases(
        bool(hitting),
        any(not hits(step, rule) for steps in hitting for step in steps),
        any(_lacks(step, file.test_base, used) or (asks and step.p_value is None) for step in steps)
        if used or asks
        else None,
    )


def hits(step: Step, rule: Rule) -> bool:
    """Whether a step expects the rule's hit by its id."""
    return step.expect.rules is not None and rule.id in step.expect.rules


def fields_of(rule: Rule) -> frozenset[str]:
    """The fields of the instruction that the rule's condition, features, params and exceptions read."""
    return frozenset(_fields_in((rule.when, rule.features, rule.params, rule.exceptions)))


def _fields_in(part: Any) -> Iterator[str]:
    if isinstance(part, FieldRef):
        yield part.name
    elif isinstance(part, Mapping):
        yield from _fields_in(tuple(part.values()))
    elif isinstance(part, tuple):
        for each in part:
            yield from _fields_in(each)
    elif is_dataclass(part):
        for slot in fields(part):
            value = getattr(part, slot.name)
            if slot.name in _NAMING:
                yield from (name for name in _texts(value) if field_of(name) is not None)
            if slot.name != "span":
                yield from _fields_in(value)


def _texts(value: Any) -> Iterator[str]:
    return (each for each in (value if isinstance(value, tuple) else (value,)) if isinstance(each, str))


def _may_be_missing(name: str) -> bool:
    field = field_of(name)
    return field is not None and not field.required


def _lacks(step: Step, base: Mapping[str, Any], used: set[str]) -> bool:
    """Whether the step takes away one of the fields: by `null`, or the amount by a currency that is not CNY."""
    if "amount" in used and ({**base, **step.pay}.get("currency") or "CNY") != "CNY":
        return True
    return any(name in step.pay and step.pay[name] is None for name in used)
