"""Working days in the database: the calendar of the rule set, from which the views make deadlines.

Days are numbered by how many working days there were, so working days between two days are a difference of two numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import psycopg
from psycopg import sql

from treasury_watch.adapters.cases.database import SCHEMA, DatabaseError, parameters, told
from treasury_watch.adapters.settings import Settings
from treasury_watch.rules.schema import Calendar, RuleSet

NAME: Final = "cn"  # of the calendar, where a rule set has several

Day = tuple[date, bool, int]  # whether it is worked, and the working days up to it, included


def calendar_of(ruleset: RuleSet) -> Calendar | None:
    """The calendar by which cases are decided: the only one, or the one with our name."""
    calendars = ruleset.calendars
    return next(iter(calendars.values())) if len(calendars) == 1 else calendars.get(NAME)


def days(calendar: Calendar) -> Iterator[Day]:
    """The days of its last years without a gap: across a year that is not known nothing can be counted."""
    last = max(calendar.years)
    first = last
    while first - 1 in calendar.years:
        first -= 1
    day, number = date(first, 1, 1), 0
    while day.year <= last:
        working = bool(calendar.works(day))
        number += working
        yield day, working, number
        day += timedelta(days=1)


def keep(settings: Settings, calendar: Calendar) -> bool:
    """Puts the days of a calendar in place of those that are there; whether they are others. Needs the owner's login.

    Raises DatabaseError.
    """
    wanted = list(days(calendar))
    try:
        with psycopg.connect(**parameters(settings)) as connection:
            connection.execute(sql.SQL(f"LOCK TABLE {SCHEMA}.calendar IN EXCLUSIVE MODE"))
            query = f"SELECT day, working, number FROM {SCHEMA}.calendar ORDER BY day"
            if connection.execute(sql.SQL(query)).fetchall() == wanted:
                return False
            connection.execute(sql.SQL(f"DELETE FROM {SCHEMA}.calendar"))
            with connection.cursor().copy(sql.SQL(f"COPY {SCHEMA}.calendar (day, working, number) FROM STDIN")) as copy:
                for day in wanted:
                    copy.write_row(day)
            connection.execute(sql.SQL(f"ANALYZE {SCHEMA}.calendar"))
    except psycopg.Error as error:
        raise DatabaseError(told(error)) from error
    return True
