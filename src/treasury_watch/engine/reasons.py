"""Reasons (理由): a hit's two sentences and the evidence they rest on, rendered and masked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from treasury_watch.domain.payment import Kind, field_of, masked
from treasury_watch.domain.verdict import Excepted, Hit, HitMode, Text
from treasury_watch.engine.conditions import Judged
from treasury_watch.engine.values import money_text, number_text
from treasury_watch.rules.schema import (
    Aggregate,
    All,
    Any_,
    Arithmetic,
    Condition,
    Feature,
    FeatureRef,
    FieldRef,
    Leaf,
    Lookup,
    None_,
    Not,
    Operand,
    Param,
    Rule,
)

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_ABSENT = {"zh": "（缺失）", "en": "(missing)"}
_BOOLEANS = {"zh": ("否", "是"), "en": ("no", "yes")}


def hit(rule: Rule, judged: Judged, certain: bool) -> Hit:
    """The hit of a rule whose condition is true (`certain`) or, with an `on_missing` that acts, missing."""
    missing = () if certain else tuple(dict.fromkeys(_missing(judged, rule.when)))
    if certain:
        reason = Text(zh=_render(rule.reason.zh, rule, judged, "zh"), en=_render(rule.reason.en, rule, judged, "en"))
    else:
        reason = Text(
            zh=f"无法判断“{rule.title.zh}”：缺少{'、'.join(_title(name, rule) for name in missing)}",
            en=f'Cannot judge "{rule.title.en}": {", ".join(missing)} missing',
        )
    mode: HitMode = "live" if rule.mode == "live" else "shadow"
    return Hit(
        rule=rule.id,
        revision=rule.revision,
        action=rule.action if certain else rule.on_missing,  # type: ignore[arg-type]
        mode=mode,
        level=rule.level,
        risk_point=rule.risk_point,
        reason=reason,
        evidence=_evidence(rule, judged),
        missing=missing,
        excepted=_excepted(rule, judged),
    )


def _excepted(rule: Rule, judged: Judged) -> Excepted | None:
    for each in rule.exceptions:
        if judged.day.ordinal <= each.expires.toordinal() and judged.truth(each.match) is True:
            return Excepted(owner=each.owner, basis=each.basis, expires=each.expires.isoformat())
    return None


def _evidence(rule: Rule, judged: Judged) -> dict[str, str]:
    """Every name that the reason speaks of, and every feature and parameter of the rule, as far as they are present."""
    names = [*_PLACEHOLDER.findall(rule.reason.zh), *_PLACEHOLDER.findall(rule.reason.en), *rule.features, *rule.params]
    found = {name: _shown(name, rule, judged, "en", labels=False) for name in dict.fromkeys(names)}
    return {name: text for name, text in found.items() if text is not None}


def _render(template: str, rule: Rule, judged: Judged, language: str) -> str:
    def shown(match: re.Match[str]) -> str:
        text = _shown(match[1], rule, judged, language, labels=True)
        return _ABSENT[language] if text is None else text

    return _PLACEHOLDER.sub(shown, template)


def _shown(name: str, rule: Rule, judged: Judged, language: str, *, labels: bool) -> str | None:
    """What a name of the reason stands for: a feature, a parameter or a field, as text; `None` if it is missing."""
    if name in rule.features:
        feature = rule.features[name]
        value, kind = judged.feature(feature)
        return None if value is None else _text(value, kind, language)
    if name in rule.params:
        value = judged.param(rule.params[name])
        return None if value is None else _scalar_text(value)
    known = field_of(name)
    if known is None:
        return None
    if known.kind is Kind.MONEY:
        return None if judged.amount is None else money_text(judged.amount)
    if known.kind is Kind.ATTRIBUTE:
        value = judged.field(name)[0]
        return None if value is None else _scalar_text(value)
    if name in ("fiscal_year", "currency"):
        return str(judged.field(name)[0])
    value = getattr(judged.instruction, name)  # as it was sent, not in normal form
    if value is None:
        return None
    if known.kind is Kind.ENUM and labels and language == "zh":
        return known.values[value]
    if known.kind is Kind.TIME:
        local: datetime = value.astimezone(judged.program.days.zone)
        return local.isoformat(sep=" ", timespec="seconds")
    return _text(value, known.kind, language)


def _text(value: Any, kind: Kind, language: str) -> str:
    if isinstance(value, bool):
        return _BOOLEANS[language][value]
    if kind is Kind.ACCOUNT:
        return masked(value)
    if kind is Kind.MONEY:
        return money_text(value)
    if kind is Kind.DATE:
        return (value if isinstance(value, date) else date.fromordinal(value)).isoformat()
    return value if isinstance(value, str) else number_text(value)


def _scalar_text(value: Any) -> str:
    """A parameter or attribute as it is written."""
    if isinstance(value, bool):
        return str(value).lower()
    return (
        value.isoformat()
        if isinstance(value, date)
        else format(value, "f")
        if hasattr(value, "quantize")
        else str(value)
    )


def _title(name: str, rule: Rule) -> str:
    known = field_of(name)
    return name if known is None or name in rule.features else known.zh


def _missing(judged: Judged, condition: Condition) -> Iterator[str]:
    """The names of the fields and features for want of which a condition is missing."""
    match condition:
        case All(items) | Any_(items) | None_(items):
            for item in items:
                if judged.truth(item) is None:
                    yield from _missing(judged, item)
        case Not(item):
            yield from _missing(judged, item)
        case Leaf():
            operands = condition.operand if isinstance(condition.operand, tuple) else (condition.operand,)
            yield from _absent(judged, condition.subject, condition.operand)
            for operand in operands:
                yield from _absent(judged, operand[1] if isinstance(operand, tuple) else operand, condition.subject)


def _absent(judged: Judged, operand: Operand | Feature, context: Any) -> Iterator[str]:
    """The names that explain why one operand is missing: nothing if it is there."""
    match operand:
        case FieldRef(name):
            if judged.field(name, context)[0] is None:
                yield name
        case Param(name):
            if judged.param(operand) is None:
                yield name
        case FeatureRef(name, feature):
            if judged.feature(feature)[0] is None:
                lacking = list(_absent(judged, feature, None))
                yield from lacking or [name]
        case Lookup():
            if judged.feature(operand)[0] is None:
                lacking = [name for name in operand.key if judged.field(name, Kind.TEXT)[0] is None]
                yield from lacking or [f"{operand.table}.{operand.column}"]
        case Aggregate():
            yield from (name for name in operand.by if judged.field(name, Kind.TEXT)[0] is None)
        case Arithmetic():
            for each in operand.operands:
                yield from _absent(judged, each, None)
