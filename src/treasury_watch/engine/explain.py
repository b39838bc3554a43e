"""Explanations (解释): why a rule says what it says of one instruction: every condition with its truth and values.

The engine is asked at the moment of the judgement: its windows hold what came before, and not yet the instruction.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from treasury_watch.domain.payment import Instruction, Kind, fen_of, microseconds, moment_of
from treasury_watch.domain.verdict import Hit, Text
from treasury_watch.engine import windows
from treasury_watch.engine.anomaly import exact
from treasury_watch.engine.assess import Engine
from treasury_watch.engine.conditions import Judged
from treasury_watch.engine.reasons import hit
from treasury_watch.engine.scopes import Scope
from treasury_watch.engine.scoring import score_of
from treasury_watch.engine.shown import Shown, shown_field, shown_value
from treasury_watch.engine.turns import Turn, turn_text, turns_of
from treasury_watch.rules.evaluation import Truth
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.forms.first_seen import FirstSeen
from treasury_watch.rules.meaning import in_effect, leaves, runtime_value
from treasury_watch.rules.operators import OPERATORS
from treasury_watch.rules.phrases import feature_phrase, operand_phrase, test_phrase
from treasury_watch.rules.schema import (
    All,
    Any_,
    Condition,
    Feature,
    FeatureRef,
    FieldRef,
    Leaf,
    None_,
    Not,
    Param,
    Rule,
    RuleSet,
    Span,
)

# hit: it hits · excepted: it hits, and an exception withholds that · cannot_judge: missing, and `on_missing` acts
# missing: missing, which passes · no_hit: false · not_in_effect: it does not hold on that day
Outcome = Literal["hit", "excepted", "cannot_judge", "missing", "no_hit", "not_in_effect"]


@dataclass(frozen=True, slots=True)
class Entries:
    """What a window holds for this instruction: how many instructions count, and the times of the first and last.

    `own`: this instruction is one of them. `by` are the keys that they share.
    """

    count: int
    own: bool
    first: datetime | None
    last: datetime | None
    by: tuple[tuple[str, Shown], ...]


@dataclass(frozen=True, slots=True)
class Term:
    """A value that a condition rests on. `phrase`: as the rule names it; `value`: `None` if missing.

    Of a param, `since` and `segment` say which of its values it is. Of a feature, `formula` says what it computes, and
    `entries` of what.
    """

    phrase: str
    source: Literal["field", "param", "feature", "literal"]
    value: Shown | None
    since: date | None = None
    segment: Shown | None = None
    formula: str = ""
    entries: Entries | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A condition with its truth (`None`: missing). A leaf has no items, but a subject, a test and the values of it."""

    form: Literal["all", "any", "none", "not", "leaf"]
    truth: Truth
    items: tuple[Node, ...] = ()
    subject: Term | None = None
    test: str = ""
    terms: tuple[Term, ...] = ()
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Exempt:
    """An exception of the rule: it applies if `node` is true and it has not expired."""

    owner: str
    basis: str
    expires: date
    expired: bool
    node: Node

    @property
    def applies(self) -> bool:
        return self.node.truth is True and not self.expired


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a rule says of an instruction, whatever the rule's mode, and why. `hit`: what it says where it fires."""

    rule: Rule
    instruction: Instruction
    event_time: str  # in the set's zone
    outcome: Outcome
    node: Node
    params: tuple[Term, ...]
    features: tuple[Term, ...]
    exceptions: tuple[Exempt, ...]
    missing: tuple[str, ...]
    hit: Hit | None
    turns: tuple[tuple[Turn, Text], ...]


def explainable(ruleset: RuleSet, rule_id: str) -> RuleSet:
    """The rule set in which that rule is judged even if it is a draft or retired: without effect, as in shadow."""

    def judged(rule: Rule) -> Rule:
        hidden = rule.id == rule_id and rule.mode in ("draft", "retired")
        return replace(rule, mode="shadow") if hidden else rule

    files = (replace(file, rules=tuple(judged(rule) for rule in file.rules)) for file in ruleset.files)
    return replace(ruleset, files=tuple(files))


def judged_by(engine: Engine, instruction: Instruction) -> Judged:
    """The instruction as the engine would judge it next. Nothing changes in the engine."""
    program = engine.program
    us = microseconds(instruction.event_time)
    day = program.days.of(us)
    scope = engine.state.scopes.get(program.partition_key(instruction)) or Scope("", len(program.series))
    amount = program.amount(instruction, fen_of(instruction.amount), day.ordinal)
    p_value = engine.given_p_value
    if scope.model is not None and amount is not None:
        _, scored = score_of(scope.model, instruction, us, amount, day)
        p_value = p_value if scored.p_value is None else exact(scored.p_value)
    return Judged(program, instruction, us, amount, day, scope, p_value)


def explain(rule: Rule, judged: Judged) -> Explanation:
    """Why a rule says what it says. Its features must be planned in the program: see `explainable`."""
    truth = judged.truth(rule.when)
    exceptions = tuple(_exempt(each.match, each.owner, each.basis, each.expires, judged) for each in rule.exceptions)
    effective = in_effect(rule, judged.day.ordinal)
    fires = truth is True or (truth is None and rule.on_missing != "pass")
    when_missing = hit(rule, judged, False) if truth is None else None
    moment = shown_field("event_time", judged)
    return Explanation(
        rule=rule,
        instruction=judged.instruction,
        event_time="" if moment is None else moment.plain,
        outcome=_outcome(truth, fires, effective, any(each.applies for each in exceptions)),
        node=_node(rule.when, judged),
        params=tuple(_params(rule, judged)),
        features=tuple(_term(FeatureRef(name, feature), judged, None) for name, feature in rule.features.items()),
        exceptions=exceptions,
        missing=() if when_missing is None else when_missing.missing,
        hit=(when_missing or hit(rule, judged, True)) if fires else None,
        turns=tuple((turn, turn_text(turn, judged.amount)) for turn in turns_of(judged, rule.when)),
    )


def _outcome(truth: Truth, fires: bool, effective: bool, excepted: bool) -> Outcome:
    if not effective:
        return "not_in_effect"
    if not fires:
        return "missing" if truth is None else "no_hit"
    if excepted:
        return "excepted"
    return "hit" if truth else "cannot_judge"


def _exempt(match: Condition, owner: str, basis: str, expires: date, judged: Judged) -> Exempt:
    return Exempt(owner, basis, expires, judged.day.ordinal > expires.toordinal(), _node(match, judged))


# --- the tree ---


def _node(condition: Condition, judged: Judged) -> Node:
    truth = judged.truth(condition)
    match condition:
        case All(items):
            return Node("all", truth, tuple(_node(item, judged) for item in items))
        case Any_(items):
            return Node("any", truth, tuple(_node(item, judged) for item in items))
        case None_(items):
            return Node("none", truth, tuple(_node(item, judged) for item in items))
        case Not(item):
            return Node("not", truth, (_node(item, judged),))
        case Leaf(subject, _, operand):
            context = OPERATORS[condition.operator].context(operand)
            kind = judged.value(subject, context)[1]
            terms = tuple(_term(each, judged, kind) for each in _operands(operand) if _has_value(each))
            return Node(
                "leaf", truth, (), _term(subject, judged, context), test_phrase(condition), terms, condition.span
            )


def _operands(operand: object) -> Iterator[object]:
    """The right-hand sides of a leaf, one by one; of `length: {gte: $n}` the bound."""
    if isinstance(operand, tuple):
        for each in operand:
            yield from _operands(each)
    else:
        yield operand


def _has_value(operand: object) -> bool:
    """Whether an operand stands for a value, so that its phrase does not say it."""
    return isinstance(operand, (FieldRef, FeatureRef, Param, Feature))


def _term(operand: object, judged: Judged, context: object) -> Term:
    match operand:
        case FieldRef(name):
            return Term(name, "field", shown_field(name, judged, context))
        case Param():
            return _param(operand, judged, context if isinstance(context, Kind) else Kind.ATTRIBUTE)
        case FeatureRef(name, feature):
            return _feature(name, feature, judged)
    return _feature(operand_phrase(operand), operand, judged)  # type: ignore[arg-type]


def _feature(name: str, feature: Feature, judged: Judged) -> Term:
    value = shown_value(*judged.feature(feature))
    return Term(name, "feature", value, None, None, feature_phrase(feature), _entries(feature, judged))


def _params(rule: Rule, judged: Judged) -> Iterator[Term]:
    compared = {
        operand.name: judged.value(leaf.subject, leaf.operand)[1]
        for condition in (rule.when, *(each.match for each in rule.exceptions))
        for leaf in leaves(condition)
        for operand in _operands(leaf.operand)
        if isinstance(operand, Param)
    }
    for name, param in rule.params.items():
        yield _param(param, judged, compared.get(name, Kind.ATTRIBUTE))


def _param(param: Param, judged: Judged, kind: Kind) -> Term:
    segment = None if param.segment_by is None else judged.field(param.segment_by)[0]
    own = segment if segment in param.segments else None
    since = [
        each.since
        for each in param.segments.get(own, ())
        if each.since is not None and each.since.toordinal() <= judged.day.ordinal
    ]
    found = judged.param(param)
    money = kind is Kind.MONEY and found is not None
    value = shown_value(runtime_value(found, kind), kind) if money else shown_value(found, _as_written(found, kind))
    shown = None if own is None or param.segment_by is None else shown_field(param.segment_by, judged)
    return Term(f"${param.name}", "param", value, since[-1] if since else None, shown)


def _as_written(value: object, kind: Kind) -> Kind:
    """As what a param is shown that is no amount."""
    return kind if kind is Kind.ACCOUNT or isinstance(value, str) else Kind.ATTRIBUTE


def _entries(feature: Feature, judged: Judged) -> Entries | None:
    """What a feature over earlier instructions is computed of; `None` if there is no such window."""
    windowed = feature.seen if isinstance(feature, FirstSeen) else feature
    if not isinstance(windowed, Aggregate) or judged.earlier(windowed) is None:
        return None
    times = _times(windowed, judged)
    own = windowed is feature and judged.own(windowed) is not None
    if own:
        times.append(judged.us)
    by = [(name, shown_field(name, judged)) for name in windowed.by]
    return Entries(
        len(times),
        own,
        moment_of(times[0]).astimezone(judged.program.days.zone) if times else None,
        moment_of(times[-1]).astimezone(judged.program.days.zone) if times else None,
        tuple((name, shown) for name, shown in by if shown is not None),
    )


def _times(aggregate: Aggregate, judged: Judged) -> list[int]:
    """The event times (microseconds) of the earlier instructions that an aggregate is computed of, oldest first."""
    series = judged.program.series_of(aggregate)
    key = judged._key(series.key)
    found = None if key is None else judged.scope.series[series.index].get(key)
    if found is None:
        return []
    packed = windows.packed_of(found, series.keeps)
    n = windows.count(found, series.keeps)
    return list(packed[bisect_right(packed, judged._after(aggregate), 0, n) : bisect_right(packed, judged.us, 0, n)])
