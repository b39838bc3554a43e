"""The difference (差异) between two rule sets: rule by rule, what came, went or changed, and from which day.

Tests, comments, layout and expectations of back-tests are no part of it: no verdict depends on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from treasury_watch.rules.canonical import logic_hash
from treasury_watch.rules.phrases import condition_phrase, feature_phrase, operand_phrase
from treasury_watch.rules.schema import (
    All,
    Condition,
    Dated,
    Exception_,
    Leaf,
    ModelBlock,
    Not,
    Param,
    Parameters,
    Rule,
    RuleSet,
    Shadow,
    Span,
)

Change = Literal["added", "removed", "promoted", "demoted", "retired", "logic", "params", "text"]
_MODES = ("draft", "shadow", "live", "retired")


@dataclass(frozen=True, slots=True)
class Part:
    """One part that is not as it was: `None` for what was not or is no longer there.

    `since` and `until` bound the local days on which a param differs (`until` exclusive; `None`: unbounded).
    """

    part: str  # condition, param, feature, exception, mode, action …
    name: str | None
    old: str | None
    new: str | None
    old_span: Span | None = None
    new_span: Span | None = None
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class RuleDiff:
    """A rule that differs. `changes` say how, in the order of weight; `old` or `new` is `None` where it is absent."""

    id: str
    changes: tuple[Change, ...]
    old: Rule | None
    new: Rule | None
    parts: tuple[Part, ...]


def rule_diffs(old: RuleSet, new: RuleSet) -> list[RuleDiff]:
    """Every rule that differs, in the order of the new set, then those that are gone."""
    before, after = ({rule.id: rule for rule in ruleset.rules} for ruleset in (old, new))
    found = [_rule_diff(before.get(name), rule) for name, rule in after.items()]
    gone = [RuleDiff(name, ("removed",), rule, None, ()) for name, rule in before.items() if name not in after]
    return [each for each in found if each is not None] + gone


def set_parts(old: RuleSet, new: RuleSet) -> list[Part]:
    """What differs of the sets as a whole: zone, partition key, model, the order in which rules stand."""
    parts = [*_worded(old, new, _SET), *_model_parts(old.model, new.model)]
    before, after = [rule.id for rule in old.rules], [rule.id for rule in new.rules]
    shared = set(before) & set(after)
    if [each for each in before if each in shared] != [each for each in after if each in shared]:
        parts.append(Part("order", None, "rules in one order", "rules in another"))
    return parts


def _rule_diff(old: Rule | None, new: Rule) -> RuleDiff | None:
    if old is None:
        return RuleDiff(new.id, ("added",), None, new, ())
    mode = [_moved(old.mode, new.mode)] if old.mode != new.mode else []
    logic, params = [*_logic(old, new)], [*_params(old, new)]
    text = [*_worded(old, new, _TEXT)]
    other_logic = logic_hash(old) != logic_hash(new)
    if other_logic and not logic and not params:
        logic = [Part("condition", None, "written in one way", "written in another", old.span, new.span)]
    if not other_logic:  # other names for the same, or what no condition asks for
        text, logic, params = [*logic, *params, *text], [], []
    if old.revision != new.revision:
        text.append(Part("revision", None, str(old.revision), str(new.revision), old.span, new.span))
    shifted = [Part("mode", None, old.mode, new.mode, old.span, new.span)] if mode else []
    parts = (*shifted, *logic, *params, *text)
    if not parts:
        return None
    wording = any(part.part != "revision" for part in text) or not (mode or logic or params)
    told = {"logic": bool(logic), "params": bool(params), "text": wording}
    changes: list[Any] = [*mode, *(name for name, there in told.items() if there)]
    return RuleDiff(new.id, tuple(changes), old, new, parts)


def _moved(old: str, new: str) -> Change:
    if new == "retired":
        return "retired"
    return "promoted" if _MODES.index(new) > _MODES.index(old) else "demoted"


# --- parts of one word or text: name → how it is said ---


def _effect(rule: Rule) -> str:
    since = f"from {rule.effective_from}" if rule.effective_from else ""
    until = f"until {rule.effective_until}" if rule.effective_until else ""
    return " ".join(filter(None, (since, until))) or "always"


_WORDS: Mapping[str, Callable[[Rule], str | None]] = {
    "action": lambda rule: rule.action,
    "evidence_required": lambda rule: str(rule.evidence_required).lower(),
    "on_missing": lambda rule: rule.on_missing,
    "effective": _effect,
}
_TEXT: Mapping[str, Callable[[Rule], str | None]] = {
    "title.zh": lambda rule: rule.title.zh,
    "title.en": lambda rule: rule.title.en,
    "reason.zh": lambda rule: rule.reason.zh,
    "reason.en": lambda rule: rule.reason.en,
    "basis.zh": lambda rule: rule.basis.zh if rule.basis else None,
    "basis.en": lambda rule: rule.basis.en if rule.basis else None,
    "level": lambda rule: rule.level,
    "risk_point": lambda rule: rule.risk_point,
}
_SET: Mapping[str, Callable[[RuleSet], str | None]] = {
    "timezone": lambda ruleset: ruleset.timezone,
    "partition_by": lambda ruleset: ruleset.partition_by,
}


def _worded(old: Any, new: Any, words: Mapping[str, Callable[[Any], str | None]]) -> Iterator[Part]:
    for name, said in words.items():
        before, after = said(old), said(new)
        if before != after:
            yield Part(name, None, before, after, getattr(old, "span", None), getattr(new, "span", None))


# --- the model ---


def _parameters(parameters: Parameters) -> str:
    return ", ".join(f"{name} {str(value).lower()}" for name, value in parameters)


def _shadow(shadow: Shadow | None) -> str | None:
    return None if shadow is None else ", ".join(filter(None, (shadow.detector, _parameters(shadow.parameters))))


_MODEL: Mapping[str, Callable[[ModelBlock], str | None]] = {
    "model": lambda model: model.detector,
    "model.target": lambda model: f"{float(model.target * 100):g}%",
    "model.parameters": lambda model: _parameters(model.parameters) or None,
    "model.shadow": lambda model: _shadow(model.shadow),
}


def _model_parts(old: ModelBlock | None, new: ModelBlock | None) -> Iterator[Part]:
    before_span, after_span = (None if each is None else each.span for each in (old, new))
    for name, said in _MODEL.items():
        before, after = (None if each is None else said(each) for each in (old, new))
        if before != after:
            yield Part(name, None, before, after, before_span, after_span)


def _logic(old: Rule, new: Rule) -> Iterator[Part]:
    yield from _conditions(old.when, new.when)
    for name in sorted(old.features.keys() | new.features.keys()):
        before, after = old.features.get(name), new.features.get(name)
        if before != after:
            told = [None if each is None else feature_phrase(each) for each in (before, after)]
            places = [getattr(each, "span", None) for each in (before, after)]
            if told[0] != told[1]:
                yield Part("feature", name, told[0], told[1], places[0], places[1])
            else:
                yield from _choices("feature", name, _where(before), _where(after))
    yield from _exceptions(old.exceptions, new.exceptions)
    yield from _worded(old, new, _WORDS)


# --- conditions: what stands under one `all` is compared one by one ---


def _conditions(old: Condition, new: Condition) -> Iterator[Part]:
    if old == new:
        return
    before, after = _joined(old), _joined(new)
    gone = [each for each in before if each not in after]
    come = [each for each in after if each not in before]
    if not gone and not come:
        told = "; ".join(map(condition_phrase, before)), "; ".join(map(condition_phrase, after))
        yield Part("condition", None, *told, _place(old), _place(new))
        return
    for each in gone:
        other = next((one for one in come if condition_phrase(one) == condition_phrase(each)), None)
        if other is None:
            yield Part("condition", None, condition_phrase(each), None, _place(each), None)
        else:  # the phrase was cut short, or what it names differs: params and features have parts of their own
            come.remove(other)
            yield from _choices("condition", None, each, other)
    for each in come:
        yield Part("condition", None, None, condition_phrase(each), None, _place(each))


def _joined(condition: Condition) -> tuple[Condition, ...]:
    return condition.items if isinstance(condition, All) else (condition,)


def _choices(part: str, name: str | None, old: Condition | None, new: Condition | None) -> Iterator[Part]:
    """The choices that came and went between leaves that read alike up to where long lists are cut."""
    pairs = zip(_leaves(old), _leaves(new), strict=False)
    for before, after in pairs:
        if isinstance(before.operand, tuple) and isinstance(after.operand, tuple):
            told = operand_phrase(before.subject)
            for each in before.operand:
                if each not in after.operand:
                    yield Part(part, name, f"{told}: {operand_phrase(each)}", None, before.span, after.span)
            for each in after.operand:
                if each not in before.operand:
                    yield Part(part, name, None, f"{told}: {operand_phrase(each)}", before.span, after.span)


def _leaves(condition: Condition | None) -> Iterator[Leaf]:
    match condition:
        case None:
            return
        case Leaf():
            yield condition
        case Not(item):
            yield from _leaves(item)
        case _:
            for item in condition.items:
                yield from _leaves(item)


def _where(feature: Any) -> Condition | None:
    return getattr(feature, "where", None)


def _place(condition: Condition) -> Span | None:
    return next((leaf.span for leaf in _leaves(condition)), None)


# --- exceptions ---


def _exceptions(old: Sequence[Exception_], new: Sequence[Exception_]) -> Iterator[Part]:
    before = {(condition_phrase(each.match), each.basis): each for each in old}
    after = {(condition_phrase(each.match), each.basis): each for each in new}
    for key in [*before, *(key for key in after if key not in before)]:
        one, other = before.get(key), after.get(key)
        told, now = _excepted(one), _excepted(other)
        if told != now:
            before_span, after_span = (each.span if each is not None else None for each in (one, other))
            yield Part("exception", key[0], told, now, before_span, after_span)


def _excepted(each: Exception_ | None) -> str | None:
    return None if each is None else f"until the end of {each.expires}, {each.basis}, {each.owner}"


# --- params: their values day by day, whatever steps they are written in ---


def _params(old: Rule, new: Rule) -> Iterator[Part]:
    for name in sorted(old.params.keys() | new.params.keys()):
        before, after = old.params.get(name), new.params.get(name)
        if before is not None and after is not None and before.segment_by != after.segment_by:
            yield from _steps(name, before, None)
            yield from _steps(name, None, after)
        elif before != after:
            yield from _steps(name, before, after)


def _steps(name: str, old: Param | None, new: Param | None) -> Iterator[Part]:
    before_span, after_span = (param.span if param else None for param in (old, new))
    segments = dict.fromkeys(segment for param in (old, new) if param for segment in param.segments)
    for segment in segments:
        told = f"{name} for {segment}" if segment else name
        before, after = _dated(old, segment), _dated(new, segment)
        days = sorted({each.since or date.min for each in (*before, *after)})
        stretches: list[tuple[date, str | None, str | None]] = []
        for day in days:
            pair = _on(before, day), _on(after, day)
            if not stretches or stretches[-1][1:] != pair:
                stretches.append((day, *pair))
        ends = [*(each[0] for each in stretches[1:]), None]
        for (since, one, other), until in zip(stretches, ends, strict=True):
            if one != other:
                start = None if since == date.min else since
                yield Part("param", told, one, other, before_span, after_span, start, until)


def _dated(param: Param | None, segment: str | None) -> tuple[Dated, ...]:
    if param is None:
        return ()
    return param.segments.get(segment) or param.segments.get(None) or ()


def _on(dated: tuple[Dated, ...], day: date) -> str | None:
    found = [each for each in dated if (each.since or date.min) <= day]
    return _value(found[-1].value) if found else None


def _value(value: Any) -> str:
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return f"{value:,}"
    return operand_phrase(value)
