"""The chosen period in SQL. Views are asked by local day too, so that only the months that are meant are read."""

from __future__ import annotations

from typing import Final

ZONE: Final = "Asia/Shanghai"  # of the column `day` of every view

DAYS: Final = (
    f"day BETWEEN ($__timeFrom()::timestamptz AT TIME ZONE '{ZONE}')::date"
    f" AND ($__timeTo()::timestamptz AT TIME ZONE '{ZONE}')::date"
)
MOMENTS: Final = f"{DAYS} AND $__timeFilter(event_time)"
MIDNIGHT: Final = f"day::timestamp AT TIME ZONE '{ZONE}' AS time"  # of a day, as a point in time
