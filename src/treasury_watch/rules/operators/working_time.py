"""`working_time`: whether an instruction was submitted while offices are open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from treasury_watch.domain.calendar import DAY_US, LocalDay
from treasury_watch.domain.payment import Kind, moment_of
from treasury_watch.rules.diagnostics import did_you_mean
from treasury_watch.rules.evaluation import Coder, Judging, Truth
from treasury_watch.rules.operators.base import Operator
from treasury_watch.rules.schema import Calendar
from treasury_watch.rules.scope import Scope
from treasury_watch.rules.shapes import IDENTIFIER, JsonSchema, Key, Name, Record
from treasury_watch.rules.source import MappingNode, Node
from treasury_watch.rules.types import Type

MINUTE_US = 60_000_000
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")
WORKING_TIME = Record(
    "working time",
    (
        Key(
            "calendar",
            IDENTIFIER,
            "a calendar of the rule set, for holidays and make-up working days",
            "规则集中的日历，用于节假日和调休上班日",
            True,
        ),
        Key(
            "hours",
            Name(_HOURS.pattern, 'hours such as "08:30-18:00"'),
            "from (included) to (excluded)",
            "起（含）止（不含）时刻",
            True,
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Hours:
    """The right-hand side: a calendar and the wall-clock minutes since midnight, [opens, closes)."""

    calendar: str
    opens: int
    closes: int


@dataclass(frozen=True, slots=True)
class WorkingTime(Operator):
    """About the event time: no field is named. Missing in a year that the calendar does not have."""

    own_subject = "event_time"

    def schema(self) -> JsonSchema:
        return {"$ref": "#/$defs/working_time"}

    def read(self, node: Node, wanted: Type, scope: Scope, in_where: bool) -> Hours | None:
        before = len(scope.report.diagnostics)
        read = WORKING_TIME.read(node, scope.report) or {}
        if len(scope.report.diagnostics) > before or not isinstance(node, MappingNode):
            return None
        calendar, hours = node.get("calendar") or node, node.get("hours") or node
        if read["calendar"] not in scope.reference.calendars:
            if scope.reference.whole:
                hint = did_you_mean(read["calendar"], scope.reference.calendars)
                scope.report.error(calendar.span, "TW212", f"there is no calendar `{read['calendar']}`", hint)
            return None
        from_hour, from_minute, to_hour, to_minute = map(int, _HOURS.fullmatch(read["hours"]).groups())  # type: ignore[union-attr]
        opens, closes = from_hour * 60 + from_minute, to_hour * 60 + to_minute
        if not opens < closes <= 24 * 60:
            hint = "expected an earlier and a later time of one day, up to 24:00"
            scope.report.error(hours.span, "TW108", f"`{read['hours']}` are no hours", hint)
            return None
        return Hours(read["calendar"], opens, closes)

    def code(self, coder: Coder, x: str, kind: Kind, operand: Any, strict: bool, guards: list[str]) -> str:
        ruleset = coder.ruleset
        office = coder.constant(
            ("office", operand), lambda: Office(ruleset.calendars[operand.calendar], operand, ruleset.timezone)
        )
        asked = coder.once(("office", operand), "o", lambda: f"{office}.open(t, day)")
        return f"({asked}) is {'True' if strict else 'not False'}"

    def holds(self, judged: Judging, left: Any, kind: Kind, operand: Any) -> Truth:
        works = judged.ruleset.calendars[operand.calendar].works(judged.day.date)
        if not works:
            return works
        clock = moment_of(judged.us).astimezone(ZoneInfo(judged.ruleset.timezone))
        return bool(operand.opens <= clock.hour * 60 + clock.minute < operand.closes)

    def absent(self, judged: Judging, operand: Any) -> Iterator[str]:
        if judged.ruleset.calendars[operand.calendar].works(judged.day.date) is None:
            yield f"{operand.calendar}.{judged.day.year}"


class Office:
    """The same for generated code: which local days are worked is asked once a day."""

    def __init__(self, calendar: Calendar, hours: Hours, timezone: str) -> None:
        self._opens_us, self._closes_us = hours.opens * MINUTE_US, hours.closes * MINUTE_US
        self._zone = ZoneInfo(timezone)
        self._works = lru_cache(4096)(lambda ordinal: calendar.works(date.fromordinal(ordinal)))

    def open(self, us: int, day: LocalDay) -> bool | None:
        """Whether offices are open at an instant (microseconds) of a local day; `None` if nobody knows."""
        works = self._works(day.ordinal)
        if not works:
            return works
        if day.next_day_us - day.day_us == DAY_US:
            wall_us = us - day.day_us
        else:  # the clock is turned on this day
            clock = moment_of(us).astimezone(self._zone)
            wall_us = (clock.hour * 60 + clock.minute) * MINUTE_US
        return self._opens_us <= wall_us < self._closes_us
