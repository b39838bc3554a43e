"""Scalars read as what they should be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from treasury_watch.rules import scalars
from treasury_watch.rules.source import MappingNode, Node, Report, ScalarNode, compose


def node(source: str) -> Node:
    root = compose("f.yaml", f"x: {source}\n".encode(), Report())
    assert isinstance(root, MappingNode)
    return root.entries[0][1]


def outcome(read: Callable[[Node, Report], Any], source: str) -> Any:
    """The value, or the code of the one diagnostic."""
    report = Report()
    value = read(node(source), report)
    codes = [each.code for each in report.diagnostics]
    assert (value is None) == bool(codes)
    return value if value is not None else ",".join(codes)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("500000.00", Decimal("500000.00")),
        ("500000", Decimal("500000.00")),
        ("0.1", Decimal("0.10")),
        ("-0.01", Decimal("-0.01")),
        ('"500000.00"', Decimal("500000.00")),
        ("9999999999999999.99", Decimal("9999999999999999.99")),
        ("10000000000000000.00", "TW108"),
        ("12345678901234567890123456789", "TW108"),
        ("1234567890123456789012345678", "TW108"),
        ("0.001", "TW105"),
        ("5e5", "TW105"),
        ("5.0E+5", "TW105"),
        ("1_000", "TW105"),
        ("1,000.00", "TW105"),
        ("010101", "TW105"),
        ("0x1F", "TW105"),
        ("16:30", "TW105"),
        ("+5", "TW105"),
        (".5", "TW105"),
        ("5.", "TW105"),
        (".inf", "TW105"),
        (".nan", "TW105"),
        ("五", "TW105"),
        ("５", "TW105"),
        ('"1,000.00"', "TW105"),
        ("true", "TW105"),
        ("", "TW104"),
        ("~", "TW104"),
        ("[1]", "TW104"),
        ("{a: 1}", "TW104"),
    ],
)
def test_money_is_exact_yuan_with_two_places(source: str, expected: Any) -> None:
    assert outcome(scalars.money, source) == expected


def test_money_keeps_its_two_places() -> None:
    assert str(outcome(scalars.money, "500000")) == "500000.00"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("7", 7),
        ("0.5", Decimal("0.5")),
        ("0.50", Decimal("0.50")),
        ('"7"', "TW105"),
        ("07", "TW105"),
        ("08", "TW105"),
        ("0b1", "TW105"),
    ],
)
def test_numbers_are_exact_and_unquoted(source: str, expected: Any) -> None:
    assert outcome(scalars.number, source) == expected


@pytest.mark.parametrize(
    ("source", "expected"), [("1", 1), ("9", 9), ("0", "TW108"), ("10", "TW108"), ("1.0", "TW108")]
)
def test_whole_numbers_have_bounds(source: str, expected: Any) -> None:
    assert outcome(lambda each, report: scalars.whole(each, report, 1, 9), source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("张敏", "张敏"),
        ('"101001"', "101001"),
        ("'no'", "no"),
        ("2026 采购", "2026 采购"),
        ("72h", "72h"),
        ("101001", "TW007"),
        ("010101", "TW007"),
        ("6.2E+17", "TW007"),
        ("1.5", "TW007"),
        ("2026-01-01", "TW007"),
        ("2026-01-01T00:00:00+08:00", "TW007"),
        ("16:30", "TW007"),
        ("no", "TW007"),
        ("Yes", "TW007"),
        ("on", "TW007"),
        ("true", "TW007"),
        ("n", "n"),
        ('" "', "TW108"),
        ("null", "TW104"),
        ('"' + "长" * 1000 + '"', "长" * 1000),
        ('"' + "长" * 1001 + '"', "TW108"),
    ],
)
def test_texts_that_look_like_something_else_are_quoted(source: str, expected: Any) -> None:
    assert outcome(scalars.text, source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [("true", True), ("false", False), ("True", "TW104"), ("yes", "TW104"), ('"true"', "TW104"), ("1", "TW104")],
)
def test_flags_are_true_or_false_and_nothing_else(source: str, expected: Any) -> None:
    assert outcome(scalars.flag, source) == expected or expected is False


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("2026-02-28", date(2026, 2, 28)),
        ('"2026-02-28"', date(2026, 2, 28)),
        ("2026-02-29", "TW106"),
        ("2026-2-28", "TW106"),
        ("20260228", "TW106"),
        ("2026-02-28T00:00:00Z", "TW106"),
        ("", "TW104"),
    ],
)
def test_days_are_calendar_days(source: str, expected: Any) -> None:
    assert outcome(scalars.day, source) == expected


@pytest.mark.parametrize(
    ("source", "good"),
    [
        ("2026-03-02T09:00:00+08:00", True),
        ("2026-03-02T09:00:00.123456Z", True),
        ("2026-03-02T09:00:00", False),
        ("2026-03-02 09:00:00+08:00", False),
        ("2026-03-02T25:00:00Z", False),
        ("[a]", False),
    ],
)
def test_moments_have_an_offset(source: str, good: bool) -> None:
    assert outcome(scalars.moment, source) == (source if good else "TW104" if source == "[a]" else "TW106")


@pytest.mark.parametrize(
    ("source", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("72h", 259_200),
        ("7d", 604_800),
        ("1d2h3m4s", 93_784),
        ("3653d", 3653 * 86_400),
        ("3653d1s", None),
        ("0h", None),
        ("72", None),
        ("72 h", None),
        ("1h1d", None),
        ("-1h", None),
        ("1.5h", None),
        ("七天", None),
        ('""', None),
    ],
)
def test_durations_say_their_unit(source: str, seconds: int | None) -> None:
    assert outcome(scalars.duration, source) == ("TW107" if seconds is None else seconds * 1_000_000)


def test_a_step_may_be_at_zero() -> None:
    report = Report()
    assert scalars.duration(node("0h"), report, zero=True) == 0
    assert scalars.duration(node('""'), report, zero=True) is None
    assert [each.code for each in report.diagnostics] == ["TW107"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("7", 7),
        ("0.5", Decimal("0.5")),
        ("true", True),
        ("2026-01-01", "TW007"),
        ("采购", "采购"),
        ('"7"', "7"),
        ("1e5", "TW105"),
        ("no", "TW007"),
        ("[a]", "TW104"),
    ],
)
def test_a_literal_is_what_it_plainly_is(source: str, expected: Any) -> None:
    assert outcome(scalars.literal, source) == expected


@pytest.mark.parametrize(("source", "expected"), [("2026-01-01", date(2026, 1, 1)), ("2026-13-01", "TW106"), ("7", 7)])
def test_a_literal_may_be_a_date_where_dates_are_expected(source: str, expected: Any) -> None:
    assert outcome(lambda each, report: scalars.literal(each, report, dates=True), source) == expected


def test_null_is_a_null_only_unquoted() -> None:
    assert all(each.is_null for each in map(node, ("", "~", "null")) if isinstance(each, ScalarNode))
    quoted = node('"null"')
    assert isinstance(quoted, ScalarNode)
    assert not quoted.is_null
