"""Working days of mainland China: weekends, public holidays and the weekend days that make up for them."""

from __future__ import annotations

from datetime import date, timedelta

# General Office of the State Council, notices on public holidays: 国办发明电〔2024〕12号 of 2024-11-12 for 2025 and
# 国办发明电〔2025〕7号 of 2025-11-04 for 2026. First and last day of each holiday; other years know weekends only.
_HOLIDAYS = (
    ("2025-01-01", "2025-01-01"),  # 元旦
    ("2025-01-28", "2025-02-04"),  # 春节
    ("2025-04-04", "2025-04-06"),  # 清明节
    ("2025-05-01", "2025-05-05"),  # 劳动节
    ("2025-05-31", "2025-06-02"),  # 端午节
    ("2025-10-01", "2025-10-08"),  # 国庆节、中秋节
    ("2026-01-01", "2026-01-03"),  # 元旦
    ("2026-02-15", "2026-02-23"),  # 春节
    ("2026-04-04", "2026-04-06"),  # 清明节
    ("2026-05-01", "2026-05-05"),  # 劳动节
    ("2026-06-19", "2026-06-21"),  # 端午节
    ("2026-09-25", "2026-09-27"),  # 中秋节
    ("2026-10-01", "2026-10-07"),  # 国庆节
)
_MADE_UP = (
    *("2025-01-26", "2025-02-08", "2025-04-27", "2025-09-28", "2025-10-11"),
    *("2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"),
)

_FREE = frozenset(
    date.fromordinal(day)
    for first, last in _HOLIDAYS
    for day in range(date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal() + 1)
)
_WORKED = frozenset(map(date.fromisoformat, _MADE_UP))


def is_working(day: date) -> bool:
    """Whether offices are open on that day."""
    return day in _WORKED or (day.weekday() < 5 and day not in _FREE)


def next_working(day: date) -> date:
    """That day or the first working day after it."""
    while not is_working(day):
        day += timedelta(days=1)
    return day


def busyness(day: date) -> int:
    """How many payments a day sees, relative to 100 for an ordinary working day.

    Free days keep a duty desk. Quarters end busy, the year ends in a rush (年末突击花钱), and January begins slowly,
    before the new budget is passed down.
    """
    if not is_working(day):
        return 1
    if day.month == 12:
        return 150 if day.day < 15 else 250 if day.day < 25 else 400
    if day.month == 1:
        return 60
    return 130 if day.month % 3 == 0 and day.day > 25 else 100
