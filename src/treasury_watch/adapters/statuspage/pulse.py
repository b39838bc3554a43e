"""The pulse (脉搏): how many decisions a worker makes and how long they take, of late and not since it started."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

NOTED_SECONDS: Final = 1.0
LATENCY_SECONDS: Final = 60
RATE_SECONDS: Final = 10


class _Noted(NamedTuple):
    at: float  # seconds of a monotonic clock
    up_to: Sequence[float]  # decisions so far that took at most each bucket's edge; the last one holds them all


class Pulse:
    """Takes what a histogram of latencies holds, about once a second. `edges`: of its buckets, in seconds, ascending,
    the last one infinite.
    """

    def __init__(self, edges: Sequence[float]) -> None:
        self._edges = edges
        self._noted: deque[_Noted] = deque(maxlen=round(LATENCY_SECONDS / NOTED_SECONDS) + 1)

    def note(self, at: float, up_to: Sequence[float]) -> None:
        """Notes the cumulative counts of the buckets at a time in seconds."""
        self._noted.append(_Noted(at, up_to))

    def per_second(self) -> float | None:
        """Decisions a second over the last ten seconds; `None` before there is anything to compare."""
        if len(self._noted) < 2:
            return None
        now = self._noted[-1]
        then = next(each for each in self._noted if each.at >= now.at - RATE_SECONDS - NOTED_SECONDS / 2)
        return (now.up_to[-1] - then.up_to[-1]) / (now.at - then.at) if now.at > then.at else None

    def latency_ms(self, quantile: float) -> float | None:
        """A quantile of the last minute in milliseconds, taken as evenly spread within its bucket; `None` without a
        decision. Beyond the last finite edge it is that edge.
        """
        if len(self._noted) < 2:
            return None
        counts = [now - then for now, then in zip(self._noted[-1].up_to, self._noted[0].up_to, strict=True)]
        if counts[-1] <= 0:
            return None
        wanted = quantile * counts[-1]
        at = next(index for index, count in enumerate(counts) if count >= wanted and count > 0)
        if at == len(counts) - 1:
            return self._edges[-2] * 1000
        low, below = (self._edges[at - 1], counts[at - 1]) if at else (0.0, 0.0)
        return (low + (self._edges[at] - low) * (wanted - below) / (counts[at] - below)) * 1000
