"""Calendars (日历): which days are worked, by the notice of each year. A year without a notice is not guessed."""

from __future__ import annotations

from datetime import date
from types import MappingProxyType
from typing import Any

from treasury_watch.rules.schema import Calendar, CalendarYear, Span
from treasury_watch.rules.shapes import IDENTIFIER, Day, Key, Line, ListOf, Raw, Record, Whole
from treasury_watch.rules.source import MappingNode, Node, Report, SequenceNode

HOLIDAY = Record(
    "holiday",
    (
        Key("name", Line(), "what it is called", "节假日名称", True),
        Key("from", Day(), "the first day off", "放假第一天", True),
        Key("to", Day(), "the last day off, included", "放假最后一天（含）", True),
    ),
)
CALENDAR_YEAR = Record(
    "year of a calendar",
    (
        Key("year", Whole(1900, 2200), "the calendar year", "公历年份", True),
        Key("basis", Line(), "the notice that says its holidays", "公布放假安排的通知", True),
        Key(
            "holidays",
            ListOf(HOLIDAY),
            "days off; weekends are off without being named",
            "放假日期；周末休息无须列出",
            True,
        ),
        Key("working_days", ListOf(Day()), "days at weekends on which offices are open", "周末调休上班的日期", True),
    ),
)
CALENDAR_FILE = Record(
    "calendar",
    (
        Key("calendar", IDENTIFIER, "its name, as `working_time` says it", "日历名称，供 `working_time` 引用", True),
        Key("owner", Line(), "who answers for it", "负责人", True),
        Key(
            "years",
            ListOf(Raw("calendar_year"), at_least=1),
            "the years whose notice has been published",
            "已公布放假安排的年份",
            True,
        ),
    ),
)
_LONGEST = 60  # days: a longer holiday is a slip of the pen


def read_calendar(root: MappingNode, report: Report) -> Calendar | None:
    """A calendar, or `None` after telling its author what is wrong."""
    before = len(report.diagnostics)
    read = CALENDAR_FILE.read(root, report) or {}
    years: dict[int, CalendarYear] = {}
    for node in read.get("years", ()):
        so_far = len(report.diagnostics)
        own = CALENDAR_YEAR.read(node, report) or {}
        if len(report.diagnostics) > so_far or not isinstance(node, MappingNode):
            continue
        year = own["year"]
        if year in years:
            report.error(node.span, "TW110", f"the year {year} stands twice", "keep one of them")
        years[year] = CalendarYear(own["basis"], _days_off(own, node, report), _days_made_up(own, node, report))
    if len(report.diagnostics) > before:
        return None
    return Calendar(read["calendar"], read["owner"], MappingProxyType(dict(sorted(years.items()))))


def _days_off(read: dict[str, Any], node: MappingNode, report: Report) -> frozenset[int]:
    days: set[int] = set()
    for each, at in zip(read["holidays"], _nodes(node, "holidays"), strict=True):
        first, last = each["from"], each["to"]
        if not first <= last or (last - first).days >= _LONGEST:
            report.error(at, "TW404", f"`{each['name']}` ends on {last} and starts on {first}", "`to` is its last day")
        elif read["year"] not in (first.year, last.year):
            report.error(at, "TW404", f"`{each['name']}` is not in {read['year']}", "move it to its year")
        else:
            days.update(range(first.toordinal(), last.toordinal() + 1))
    return frozenset(days)


def _days_made_up(read: dict[str, Any], node: MappingNode, report: Report) -> frozenset[int]:
    for day, at in zip(read["working_days"], _nodes(node, "working_days"), strict=True):
        if day.year != read["year"]:
            report.error(at, "TW404", f"{day} is not in {read['year']}", "move it to its year")
        elif day.weekday() < 5:
            report.error(at, "TW404", f"{day} is {_WEEKDAYS[day.weekday()]}", "it is worked without being named")
    return frozenset(day.toordinal() for day in read["working_days"])


def _nodes(node: MappingNode, key: str) -> list[Span]:
    listed: Node | None = node.get(key)
    return [item.span for item in listed.items] if isinstance(listed, SequenceNode) else []


def years_without(calendar: Calendar, since: date, until: date) -> list[int]:
    """The calendar years from one day to another, both included, that the calendar does not have."""
    return [year for year in range(since.year, until.year + 1) if year not in calendar.years]


_WEEKDAYS = ("a Monday", "a Tuesday", "a Wednesday", "a Thursday", "a Friday")
