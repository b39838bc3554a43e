"""Local days: which day an instant falls in, and when that day and the periods around it start."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treasury_watch.domain.calendar import DAY_US, HOUR_US, Days, LocalDay
from treasury_watch.domain.payment import microseconds, moment_of

SHANGHAI = Days("Asia/Shanghai")


def us(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))


def shown(instant: int, zone: str) -> str:
    """An instant as the zone's clock shows it."""
    return moment_of(instant).astimezone(ZoneInfo(zone)).isoformat()


def day_of(zone: str, text: str) -> LocalDay:
    return Days(zone).of(us(text))


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2025-12-31T15:59:59.999999Z", date(2025, 12, 31)),
        ("2025-12-31T16:00:00Z", date(2026, 1, 1)),
        ("1969-12-31T15:59:59.999999Z", date(1969, 12, 31)),
        ("1969-12-31T16:00:00Z", date(1970, 1, 1)),
    ],
)
def test_a_day_in_shanghai_starts_at_four_in_the_afternoon_utc(instant: str, day: date) -> None:
    assert SHANGHAI.of(us(instant)).date == day


def test_the_periods_around_a_day_start_on_monday_and_on_the_first() -> None:
    day = SHANGHAI.of(us("2025-08-21T10:00:00+08:00"))  # a Thursday
    assert (day.year, day.date) == (2025, date(2025, 8, 21))
    starts = (day.day_us, day.week_us, day.month_us, day.quarter_us, day.next_day_us)
    assert [shown(start, "Asia/Shanghai")[:19] for start in starts] == [
        "2025-08-21T00:00:00",
        "2025-08-18T00:00:00",
        "2025-08-01T00:00:00",
        "2025-07-01T00:00:00",
        "2025-08-22T00:00:00",
    ]


def test_a_week_reaches_over_the_turn_of_the_year() -> None:
    day = SHANGHAI.of(us("2026-01-02T00:00:00+08:00"))
    assert shown(day.week_us, "Asia/Shanghai") == "2025-12-29T00:00:00+08:00"
    assert shown(day.month_us, "Asia/Shanghai") == "2026-01-01T00:00:00+08:00"


@pytest.mark.parametrize(
    ("month", "quarter_start"), [(1, 1), (3, 1), (4, 4), (6, 4), (7, 7), (9, 7), (10, 10), (12, 10)]
)
def test_quarters_start_in_january_april_july_and_october(month: int, quarter_start: int) -> None:
    day = SHANGHAI.of(microseconds(datetime(2025, month, 15, tzinfo=UTC)))
    assert moment_of(day.quarter_us).astimezone(SHANGHAI.zone).date() == date(2025, quarter_start, 1)


@pytest.mark.parametrize(
    ("zone", "instant", "hours"),
    [
        ("America/New_York", "2026-03-08T12:00:00Z", 23),
        ("America/New_York", "2026-11-01T12:00:00Z", 25),
        ("Australia/Lord_Howe", "2026-04-05T14:00:00Z", 24),  # the day after the clocks went back
        ("Australia/Lord_Howe", "2026-04-05T00:00:00Z", 24.5),
        ("Australia/Lord_Howe", "2026-10-04T00:00:00Z", 23.5),
        ("Asia/Kathmandu", "1986-01-01T00:00:00Z", 23.75),  # Nepal went from +05:30 to +05:45 at midnight
        ("Asia/Shanghai", "2026-06-01T00:00:00Z", 24),
    ],
)
def test_a_day_is_as_long_as_the_zone_makes_it(zone: str, instant: str, hours: float) -> None:
    day = day_of(zone, instant)
    assert (day.next_day_us - day.day_us) / HOUR_US == hours


def test_where_midnight_is_skipped_the_day_starts_with_the_first_instant_after() -> None:
    day = day_of("America/Sao_Paulo", "2017-10-15T12:00:00Z")
    assert day.date == date(2017, 10, 15)
    assert shown(day.day_us, "America/Sao_Paulo") == "2017-10-15T01:00:00-02:00"
    assert shown(day.day_us - 1, "America/Sao_Paulo") == "2017-10-14T23:59:59.999999-03:00"
    assert day.next_day_us - day.day_us == 23 * HOUR_US


def test_a_day_that_a_zone_leaves_out_is_empty() -> None:
    """Samoa had no 30 December 2011."""
    before = day_of("Pacific/Apia", "2011-12-30T09:59:59Z")
    after = day_of("Pacific/Apia", "2011-12-30T10:00:00Z")
    assert (before.date, after.date) == (date(2011, 12, 29), date(2011, 12, 31))
    assert before.next_day_us == after.day_us == us("2011-12-30T10:00:00Z")


@pytest.mark.parametrize(
    ("zone", "instant", "day"),
    [
        ("Asia/Kathmandu", "2026-01-01T18:14:59.999999Z", date(2026, 1, 1)),
        ("Asia/Kathmandu", "2026-01-01T18:15:00Z", date(2026, 1, 2)),
    ],
)
def test_a_zone_that_is_off_by_minutes_breaks_the_day_within_the_hour(zone: str, instant: str, day: date) -> None:
    days = Days(zone)
    for other in ("2026-01-01T18:00:00Z", "2026-01-01T18:59:00Z", instant):  # whatever was asked before
        days.of(us(other))
    assert days.of(us(instant)).date == day


def test_a_day_is_found_again_as_the_same_object() -> None:
    days = Days("Asia/Shanghai")
    first = days.of(us("2026-01-01T00:00:00+08:00"))
    assert days.of(us("2026-01-01T23:59:59+08:00")) is first
    assert days.of(us("2026-01-02T00:00:00+08:00")) is not first


def test_what_is_remembered_is_bounded() -> None:
    days = Days("Asia/Shanghai")
    start = us("2000-01-01T00:00:00+08:00")
    for hour in range(100_003):
        days.of(start + hour * HOUR_US)
    assert len(days._by_hour) < 100
    assert days.of(start).date == date(2000, 1, 1)


def test_the_first_week_of_all_starts_with_its_first_day() -> None:
    days = Days("UTC")
    assert shown(days.of(microseconds(datetime(1, 1, 3, tzinfo=UTC))).week_us, "UTC") == "0001-01-03T00:00:00+00:00"


def test_the_last_day_of_all_is_out_of_range() -> None:
    with pytest.raises(OverflowError):
        Days("UTC").of(microseconds(datetime(9999, 12, 31, tzinfo=UTC)))
    assert Days("UTC").of(microseconds(datetime(9999, 12, 30, tzinfo=UTC))).date == date(9999, 12, 30)


ZONES = [
    "UTC", "Asia/Shanghai", "America/New_York", "America/Sao_Paulo", "America/Havana", "Atlantic/Azores",
    "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "America/Nuuk",
]  # fmt: skip
DAYS = {zone: Days(zone) for zone in ZONES}  # shared: what they remember must not change what they say


@settings(max_examples=400, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    instant=st.one_of(
        st.integers(us("1970-01-01T00:00:00Z"), us("2037-12-31T00:00:00Z")),
        # the hours around the changes of many zones: the turns of April and November, of the year, at night
        st.builds(
            lambda year, start, hours, rest: us(f"{year}-{start}T00:00:00Z") + hours * HOUR_US + rest,
            st.integers(1980, 2030),
            st.sampled_from(
                ["01-01", "03-08", "03-25", "04-01", "10-01", "10-15", "10-28", "11-01", "12-30"],
            ),
            st.integers(-12, 7 * 24),
            st.sampled_from([-1, 0, 1]),
        ),
    ),
)
def test_every_instant_lies_in_the_day_that_the_zones_clock_shows(zone: str, instant: int) -> None:
    day = DAYS[zone].of(instant)
    local = moment_of(instant).astimezone(ZoneInfo(zone)).date()
    assert day.date == local
    assert day.ordinal == local.toordinal()
    assert day.day_us <= instant < day.next_day_us
    assert day.quarter_us <= day.month_us <= day.day_us
    assert day.week_us <= day.day_us < day.week_us + 8 * DAY_US
    # Each start is the first instant of its day: one microsecond earlier it is the day before.
    for start in (day.day_us, day.week_us, day.month_us, day.quarter_us):
        first = moment_of(start).astimezone(ZoneInfo(zone)).date()
        assert moment_of(start - 1).astimezone(ZoneInfo(zone)).date() < first
    week = local - timedelta(days=local.weekday())
    assert moment_of(day.week_us).astimezone(ZoneInfo(zone)).date() in (week, week + timedelta(days=1))
    assert moment_of(day.month_us).astimezone(ZoneInfo(zone)).date() == local.replace(day=1)
