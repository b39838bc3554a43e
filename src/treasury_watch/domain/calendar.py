"""Local days (本地日): which day, week, month, quarter and year an instant falls in, in a rule set's zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from treasury_watch.domain.payment import microseconds, moment_of

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


@dataclass(frozen=True, slots=True)
class LocalDay:
    """One local day and the instants (microseconds since the epoch) at which it and the periods around it start."""

    ordinal: int  # date.toordinal()
    year: int
    day_us: int
    week_us: int  # Monday
    month_us: int
    quarter_us: int
    next_day_us: int

    @property
    def date(self) -> date:
        return date.fromordinal(self.ordinal)


class Days:
    """Finds the local day of an instant. Exact through every change of the zone's offset; remembers what it has found.

    Instants whose local date would fall outside the years 1 to 9999 raise OverflowError.
    """

    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self._by_hour: dict[int, LocalDay] = {}
        self._by_ordinal: dict[int, LocalDay] = {}

    def of(self, us: int) -> LocalDay:
        """The local day of an instant."""
        hour = us // HOUR_US
        day = self._by_hour.get(hour)
        if day is None:
            day = self._day(moment_of(us).astimezone(self.zone).date())
            # Only an hour that lies in one day may be remembered: zones with odd offsets break days within hours.
            if day.day_us <= hour * HOUR_US and (hour + 1) * HOUR_US <= day.next_day_us:
                if len(self._by_hour) > 100_000:
                    self._by_hour.clear()
                    self._by_ordinal.clear()
                self._by_hour[hour] = day
        return day

    def midnight(self, day: date) -> int:
        """The instant at which a local day starts; where its midnight is skipped by a zone change, the first instant
        after.
        """
        return microseconds(datetime(day.year, day.month, day.day, tzinfo=self.zone))

    def _day(self, day: date) -> LocalDay:
        found = self._by_ordinal.get(day.toordinal())
        if found is None:
            found = LocalDay(
                ordinal=day.toordinal(),
                year=day.year,
                day_us=self.midnight(day),
                week_us=self.midnight(day - timedelta(days=day.weekday()))
                if day.toordinal() > 7
                else self.midnight(day),
                month_us=self.midnight(day.replace(day=1)),
                quarter_us=self.midnight(day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)),
                next_day_us=self.midnight(day + timedelta(days=1)),
            )
            self._by_ordinal[found.ordinal] = found
        return found


@lru_cache(4096)
def year_start(zone: str, year: int) -> int:
    """The instant (microseconds since the epoch) at which a calendar year starts in a zone."""
    return Days(zone).midnight(date(max(year, 1), 1, 1))
