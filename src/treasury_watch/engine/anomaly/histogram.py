"""Histogram (直方图): how surprising a feature's value is, by the share of past values that were as high.

Values are counted in bins of equal width; older ones count less. The surprise is max(0, −ln(share) − 1), so that what
one payment in e or more reaches is none. Beyond the highest 2 % the tail is taken as exponential: values that were
never seen have a surprise too, and it grows with them, as fast as a larger share of the highest values lets expect.
Where more than 2 % are beyond the range that is counted, they are all as surprising as one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from treasury_watch.engine.anomaly.logarithm import ln

BINS = 120
NOTHING = 127  # stands for the bin of a value that is missing
KEPT = 0.95  # of the counts, at each rebuilding
MOST = 20.0  # a surprise is at most: one in 10^9
_TAIL = 0.02
_PRIOR = 5.0  # values above the shoulder that the usual steepness counts for


class Range(NamedTuple):
    """What is counted of a feature: from `low` to `high`; what is outside counts in the outer bins. `cut` and `steep`
    are its tail as long as nothing is known: from `cut` on the surprise grows by `steep` for each 1. What is `evidence`
    in itself, however often it comes, keeps that tail. The steepness of what was counted is that of the highest values,
    a share of `shoulder` of all.
    """

    low: float
    high: float
    cut: float
    steep: float
    evidence: bool = False
    shoulder: float = 0.3


class Tail(NamedTuple):
    """The surprise of values: `table[bin]` up to `cut`, from there on `base` + `steep` × (value − `cut`)."""

    low: float
    scale: float  # bins for each 1
    cut: float
    base: float
    steep: float
    table: tuple[float, ...]


def first_tail(known: Range) -> Tail:
    """The tail before anything is counted."""
    scale = BINS / (known.high - known.low)
    return Tail(known.low, scale, known.cut, 0.0, known.steep, (0.0,) * BINS)


def tail_of(counts: Sequence[float], known: Range) -> Tail:
    """The tail of what was counted in each bin."""
    width = (known.high - known.low) / BINS
    total = 0.0
    for count in counts:
        total += count
    above, excess, cut_bin, cut_above = 0.0, 0.0, -1, 0.0
    shoulder_found, shoulder_above, shoulder_excess = False, 0.0, 0.0
    table = [0.0] * BINS
    for at in range(BINS - 1, -1, -1):
        count = counts[at]
        if cut_bin < 0 and above + count > _TAIL * total:
            cut_bin, cut_above = at, above
        if not shoulder_found and above + count > known.shoulder * total:
            shoulder_found, shoulder_above, shoulder_excess = True, above, excess
        if cut_bin >= 0:
            share = (above + 0.5 * count + 0.5) / (total + 1.0)
            found = -ln(share) - 1.0
            if found <= 0.0:
                break
            table[at] = found
        excess += above + 0.5 * count  # of what is above, measured from the lower edge of this bin, in bins
        above += count
    cut = known.low + (cut_bin + 1) * width
    base = max(0.0, -ln((cut_above + 0.5) / (total + 1.0)) - 1.0)
    for at in range(cut_bin + 1, BINS):  # values that lie on the cut, up to rounding
        table[at] = base
    steep = (shoulder_above + _PRIOR) / (shoulder_excess * width + _PRIOR / known.steep)
    if cut_bin == BINS - 1:  # what is beyond the range is common: all of it is as surprising as the outer bin
        base, steep = table[cut_bin], 0.0
    return Tail(known.low, 1.0 / width, cut, base, steep, tuple(table))


def surprise_of(value: float, at: int, tail: Tail) -> float:
    """The surprise of a value whose bin is `at`, in [0, MOST]."""
    if value <= tail.cut:
        return tail.table[at]
    return min(MOST, tail.base + (value - tail.cut) * tail.steep)
