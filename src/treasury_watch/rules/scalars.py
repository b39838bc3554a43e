"""Scalars read as what they should be: text, exact numbers, dates, durations. YAML's guesses are errors with a hint.

Each function gives the value, or `None` after telling the author what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from treasury_watch.rules import limits
from treasury_watch.rules.diagnostics import use_one_of
from treasury_watch.rules.schema import Scalar
from treasury_watch.rules.source import MappingNode, Node, Report, ScalarNode, SequenceNode

MAX_TEXT = limits.TEXT.most
MAX_DIGITS = limits.DIGITS.most
SECOND_US = 1_000_000
MAX_DURATION_US = 3653 * 86_400 * SECOND_US  # ten years

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(_DATE.pattern + r"T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[-+][0-9]{2}:[0-9]{2})")
_DURATION = re.compile(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,9})s)?")
_UNIT_SECONDS = (86_400, 3600, 60, 1)

_TYPED = (
    (_NUMBER, "a number"),
    (_DATE, "a date"),
    (_MOMENT, "a time"),
    (re.compile("true|false"), "true or false"),
)
# What YAML 1.1 makes of words and digits behind the author's back, and what to tell them.
_TRAPS = (
    (re.compile(r"[-+]?0[0-7_]+"), "an octal number"),
    (re.compile(r"[-+]?0[0-9]+"), "a number with a leading zero"),
    (re.compile(r"[-+]?0x[0-9a-fA-F_]+"), "a hexadecimal number"),
    (re.compile(r"[-+]?0b[01_]+"), "a binary number"),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), "a number to the base 60"),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*\.?[0-9_]*)[eE][-+]?[0-9]+"), "a number with an exponent"),
    (re.compile(r"[-+]?[0-9][0-9_,]*[_,][0-9_,]*(\.[0-9_]*)?"), "a number with separators"),
    (re.compile(r"\+[0-9.]+|[-+]?\.[0-9]+|[-+]?[0-9]+\."), "a number in an unusual form"),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), "not a finite number"),
    (re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|True|TRUE|False|FALSE"), "true or false"),
)
_LONG_WINDED = ("a number with an exponent", "a number with separators")


def trap(node: ScalarNode) -> str | None:
    """What YAML would silently read an unquoted scalar as, where that is not what it looks like."""
    if not node.plain:
        return None
    return next((what for pattern, what in _TRAPS if pattern.fullmatch(node.text)), None)


def scalar(node: Node, report: Report, expected: str) -> ScalarNode | None:
    """A scalar that is present; `expected` completes "expected …"."""
    if isinstance(node, MappingNode | SequenceNode):
        found = "a mapping" if isinstance(node, MappingNode) else "a list"
        report.error(node.span, "TW104", f"{found} stands here", f"expected {expected}")
        return None
    if node.is_null:
        report.error(node.span, "TW104", "nothing stands here", f"expected {expected}")
        return None
    if len(node.text) > MAX_TEXT:
        report.error(node.span, "TW108", f"a text of {len(node.text):,} characters", f"at most {MAX_TEXT:,}")
        return None
    return node


def text(node: Node, report: Report) -> str | None:
    """A text that is not empty. Unquoted, it must not look like a number, a date or a truth value."""
    found = scalar(node, report, "a text")
    if found is None:
        return None
    if not found.text.strip():
        report.error(found.span, "TW108", "an empty text", "expected a text")
        return None
    if found.plain:
        what = trap(found)
        if what is None:
            what = next((name for pattern, name in _TYPED if pattern.fullmatch(found.text)), None)
        if what is not None:
            _quote_it(found, what, report)
            return None
    return found.text


def word(node: Node, report: Report, allowed: Iterable[str], what: str) -> str | None:
    """One of the allowed words; `what` names the key for the message."""
    words = tuple(allowed)
    found = scalar(node, report, f"one of {', '.join(words)}")
    if found is None:
        return None
    if found.text not in words:
        report.error(found.span, "TW103", f"`{what}` is `{found.text}`", use_one_of(words))
        return None
    return found.text


def number(node: Node, report: Report, expected: str = "a number") -> int | Decimal | None:
    """An exact number: an int, or the Decimal that the source text says."""
    found = scalar(node, report, expected)
    if found is None:
        return None
    if found.plain and _NUMBER.fullmatch(found.text):
        if len(found.text) > MAX_DIGITS:
            report.error(found.span, "TW108", "a number of too many digits", f"at most {MAX_DIGITS}")
            return None
        return Decimal(found.text) if "." in found.text else int(found.text)
    what = trap(found)
    if what in _LONG_WINDED:
        report.error(found.span, "TW105", f"`{found.text}` is {what}", "write the digits out, as in 500000.00")
        return None
    if what is not None:
        hint = f"expected {expected}, in plain digits"
        report.error(found.span, "TW105", f"YAML reads `{found.text}` as {what}", hint)
        return None
    hint = f"expected {expected}, without quotes" if _NUMBER.fullmatch(found.text) else f"expected {expected}"
    report.error(found.span, "TW105", f"`{found.text}` is not a number", hint)
    return None


def whole(node: Node, report: Report, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`, both included."""
    value = number(node, report, "a whole number")
    if value is None:
        return None
    if isinstance(value, Decimal) or not low <= value <= high:
        report.error(node.span, "TW108", f"`{value}`", f"expected a whole number from {low} to {high}")
        return None
    return value


def money(node: Node, report: Report) -> Decimal | None:
    """Yuan, exact, with two places. Quotes are allowed, since messages carry amounts as text."""
    if isinstance(node, ScalarNode) and not node.plain and _NUMBER.fullmatch(node.text):
        node = ScalarNode(node.text, True, node.span)
    value = number(node, report, "an amount in yuan, as in 500000.00")
    return None if value is None else yuan(value, node, report)


def yuan(value: int | Decimal, node: Node, report: Report) -> Decimal | None:
    """A number as an amount: at most two places, under 10^16 either way."""
    exact = Decimal(value)
    if abs(exact) >= 10**16:
        report.error(node.span, "TW108", f"`{value}` is no amount that can be paid", "amounts are under 10^16")
        return None
    if exact != round(exact, 2):
        report.error(node.span, "TW105", f"`{value}` has more than two places", "amounts are yuan with two places")
        return None
    return round(exact, 2)


def flag(node: Node, report: Report) -> bool | None:
    """`true` or `false`, and nothing else that YAML takes for them."""
    found = scalar(node, report, "`true` or `false`")
    if found is None:
        return None
    if not found.plain or found.text not in ("true", "false"):
        report.error(found.span, "TW104", f"`{found.text}` is neither true nor false", "use `true` or `false`")
        return None
    return found.text == "true"


def day(node: Node, report: Report) -> date | None:
    """A calendar day."""
    found = scalar(node, report, "a date, as in 2026-01-31")
    if found is None:
        return None
    try:
        if _DATE.fullmatch(found.text):
            return date.fromisoformat(found.text)
    except ValueError:
        pass
    report.error(found.span, "TW106", f"`{found.text}` is not a date", "expected a date, as in 2026-01-31")
    return None


def moment(node: Node, report: Report) -> str | None:
    """The source text of an RFC 3339 time with its offset."""
    expected = "a time with its offset, as in 2026-03-02T09:00:00+08:00"
    found = scalar(node, report, expected)
    if found is None:
        return None
    try:
        if _MOMENT.fullmatch(found.text):
            datetime.fromisoformat(found.text)
            return found.text
    except ValueError:
        pass
    report.error(found.span, "TW106", f"`{found.text}` is not such a time", f"expected {expected}")
    return None


def duration(node: Node, report: Report, *, zero: bool = False) -> int | None:
    """Microseconds of a duration such as `72h`, `7d`, `1h30m` or `90s`; a day is 24 hours."""
    expected = "a duration, as in 72h, 7d, 1h30m or 90s"
    found = scalar(node, report, expected)
    if found is None:
        return None
    match = _DURATION.fullmatch(found.text)
    if not match or not found.text:
        hint = (
            f"say the unit: {found.text}d, {found.text}h or {found.text}m"
            if found.text.isdecimal()
            else f"expected {expected}"
        )
        report.error(found.span, "TW107", f"`{found.text}` is not a duration", hint)
        return None
    us = (
        sum(int(count or 0) * seconds for count, seconds in zip(match.groups(), _UNIT_SECONDS, strict=True)) * SECOND_US
    )
    if us > MAX_DURATION_US or (us == 0 and not zero):
        report.error(
            found.span, "TW107", f"`{found.text}` is too {'long' if us else 'short'}", "at least 1s, at most 3653d"
        )
        return None
    return us


def literal(node: Node, report: Report, *, dates: bool = False) -> Scalar | None:
    """Whatever a scalar plainly is: a number, a truth value, with `dates` a date, else a text."""
    found = scalar(node, report, "a value")
    if found is None:
        return None
    if found.plain:
        if _NUMBER.fullmatch(found.text) or trap(found) in _LONG_WINDED:
            return number(found, report)
        if found.text in ("true", "false"):
            return found.text == "true"
        if dates and _DATE.fullmatch(found.text):
            return day(found, report)
        if (what := trap(found)) == "true or false":
            _quote_it(found, what, report, or_flag=True)
            return None
    return text(found, report)


def _quote_it(node: ScalarNode, what: str, report: Report, *, or_flag: bool = False) -> None:
    """`or_flag`: a truth value may stand here as well, so that nobody but the author knows what was meant."""
    quoted = f'"{node.text}"'
    if or_flag:
        hint = f"quote it: {quoted}, or use `true` or `false`"
        report.error(node.span, "TW007", f"YAML reads `{node.text}` as {what}", hint)
    else:
        report.error(node.span, "TW007", f"YAML reads `{node.text}` as {what}", f"quote it: {quoted}", quoted)
