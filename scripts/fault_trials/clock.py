"""A worker whose clock jumps: `python -m fault_trials.clock`, in place of `python -m treasury_watch worker`.

What Python code of the process asks for the time of day (`time.time`, `datetime.now` of the worker's own modules) is
hours off, and off by something else every few seconds. The monotonic clock and the system's own are as they were.
"""

from __future__ import annotations

import datetime as datetimes
import os
import sys
import time
from typing import Any

JUMPS_HOURS = (0.0, 3.0, -26.0, 0.5, -0.1, 9000.0)
EVERY_SECONDS = 1.7


def offset_seconds(elapsed: float, first: int) -> float:
    """By how much the clock is off, that many seconds after the start."""
    return JUMPS_HOURS[(first + int(elapsed / EVERY_SECONDS)) % len(JUMPS_HOURS)] * 3600


def main() -> None:
    true_time, monotonic = time.time, time.monotonic
    started, first = monotonic(), os.getpid()

    def off() -> float:
        return offset_seconds(monotonic() - started, first)

    class Jumping(datetimes.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetimes.datetime.fromtimestamp(true_time() + off(), tz)

    time.time = lambda: true_time() + off()
    import treasury_watch.adapters.kafka.publisher as publisher
    from treasury_watch.cli import main as command

    publisher.datetime = Jumping  # type: ignore[attr-defined]  # C code asks the system, not time.time
    sys.argv = ["treasury-watch", "worker"]
    command()


if __name__ == "__main__":
    main()
