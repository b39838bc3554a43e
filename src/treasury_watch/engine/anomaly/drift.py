"""Drift (漂移): whether what is paid has changed for good, noticed in means over blocks of learned payments.

Four inputs are watched, not scores: the calibration takes those back to their rate, whatever comes in. An input's block
means are told in σ off its usual mean, both found in its first blocks, and at most `FAR` of them; then two tests look:
Page–Hinkley for what changes within a few blocks (Page 1954, doi:10.2307/2333009), and ADWIN for what is less but stays
(Bifet and Gavaldà 2007, doi:10.1137/1.9781611972771.42), here on the blocks themselves. What alarmed begins anew with
the blocks after the change. Nothing follows of itself: an event says that people should look.

Not noticed is what changes in the first 15,000 learned payments, and what changes by less than about one σ.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any, NamedTuple

from treasury_watch.engine.anomaly.logarithm import ln

BLOCK = 500  # learned payments
# The inputs: mean level; share of payments to payees that are new to their unit; mean of the feature `hour`, by the
# middles of its bins; payments a day of event time.
INPUTS = ("level", "new_payees", "hour", "rate")
PAGE_HINKLEY, ADWIN = "Page-Hinkley", "ADWIN"
KEPT = 20  # events

LEARNING = 10  # first blocks of a model, in which everybody is new; nothing is watched
USUAL = 20  # blocks of which the usual mean and σ are found
FAR = 4.0  # σ
SLACK, LIMIT = 0.75, 10.0  # of Page–Hinkley, in σ
WINDOW = 128  # blocks of ADWIN
CONFIDENCE = 0.002  # δ of ADWIN
_LEAST = ((0.02, 0.0), (0.005, 0.0), (0.05, 0.0), (0.0, 0.05))  # σ of an input: so much, and that share of its mean

# step of the block's end, input, "up" or "down", mean before and after, detector
Event = tuple[int, str, str, float, float, str]
# values, their mean; the sum of what is above it and for how many values it has not been 0, the same of what is below
Hinkley = tuple[int, float, float, int, float, int]
# the last block means; usual mean and σ (0 until there are `USUAL`); Page–Hinkley of them
Watched = tuple[tuple[float, ...], float, float, Hinkley]

NONE: Hinkley = (0, 0.0, 0.0, 0, 0.0, 0)


class Drift(NamedTuple):
    """How many blocks there were, what is known of each of `INPUTS`, and the last 20 events, the oldest first."""

    blocks: int = 0
    watched: tuple[Watched, ...] = (((), 0.0, 0.0, NONE),) * len(INPUTS)
    events: tuple[Event, ...] = ()

    def after(self, step: int, means: Sequence[float]) -> Drift:
        """With another block that ends at that step: its mean of each of `INPUTS`."""
        if self.blocks < LEARNING:
            return self._replace(blocks=self.blocks + 1)
        watched, events = [], list(self.events)
        for name, mean, before, (least, share) in zip(INPUTS, means, self.watched, _LEAST, strict=True):
            now, found = _after(before, mean, least + share * mean)
            watched.append(now)
            if found is not None:
                first, second, detector = found
                events.append((step, name, "up" if second > first else "down", first, second, detector))
        return Drift(self.blocks + 1, tuple(watched), tuple(events[-KEPT:]))

    @classmethod
    def of(cls, cells: Sequence[Any]) -> Drift:
        """The drift whose fields these are, with lists for tuples."""
        blocks, watched, events = cells
        return cls(
            blocks,
            tuple((tuple(means), usual, sigma, tuple(hinkley)) for means, usual, sigma, hinkley in watched),
            tuple(tuple(event) for event in events),
        )


def hinkley_after(old: Hinkley, value: float) -> Hinkley:
    """Page–Hinkley of one more value: an alarm where one of its sums is above `LIMIT`."""
    n, mean, up, ups, down, downs = old
    n += 1
    mean += (value - mean) / n
    up += value - mean - SLACK
    down += mean - value - SLACK
    return (
        n,
        mean,
        up if up > 0.0 else 0.0,
        ups + 1 if up > 0.0 else 0,
        down if down > 0.0 else 0.0,
        downs + 1 if down > 0.0 else 0,
    )


def cut(values: Sequence[float]) -> int:
    """Where ADWIN parts values of different means: before that one, the first such place; 0 where they are alike."""
    n, total, squares = len(values), 0.0, 0.0
    for value in values:
        total += value
        squares += value * value
    if n < 2:
        return 0
    mean = total / n
    variance = max(0.0, squares / n - mean * mean)
    doubt = ln(2.0 * ln(float(n)) / CONFIDENCE)
    first = 0.0
    for at in range(1, n):
        first += values[at - 1]
        apart = first / at - (total - first) / (n - at)
        rest = 1.0 / at + 1.0 / (n - at)
        if (apart if apart > 0.0 else -apart) > sqrt(2.0 * rest * variance * doubt) + 2.0 / 3.0 * rest * doubt:
            return at
    return 0


def _after(old: Watched, mean: float, least: float) -> tuple[Watched, tuple[float, float, str] | None]:
    """An input after another block mean, with the means before and after a change and who noticed it."""
    means, usual, sigma, hinkley = old
    means = (*means, mean)[-WINDOW:]
    if not sigma:
        return _begun(means, least), None
    hinkley = hinkley_after(hinkley, _off(mean, usual, sigma))
    _, _, up, ups, down, downs = hinkley
    if up > LIMIT or down > LIMIT:
        at, detector = max(1, len(means) - (ups if up > LIMIT else downs)), PAGE_HINKLEY
    else:
        at, detector = cut([_off(each, usual, sigma) for each in means]), ADWIN
    if not at:
        return (means, usual, sigma, hinkley), None
    return _begun(means[at:], least), (_mean(means[:at]), _mean(means[at:]), detector)


def _begun(means: tuple[float, ...], least: float) -> Watched:
    """An input of which these blocks are known, and nothing else yet."""
    if len(means) < USUAL:
        return means, 0.0, 0.0, NONE
    usual, squares = _mean(means), 0.0
    for each in means:
        squares += (each - usual) * (each - usual)
    sigma = max(least, sqrt(squares / (len(means) - 1)))
    hinkley = NONE
    for each in means:
        hinkley = hinkley_after(hinkley, _off(each, usual, sigma))
    return means, usual, sigma, hinkley


def _off(mean: float, usual: float, sigma: float) -> float:
    return max(-FAR, min(FAR, (mean - usual) / sigma))


def _mean(values: Sequence[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total / len(values)
