"""Dates and times as exports write them, in a named zone, moved by whole weeks where a mapping says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

Read = TypeVar("Read")
REMEMBERED = 100_000  # texts: a year of days, or a day of seconds


def has_time(pattern: str) -> bool:
    """Whether a strptime format reads a time of day."""
    return any(directive in pattern for directive in ("%H", "%I", "%c", "%X"))


def moment_reader(
    formats: Sequence[str], zone: ZoneInfo, assumed: time | None, shift_weeks: int
) -> Callable[[str], datetime]:
    """Reads local dates and times to aware times in `zone`; a format with %z keeps the offset that was written.

    Formats are tried in order; one without a time of day takes `assumed`, which must then be given. `shift_weeks` moves
    the local date and keeps weekday and time of day. Raises ValueError with one sentence.
    """

    def read(text: str) -> datetime:
        found, pattern = _parsed(text, formats, shift_weeks)
        if assumed is not None and not has_time(pattern):
            found = datetime.combine(found, assumed, found.tzinfo)
        return found if found.tzinfo else found.replace(tzinfo=zone)

    return _remembering(read)


def day_reader(formats: Sequence[str], shift_weeks: int) -> Callable[[str], date]:
    """Reads dates (a time of day is dropped), moved by `shift_weeks`. Raises ValueError with one sentence."""
    return _remembering(lambda text: _parsed(text, formats, shift_weeks)[0].date())


def _parsed(text: str, formats: Sequence[str], shift_weeks: int) -> tuple[datetime, str]:
    for pattern in formats:
        try:
            found = datetime.strptime(text, pattern)  # noqa: DTZ007 - local until its zone is attached
        except ValueError:
            continue
        try:
            return found + timedelta(weeks=shift_weeks), pattern
        except OverflowError:
            raise ValueError("moved out of the years 1 to 9999") from None
    raise ValueError(f"not in the form {' or '.join(formats)}")


def _remembering(read: Callable[[str], Read]) -> Callable[[str], Read]:
    """strptime is slow and dates repeat."""
    known: dict[str, Read] = {}

    def remembered(text: str) -> Read:
        found = known.get(text)
        if found is None:
            found = read(text)
            if len(known) >= REMEMBERED:
                known.clear()
            known[text] = found
        return found

    return remembered
