"""Collector (垃圾回收): Python's garbage collector, kept off what a worker remembers while payments come.

Reference counts free what is forgotten; the collector is for cycles of which nothing else knows any more. A full
collection goes through everything that is remembered, and stops the worker for as long as that takes: some 0.1 s with
200,000 payments, more with more. So what is young is collected as always, and everything when nobody waits, or else
once in an hour or more.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import monotonic

QUIET_SECONDS = 1.0  # without a payment: nobody waits
REST_SECONDS = 600.0  # between two full collections at least
REST_FACTOR = 1000.0  # and so many times as long as the last one took
BUSY_FACTOR = 6.0  # rests after which one is made though it was never quiet
_NEVER = 2**31 - 1  # collections of what is less young before Python would make a full one


def collect_the_young_only() -> None:
    """From now on full collections are made when they are asked for, and none goes through what there is by now."""
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    gc.freeze()


class Collector:
    """Makes a full collection now and then; `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._made_at = clock()
        self._rest = REST_SECONDS
        self._position: int | None = None

    def look(self, position: int) -> bool:
        """To be called every `QUIET_SECONDS` with what grows by what is judged; whether everything was collected."""
        quiet, self._position = position == self._position, position
        began = self._clock()
        if began - self._made_at < (self._rest if quiet else self._rest * BUSY_FACTOR):
            return False
        gc.collect()
        self._made_at = self._clock()
        self._rest = max(REST_SECONDS, REST_FACTOR * (self._made_at - began))
        return True
