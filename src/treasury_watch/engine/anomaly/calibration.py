"""Calibration (校准): from scores to p-values that keep the rate of alerts that was asked for.

A conformal p-value is the share of the last scores that are at least as high. Streams change, and then that share is
off; so the level at which a p-value alerts is corrected after every payment, down after an alert, up after none
(adaptive conformal inference, Gibbs and Candès 2021, doi:10.48550/arXiv.2106.00170). The level is kept as a multiple of
the target, so that asking for another target and back changes nothing. Over n payments the alerts are off the target by
at most target × the level's change ÷ (γ n).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from fractions import Fraction
from functools import lru_cache
from sys import byteorder

WINDOW = 5_000
WARM = 2_000
STEP = 0.005  # γ
_FINE_TO = 0.01  # p-values up to which one is told in millionths
_FINE, _COARSE = 1_000_000, 10_000


# what `see` replaced: the level, and the score that fell out of the window
Replaced = tuple[float, float | None]


class Calibration:
    """The last scores, in order of arrival (a ring) and of size, and the level."""

    __slots__ = ("at", "level", "ring", "sizes", "target")

    def __init__(self, target: float) -> None:
        self.target = target
        self.level = 1.0  # in targets
        self.ring = array("d")
        self.sizes = array("d")
        self.at = 0  # the oldest score's place in a full ring

    @property
    def warm(self) -> bool:
        """Whether there are scores enough to say anything."""
        return len(self.ring) >= WARM

    def p_value(self, score: float) -> float | None:
        """The corrected p-value, in (0, 1]: at most `target` in the share `target` of payments. `None` while warming.

        Correcting divides by the level.
        """
        n = len(self.ring)
        if n < WARM:
            return None
        if self.level <= 0.0:
            return 1.0
        found = (n - bisect_left(self.sizes, score) + 1) / (n + 1) / self.level
        return found if found < 1.0 else 1.0

    def see(self, score: float, alert: bool) -> Replaced:
        """Takes a score into account, and whether it was an alert."""
        ring, sizes, level, dropped = self.ring, self.sizes, self.level, None
        n = len(ring)
        if n >= WARM:
            self.level = level + STEP * (1.0 - alert / self.target)
        if n < WINDOW:
            ring.append(score)
        else:
            at = self.at
            dropped = ring[at]
            del sizes[bisect_left(sizes, dropped)]
            ring[at] = score
            self.at = at + 1 if at + 1 < WINDOW else 0
        insort(sizes, score)
        return level, dropped

    def undo(self, score: float, replaced: Replaced) -> None:
        """Undoes the last `see`, of that score."""
        self.level, dropped = replaced
        del self.sizes[bisect_left(self.sizes, score)]
        if dropped is None:
            self.ring.pop()
        else:
            self.at = (self.at - 1) % WINDOW
            self.ring[self.at] = dropped
            insort(self.sizes, dropped)

    def cells(self) -> list[object]:
        """Its state in the types of MessagePack: level, and the scores from the oldest on as doubles, little-endian."""
        return [self.level, little(self.ring[self.at :] + self.ring[: self.at])]

    @classmethod
    def of(cls, target: float, level: float, scores: bytes) -> Calibration:
        """The calibration of `cells`."""
        made = cls(target)
        made.level = level
        made.ring = doubles(scores)
        made.sizes = array("d", sorted(made.ring))
        return made


@lru_cache(maxsize=4_096)
def exact(p_value: float) -> Fraction:
    """A p-value as rules compare it and decisions publish it: a decimal number in (0, 1].

    Up to 0.01 the next higher millionth; above the next higher ten-thousandth, or the nearest one where they are within
    10^-9 of one. So of two p-values the higher one is never the lower afterwards, and what is at most 0.01 afterwards
    was so before, or above it by a rounding error. Raises ValueError on NaN and OverflowError on infinity.
    """
    parts = _FINE if p_value <= _FINE_TO else _COARSE
    over, under = p_value.as_integer_ratio()
    return Fraction(min(parts, max(1, -((under - parts * over * 10**9) // (under * 10**9)))), parts)


def little(values: array[float]) -> bytes:
    """Doubles as bytes, little-endian."""
    if byteorder == "big":
        values.byteswap()
    return values.tobytes()


def doubles(data: bytes) -> array[float]:
    """The doubles of `little`."""
    values = array("d")
    values.frombytes(data)
    if byteorder == "big":
        values.byteswap()
    return values
