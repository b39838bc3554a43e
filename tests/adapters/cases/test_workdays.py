"""Deadlines in working days: what the calendar makes of weekends, holidays, days that are made up for, years' ends."""

from __future__ import annotations

from datetime import date, datetime
from types import MappingProxyType
from typing import Any

import psycopg
import pytest

from tests.adapters.cases.records import case, disposition
from treasury_watch.adapters.cases import workdays
from treasury_watch.adapters.cases.database import parameters
from treasury_watch.adapters.cases.rows import Reading
from treasury_watch.adapters.cases.store import Store
from treasury_watch.adapters.rulefiles import default_rules, load
from treasury_watch.adapters.settings import Settings
from treasury_watch.rules.schema import Calendar, CalendarYear

CALENDAR = workdays.calendar_of(load(default_rules()))
WITHOUT = CalendarYear("no notice", frozenset(), frozenset())


def years(*numbers: int) -> Calendar:
    return Calendar("cn", "a@b", MappingProxyType(dict.fromkeys(numbers, WITHOUT)))


def test_days_are_numbered_by_the_working_days_up_to_them() -> None:
    numbered = {day: (working, number) for day, working, number in workdays.days(years(2026))}
    assert numbered[date(2026, 1, 1)] == (True, 1)  # a Thursday
    assert numbered[date(2026, 1, 4)] == (False, 2)
    assert numbered[date(2026, 1, 5)] == (True, 3)
    assert len(numbered) == 365


def test_across_a_year_that_is_not_known_nothing_is_counted() -> None:
    assert next(workdays.days(years(2024, 2026, 2027)))[0] == date(2026, 1, 1)


@pytest.mark.postgresql
class TestViews:
    @pytest.fixture
    def kept(self, made: Settings) -> Settings:
        assert CALENDAR is not None
        assert workdays.keep(made, CALENDAR)
        assert not workdays.keep(made, CALENDAR)
        return made

    @pytest.mark.parametrize(
        ("decided", "due"),
        [
            ("2026-03-02T09:00:00+08:00", "2026-03-05"),  # Monday
            ("2026-03-02T23:59:59+08:00", "2026-03-05"),
            ("2026-03-02T16:00:00+00:00", "2026-03-06"),  # Tuesday already in China
            ("2026-03-05T09:00:00+08:00", "2026-03-10"),  # a weekend lies between
            ("2026-03-07T09:00:00+08:00", "2026-03-11"),  # came on a Saturday
            ("2026-02-12T09:00:00+08:00", "2026-02-24"),  # 13, 14 (a Saturday that is worked), then spring festival
            ("2025-12-31T09:00:00+08:00", "2026-01-06"),  # holidays to Saturday 3, Sunday 4 is worked
            ("2026-12-29T09:00:00+08:00", None),  # the third day is in a year that is not known
            ("2024-12-31T09:00:00+08:00", None),
        ],
    )
    async def test_a_case_is_due_three_working_days_after_its_day(
        self, kept: Settings, decided: str, due: str | None
    ) -> None:
        moment = datetime.fromisoformat(decided)
        await write(kept, case(0, event_time=decided, decided=moment))
        assert ask(kept, "SELECT due_day FROM cases.all_cases") == [(due and date.fromisoformat(due),)]

    @pytest.mark.parametrize(
        ("disposed", "taken", "in_time", "overdue"),
        [
            ("2026-02-12T18:00:00+08:00", 0, 1, 0),
            ("2026-02-14T09:00:00+08:00", 2, 1, 0),
            ("2026-02-20T09:00:00+08:00", 2, 1, 0),
            ("2026-02-24T23:59:59+08:00", 3, 1, 0),
            ("2026-02-25T00:00:00+08:00", 4, 0, 1),
            ("2026-02-11T09:00:00+08:00", 0, 1, 0),  # a clock that is wrong
        ],
    )
    async def test_what_people_took_is_counted_in_working_days(
        self, kept: Settings, disposed: str, taken: int, in_time: int, overdue: int
    ) -> None:
        decided = "2026-02-12T09:00:00+08:00"
        given = case(0, event_time=decided, decided=datetime.fromisoformat(decided))
        await write(kept, given, disposition(0, "I-0-0", decided_at=disposed))
        assert ask(kept, "SELECT working_days FROM cases.all_cases") == [(taken,)]
        query = "SELECT with_deadline, answered_in_time, overdue, median_working_days, p90_working_days"
        assert ask(kept, f"{query} FROM cases.timeliness") == [(1, in_time, overdue, taken, taken)]

    async def test_an_open_case_is_overdue_once_its_deadline_has_passed(self, kept: Settings) -> None:
        await write(kept, case(0, event_time="2025-03-03T09:00:00+08:00"))
        assert ask(kept, "SELECT cases, answered_in_time, overdue, median_working_days FROM cases.timeliness") == [
            (1, 0, 1, None)
        ]

    async def test_without_a_calendar_deadlines_are_not_guessed(self, made: Settings) -> None:
        await write(made, case(0), disposition(0, "I-0-0"))
        assert ask(made, "SELECT due_day, working_days FROM cases.all_cases") == [(None, None)]
        assert ask(made, "SELECT answered, with_deadline, answered_in_time, overdue FROM cases.timeliness") == [
            (1, 0, 0, 0)
        ]


async def write(settings: Settings, *records: Any) -> None:
    store = Store(parameters(settings), Reading(settings))
    await store.write(records)
    await store.close()


def ask(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.database()) as connection:
        return connection.execute(query.encode()).fetchall()
