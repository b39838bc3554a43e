"""Shown values (显示值): run-time values as people read them, masked where they are account or card numbers."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from treasury_watch.domain.payment import Kind, field_of, masked
from treasury_watch.engine.conditions import Judged
from treasury_watch.rules.values import money_text, number_text

# Characters of a text that are shown. A message may be 64 KiB of purpose, and every rule may show it three times: a
# decision must fit the brokers' limit of 1 MiB whatever was sent, or no payment behind it would be judged.
LONGEST = 200
_SEPARATED = 10_000  # from here on numbers that are not amounts have separators: years do not


class Shown(NamedTuple):
    """A value in Chinese and in English, and plain as machines and evidence have it. `kind` is that of `Kind`."""

    zh: str
    en: str
    plain: str
    kind: Kind


def shown_value(value: Any, kind: Kind) -> Shown | None:
    """A run-time value of that kind; `None` if it is missing. What was rounded says so."""
    if value is None:
        return None
    if isinstance(value, bool):
        return Shown("是" if value else "否", "yes" if value else "no", "true" if value else "false", Kind.BOOLEAN)
    if kind is Kind.ACCOUNT:
        return _same(masked(str(value)), kind)
    if isinstance(value, date):
        return _same(value.isoformat(), Kind.DATE)
    if kind is Kind.DATE:
        return _same(date.fromordinal(value).isoformat(), kind)
    if isinstance(value, float):  # a local field that nothing says the type of
        return _same(repr(value), kind)
    if kind is Kind.ATTRIBUTE and isinstance(value, (int, Decimal)):  # as it is written in the rule or the message
        return _number(f"{value:f}" if isinstance(value, Decimal) else str(value), "", kind)
    if isinstance(value, str):
        return _same(value, kind)
    if kind is Kind.MONEY:
        return _number(money_text(value), "" if value == round(value) else "≈", kind)
    text = number_text(value)
    return _number(text, "" if Decimal(text) == value else "≈", kind)


def shown_field(name: str, judged: Judged, context: Any = None) -> Shown | None:
    """A field as it was sent, not in the form in which it is compared; `None` if it is missing."""
    known = field_of(name)
    assert known is not None, name
    if known.kind in (Kind.MONEY, Kind.ATTRIBUTE) or name in ("fiscal_year", "currency"):
        return shown_value(*judged.field(name, context))
    value = getattr(judged.instruction, name)
    if value is None:
        return None
    if known.kind is Kind.TIME:
        return _same(value.astimezone(judged.program.days.zone).isoformat(sep=" ", timespec="seconds"), known.kind)
    if known.kind is Kind.ENUM:
        return Shown(known.values[value], value, value, known.kind)
    return shown_value(value, known.kind)


def _same(text: str, kind: Kind) -> Shown:
    if len(text) > LONGEST:
        text = text[: LONGEST - 1] + "…"
    return Shown(text, text, text, kind)


def _number(text: str, mark: str, kind: Kind) -> Shown:
    number = Decimal(text)
    separated = f"{mark}{number:,f}" if kind is Kind.MONEY or abs(number) >= _SEPARATED else mark + text
    return Shown(separated, separated, text, kind)
