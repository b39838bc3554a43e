"""Calendars: what the notice of each year says, and what nobody has said yet."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.rules.texts import HEAD
from treasury_watch.adapters.rulefiles import default_rules, load
from treasury_watch.rules import check, read
from treasury_watch.rules.schema import Calendar

CALENDAR = """\
calendar: cn
owner: o@example.gov
years:
- year: 2026
  basis: 通知
  holidays:
  - {name: 元旦, from: 2026-01-01, to: 2026-01-03}
  working_days: [2026-01-04]
"""
RULE = """\
- id: HOURS-001
  revision: 1
  title: {zh: 非工作时间支付, en: Off hours}
  when: {not: {working_time: WORKING_TIME}}
  reason: {zh: 非工作时间, en: Off hours}
"""
OFFICE = '{calendar: cn, hours: "08:30-18:00"}'


@pytest.fixture(scope="module")
def cn() -> Calendar:
    return load(default_rules()).calendars["cn"]


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2025-01-01", False),
        ("2025-01-02", True),
        ("2025-01-26", True),  # a Sunday, worked before the Spring Festival
        ("2025-01-27", True),
        ("2025-01-28", False),
        ("2025-02-04", False),
        ("2025-02-05", True),
        ("2025-02-08", True),  # a Saturday
        ("2025-02-09", False),
        ("2025-10-08", False),
        ("2025-10-11", True),
        ("2026-02-14", True),
        ("2026-02-23", False),
        ("2026-02-28", True),
        ("2026-10-10", True),
        ("2026-12-31", True),
        ("2027-01-04", None),
        ("2024-12-31", None),
    ],
)
def test_the_shipped_calendar_works_as_the_notices_say(cn: Calendar, day: str, works: bool | None) -> None:
    assert cn.works(date.fromisoformat(day)) is works


def test_a_year_has_as_many_working_days_as_its_notice_leaves(cn: Calendar) -> None:
    """Counted from the notices: 365 days less the weekends and the weekdays off, and the days made up."""
    for year, expected in ((2025, 248), (2026, 248)):
        days = [date(year, 1, 1) + timedelta(days=n) for n in range(365)]
        assert sum(cn.works(day) is True for day in days) == expected


def found(
    calendar: str = CALENDAR, working_time: str = '{calendar: cn, hours: "08:30-18:00"}'
) -> list[tuple[str, int]]:
    rules = HEAD + RULE.replace("WORKING_TIME", working_time)
    _, diagnostics = read({"rules.yaml": rules.encode(), "calendars/cn.yaml": calendar.encode()})
    return [(each.code, each.span.line) for each in diagnostics]


@pytest.mark.parametrize(
    ("written", "instead", "code", "line"),
    [
        ("to: 2026-01-03", "to: 2025-12-31", "TW404", 7),
        ("to: 2026-01-03", "to: 2026-12-31", "TW404", 7),
        ("from: 2026-01-01, to: 2026-01-03", "from: 2025-01-01, to: 2025-01-03", "TW404", 7),
        ("[2026-01-04]", "[2027-01-03]", "TW404", 8),
        ("[2026-01-04]", "[2026-01-05]", "TW404", 8),
        ("[2026-01-04]", "[soon]", "TW106", 8),
        ("  basis: 通知\n", "", "TW102", 4),
        ("year: 2026", "year: 20226", "TW108", 4),
        ("- year: 2026", "- year: 2026\n  year: 2026", "TW006", 5),
        ("calendar: cn", "calendar: china", "TW212", 10),
    ],
)
def test_what_is_wrong_with_a_calendar_is_pointed_at(written: str, instead: str, code: str, line: int) -> None:
    assert found() == []
    assert (code, line) in found(CALENDAR.replace(written, instead))


@pytest.mark.parametrize(
    ("working_time", "code"),
    [
        ('{calendar: us, hours: "08:30-18:00"}', "TW212"),
        ('{calendar: cn, hours: "18:00-08:30"}', "TW108"),
        ('{calendar: cn, hours: "08:30-08:30"}', "TW108"),
        ('{calendar: cn, hours: "08:30-24:01"}', "TW108"),
        ('{calendar: cn, hours: "8:30-18:00"}', "TW108"),
        ("{calendar: cn}", "TW102"),
        ("always", "TW104"),
    ],
)
def test_what_is_wrong_with_working_time_is_pointed_at(working_time: str, code: str) -> None:
    assert [each for each, _ in found(working_time=working_time)] == [code]


@pytest.mark.parametrize(
    ("as_of", "severities"),
    [
        (date(2026, 6, 1), []),
        (date(2026, 11, 30), []),
        (date(2026, 12, 1), ["warning"]),  # next year is near, and its notice is published in November
        (date(2027, 1, 1), ["error"]),
        (date(2025, 12, 31), ["error"]),
    ],
)
def test_a_calendar_without_the_year_is_found_by_check(as_of: date, severities: list[str]) -> None:
    rules = HEAD + RULE.replace("WORKING_TIME", OFFICE)
    files = {"rules.yaml": rules.encode(), "calendars/cn.yaml": CALENDAR.encode()}
    ruleset, diagnostics = read(files)
    assert ruleset is not None, diagnostics
    missing = [each for each in check(ruleset, files, as_of) if each.code == "TW506"]
    assert [each.severity for each in missing] == severities


def test_the_days_of_a_calendar_are_part_of_the_rule_set_s_hash() -> None:
    def hash_of(calendar: str) -> str:
        rules = HEAD + RULE.replace("WORKING_TIME", OFFICE)
        ruleset, _ = read({"rules.yaml": rules.encode(), "calendars/cn.yaml": calendar.encode()})
        assert ruleset is not None
        return ruleset.hash

    assert hash_of(CALENDAR) != hash_of(CALENDAR.replace("2026-01-04", "2026-01-10"))
    assert hash_of(CALENDAR) == hash_of(CALENDAR.replace("元旦", "新年"))
