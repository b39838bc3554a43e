"""Warming (预热): from which event time on the entries of each series are whole, and until when that matters.

A window that begins before the history of its series is *missing*, never silently short (ADR 0016). What is said here
in microseconds of event time is on the safe side where a period's length varies; whether one window of one instruction
is whole is asked of the window itself, by the generated rules and by `conditions.Judged.warming`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from treasury_watch.domain.calendar import Days, year_start
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.plan import Series, features, needed_by, series_key
from treasury_watch.rules.schema import Condition, Rule

ANCIENT = -(2**63)  # before every event time
LAST = 2**63 - 1  # after every event time
_LONGEST_DAYS = 3 * 366 + 1


class History:
    """How far back the series of a rule set are asked for, and which ask for others in their `where`."""

    def __init__(self, series: Sequence[Series], max_lateness_us: int) -> None:
        self.max_lateness_us = max_lateness_us
        self.reaches = [each.reach_us + max_lateness_us for each in series]
        index = {each.key: each.index for each in series}
        self._inner = [
            [(index[series_key(inner)], inner.reach_us) for inner in _aggregates(each.key.where)] for each in series
        ]

    def whole_from(self, since: Iterable[int], watermark: int) -> list[int]:
        """From when on the series of a scope are whole, given from when on each has been kept.

        A series whose `where` asks for a window is not whole as long as an acceptable instruction may come whose own
        window is not: it was not counted for want of an answer. What `where` asks for comes before it.
        """
        whole = list(since)
        for index, inner in enumerate(self._inner):
            for asked, reach_us in inner:
                answered = min(whole[asked] + reach_us, LAST)
                if whole[asked] > ANCIENT and answered > watermark - self.max_lateness_us + 1:
                    whole[index] = max(whole[index], answered)
        return whole

    def warming(self, since: Sequence[int], watermark: int, late: bool = True) -> frozenset[int]:
        """The series of which an acceptable instruction can still ask for more than there is; `late` ones too."""
        upto = watermark if late else watermark + self.max_lateness_us
        return frozenset(
            index
            for index, reach_us in enumerate(self.reaches)
            if since[index] > ANCIENT and since[index] > upto - reach_us
        )


def covered_from(rule: Rule, since: int, days: Days) -> int:
    """The first event time from which on every window that a rule asks for begins at `since` or later.

    Of a fiscal-year total: that of an instruction of its own calendar year.
    """
    return max((_covered(each, since, days) for each in needed_by(rule)), default=ANCIENT)


def _covered(aggregate: Aggregate, since: int, days: Days) -> int:
    for inner in _aggregates(aggregate.where):
        since = max(since, _covered(inner, since, days))
    if aggregate.period is None:
        return since + (aggregate.window_us or 0)
    at = since
    for _ in range(_LONGEST_DAYS):
        day = days.of(at)
        match aggregate.period:
            case "day":
                start = day.day_us
            case "week":
                start = day.week_us
            case "month":
                start = day.month_us
            case "quarter":
                start = day.quarter_us
            case "fiscal_year":
                start = year_start(days.zone.key, day.year - 1)
        if start >= since:
            break
        at = day.next_day_us
    return at


def _aggregates(where: Condition | None) -> list[Aggregate]:
    return [each for each in features(where) if isinstance(each, Aggregate)]
