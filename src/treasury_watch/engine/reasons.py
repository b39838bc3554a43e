"""Reasons (理由): a hit's two sentences and the evidence they rest on, rendered and masked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, Literal, NamedTuple

from treasury_watch.domain.payment import Kind, field_of, masked
from treasury_watch.domain.verdict import Excepted, Hit, HitMode, Text
from treasury_watch.engine.conditions import Judged
from treasury_watch.rules.operators import OPERATORS
from treasury_watch.rules.plan import needed_by
from treasury_watch.rules.schema import All, Any_, Condition, Leaf, None_, Not, Rule
from treasury_watch.rules.values import money_text, number_text

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


class _Shown(NamedTuple):
    """A value as text in both languages, and as evidence is written."""

    zh: str
    en: str
    plain: str


_ABSENT = _Shown("（缺失）", "(missing)", "")
_BOOLEANS = {False: _Shown("否", "no", "false"), True: _Shown("是", "yes", "true")}


@cache
def _names(reason: Text, *others: str) -> tuple[str, ...]:
    """Every name that evidence is given of: those the reason speaks of, and every feature and parameter of the rule."""
    return tuple(dict.fromkeys([*_PLACEHOLDER.findall(reason.zh), *_PLACEHOLDER.findall(reason.en), *others]))


@cache
def _parts(template: str) -> tuple[str, ...]:
    """A template's texts and names in turn, a text first."""
    return tuple(_PLACEHOLDER.split(template))


def _render(template: str, found: Mapping[str, _Shown | None], language: Literal["zh", "en"]) -> str:
    parts = list(_parts(template))
    for at in range(1, len(parts), 2):
        shown = found[parts[at]]
        parts[at] = getattr(_ABSENT if shown is None else shown, language)
    return "".join(parts)


def _shown(name: str, rule: Rule, judged: Judged) -> _Shown | None:
    """What a name of the reason stands for: a feature, a parameter or a field; `None` if it is missing."""
    if name in rule.features:
        value, kind = judged.feature(rule.features[name])
    elif name in rule.params:
        value, kind = judged.param(rule.params[name]), Kind.ATTRIBUTE
    else:
        value, kind = _field(name, judged)
    if value is None:
        return None
    if isinstance(value, _Shown):
        return value
    if isinstance(value, bool):
        return _BOOLEANS[value]
    text = _text(value, kind)
    return _Shown(text, text, text)


def _field(name: str, judged: Judged) -> tuple[Any, Kind]:
    """A field as it was sent, not in the form in which it is compared."""
    known = field_of(name)
    assert known is not None, name
    if known.kind in (Kind.MONEY, Kind.ATTRIBUTE) or name in ("fiscal_year", "currency"):
        return judged.field(name)[0], known.kind
    value = getattr(judged.instruction, name)
    if known.kind is Kind.TIME:
        value = value.astimezone(judged.program.days.zone).isoformat(sep=" ", timespec="seconds")
    elif known.kind is Kind.ENUM and value is not None:
        value = _Shown(known.values[value], value, value)
    return value, known.kind


def _text(value: Any, kind: Kind) -> str:
    match kind:
        case Kind.ACCOUNT:
            return masked(value)
        case Kind.MONEY:
            return money_text(value)
        case Kind.DATE:
            return (value if isinstance(value, date) else date.fromordinal(value)).isoformat()
        case Kind.ATTRIBUTE:  # as it is written in the rule or the message
            return f"{value:f}" if isinstance(value, Decimal) else str(value)
    return value if isinstance(value, str) else number_text(value)


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
