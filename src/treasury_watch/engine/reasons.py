"""Reasons (理由): a hit's two sentences and the evidence they rest on, rendered and masked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Literal

from treasury_watch.domain.payment import Kind, field_of
from treasury_watch.domain.verdict import Excepted, Hit, HitMode, Text
from treasury_watch.engine.conditions import Judged
from treasury_watch.engine.shown import Shown, shown_field, shown_value
from treasury_watch.rules.operators import OPERATORS
from treasury_watch.rules.plan import needed_by
from treasury_watch.rules.schema import All, Any_, Condition, Leaf, None_, Not, Rule

_ABSENT = {"zh": "（缺失）", "en": "(missing)"}
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


def hit(rule: Rule, judged: Judged, certain: bool) -> Hit:
    """The hit of a rule whose condition is true (`certain`) or, with an `on_missing` that acts, missing."""
    found = {name: _shown(name, rule, judged) for name in _names(rule.reason, *rule.features, *rule.params)}
    missing = () if certain else tuple(dict.fromkeys(_missing(judged, rule.when)))
    if certain:
        reason = Text(zh=_render(rule.reason.zh, found, "zh"), en=_render(rule.reason.en, found, "en"))
    else:
        reason = Text(
            zh=f"无法判断“{rule.title.zh}”：缺少{'、'.join(_title(name, rule) for name in missing)}",
            en=f'Cannot judge "{rule.title.en}": {", ".join(missing)} missing',
        )
    return Hit(
        rule=rule.id,
        revision=rule.revision,
        action=rule.action if certain else rule.on_missing,  # type: ignore[arg-type]
        mode=_mode(rule, judged),
        level=rule.level,
        risk_point=rule.risk_point,
        reason=reason,
        evidence={name: shown.plain for name, shown in found.items() if shown is not None},
        missing=missing,
        excepted=_excepted(rule, judged),
    )


def _mode(rule: Rule, judged: Judged) -> HitMode:
    """How the hit counts: without effect while anything that the rule uses is warming."""
    if judged.scope.warming and any(judged.warming(each) for each in needed_by(rule)):
        return "warming"
    return "live" if rule.mode == "live" else "shadow"


def _excepted(rule: Rule, judged: Judged) -> Excepted | None:
    for each in rule.exceptions:
        if judged.day.ordinal <= each.expires.toordinal() and judged.truth(each.match) is True:
            return Excepted(owner=each.owner, basis=each.basis, expires=each.expires.isoformat())
    return None


@cache
def _names(reason: Text, *others: str) -> tuple[str, ...]:
    """Every name that evidence is given of: those the reason speaks of, and every feature and parameter of the rule."""
    return tuple(dict.fromkeys([*_PLACEHOLDER.findall(reason.zh), *_PLACEHOLDER.findall(reason.en), *others]))


@cache
def _parts(template: str) -> tuple[str, ...]:
    """A template's texts and names in turn, a text first."""
    return tuple(_PLACEHOLDER.split(template))


def _render(template: str, found: Mapping[str, Shown | None], language: Literal["zh", "en"]) -> str:
    parts = list(_parts(template))
    for at in range(1, len(parts), 2):
        shown = found[parts[at]]
        parts[at] = _ABSENT[language] if shown is None else _said(shown, language)
    return "".join(parts)


def _said(shown: Shown, language: Literal["zh", "en"]) -> str:
    """A value in a sentence: words in its language, numbers plain."""
    return str(getattr(shown, language)) if shown.kind in (Kind.ENUM, Kind.BOOLEAN) else shown.plain


def _shown(name: str, rule: Rule, judged: Judged) -> Shown | None:
    """What a name of the reason stands for: a feature, a parameter or a field; `None` if it is missing."""
    if name in rule.features:
        return shown_value(*judged.feature(rule.features[name]))
    if name in rule.params:
        return shown_value(judged.param(rule.params[name]), Kind.ATTRIBUTE)
    return shown_field(name, judged)


def _title(name: str, rule: Rule) -> str:
    known = field_of(name)
    return name if known is None or name in rule.features else known.zh


def _missing(judged: Judged, condition: Condition) -> Iterator[str]:
    """The names of what a condition is missing for want of."""
    match condition:
        case All(items) | Any_(items) | None_(items):
            for item in items:
                if judged.truth(item) is None:
                    yield from _missing(judged, item)
        case Not(item):
            yield from _missing(judged, item)
        case Leaf():
            operands = condition.operand if isinstance(condition.operand, tuple) else (condition.operand,)
            yield from judged.absent(condition.subject, condition.operand)
            for operand in operands:
                if isinstance(operand, tuple):  # a bound of a length
                    yield from judged.absent(operand[1], Kind.INTEGER)
                else:
                    yield from judged.absent(operand, condition.subject)
            yield from OPERATORS[condition.operator].absent(judged, condition.operand)
