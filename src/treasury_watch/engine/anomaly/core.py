"""Core (核心): what a model knows besides entities: the whole's level, hours, histograms, weights, calibration.

Written down at once; its change depends on the effect and on itself only.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from treasury_watch.engine.anomaly.calibration import Calibration, Replaced, doubles, little
from treasury_watch.engine.anomaly.drift import BLOCK, Drift
from treasury_watch.engine.anomaly.entities import PART, PARTS
from treasury_watch.engine.anomaly.features import FAR, LEAST_SPREAD, NAMES, RANGES, Whole
from treasury_watch.engine.anomaly.histogram import BINS, KEPT, NOTHING, Tail, first_tail, surprise_of, tail_of
from treasury_watch.engine.anomaly.logarithm import ln

HOURS = 168
REBUILT = 1_000  # learned payments between two rebuildings of the histograms, less at first
_FIRST_REBUILT = 50
_MEMORY = 5_000  # payments that the whole's level is the mean of
_SLOWEST = 1.0 / _MEMORY
_FIRST_SPREAD = 1.5
_ANCIENT = -(10**9)
_PACE = 0.03  # of weights, at each answer
_FIRM = 50.0  # a score from which on an answer says something of the weights
_LEAST_SHARE, _SHARE_PACE = 0.02, 0.02
WEIGHT_LIMIT = 8.0  # a weight stays within this factor of the first one

# First weights, found on streams and parts of them that quality is not measured on (docs/anomaly.md, ADR 0036).
FIRST_WEIGHTS = {
    "amount": 2.0,
    "unit_amount": 0.25,
    "pair_amount": 1.0,
    "subject_amount": 0.25,
    "new_payee": 0.25,
    "rare_payee": 4.0,
    "unit_burst": 0.25,
    "payee_burst": 0.75,
    "pair_burst": 1.5,
    "pair_busy": 0.5,
    "hour": 0.5,
    "unit_record": 2.0,
    "payee_record": 12.0,
}
_HOUR = NAMES.index("hour")
_HOUR_RANGE = RANGES[_HOUR]
WEIGHTS = tuple(FIRST_WEIGHTS[name] for name in NAMES)


class Counted(NamedTuple):
    """What was counted, decayed, and what follows from it: the tail of each feature, and the same as plain tuples, as
    they are unpacked faster; −ln P(hour | its part of the week) and P(part).
    """

    counts: tuple[tuple[float, ...], ...]
    hour_counts: tuple[float, ...]
    tails: tuple[Tail, ...]
    plain: tuple[tuple[float, float, float, float, float, tuple[float, ...]], ...]
    hour_terms: tuple[float, ...]
    part_shares: tuple[float, ...]


# What was learned since the last block ended: payments, sum of levels, payments to new payees, sum of bins of the
# feature `hour`; and the newest step when the block began.
Block = tuple[int, float, int, int, int]

# What a core held before a change, to be put back: watermark, whole, counted, recent, whether one was added to it,
# weights, share of wrong ones, block, drift, and where the calibration saw a score: the score, and what that replaced.
Before = tuple[int, Whole, Counted, list[str], bool, tuple[float, ...], float, Block, Drift, float, Replaced | None]


class Core:
    """The core of one model.

    `watermark` is the newest step; `recent` are the bins of payments that were learned since the last rebuilding, each
    with its hour; `wrong_share` is the share of payments among those that people answered for which were wrong, about;
    `drift.events` says whether what is paid has changed for good (see `drift`).
    """

    __slots__ = (
        "block",
        "calibration",
        "counted",
        "drift",
        "recent",
        "watermark",
        "weights",
        "whole",
        "wrong_share",
    )

    def __init__(self, target: float) -> None:
        self.watermark = _ANCIENT
        self.whole: Whole = (0, 0.0, _FIRST_SPREAD)
        self.counted = _NOTHING_COUNTED
        self.recent: list[str] = []
        self.weights = WEIGHTS
        self.wrong_share = 0.1
        self.block: Block = (0, 0.0, 0, 0, _ANCIENT)
        self.drift = Drift()
        self.calibration = Calibration(target)

    def before(self, added: bool, score: float = 0.0, replaced: Replaced | None = None) -> Before:
        """What it holds now, ahead of a change."""
        return (
            self.watermark,
            self.whole,
            self.counted,
            self.recent,
            added,
            self.weights,
            self.wrong_share,
            self.block,
            self.drift,
            score,
            replaced,
        )

    def put_back(self, before: Before) -> None:
        """Undoes the last change."""
        (
            self.watermark,
            self.whole,
            self.counted,
            self.recent,
            added,
            self.weights,
            self.wrong_share,
            self.block,
            self.drift,
            score,
            replaced,
        ) = before
        if added:
            self.recent.pop()
        if replaced is not None:
            self.calibration.undo(score, replaced)

    def learn(self, level: float, bins: str, new_pair: int) -> None:
        """Learns a payment: its level, the bins of its features with its hour, 1 where its payee is new to its unit.

        The watermark counts it already.
        """
        count, levels, new_pairs, hours, began = self.block
        if began == _ANCIENT:
            began = self.watermark
        self.block = (count + 1, levels + level, new_pairs + new_pair, hours + ord(bins[_HOUR]), began)
        if count + 1 == BLOCK:
            self._end_block()
        n, location, spread = self.whole
        if n:
            off, most = level - location, FAR * (spread + LEAST_SPREAD)
            if off > most:
                off = most
            elif off < -most:
                off = -most
            rate = 1.0 / (n + 1) if n < _MEMORY else _SLOWEST
            self.whole = (n + 1, location + rate * off, spread + rate * ((off if off > 0.0 else -off) - spread))
        else:
            self.whole = (1, level, _FIRST_SPREAD)
        recent = self.recent
        recent.append(bins)
        count = len(recent)
        if count >= REBUILT or (count >= _FIRST_REBUILT and count >= n // 2):
            self._rebuild()

    def _end_block(self) -> None:
        count, levels, new_pairs, hours, began = self.block
        hour = _HOUR_RANGE.low + (hours / count + 0.5) * (_HOUR_RANGE.high - _HOUR_RANGE.low) / BINS
        a_day = count * 24.0 / max(1, self.watermark - began)
        self.drift = self.drift.after(self.watermark, (levels / count, new_pairs / count, hour, a_day))
        self.block = (0, 0.0, 0, 0, self.watermark)

    def _rebuild(self) -> None:
        recent, self.recent = "".join(self.recent), []
        each = len(RANGES) + 1  # bins of a payment, and its hour
        counts = (_with(old, recent[at::each]) for at, old in enumerate(self.counted.counts))
        self.counted = _counted(counts, _with(self.counted.hour_counts, recent[each - 1 :: each]))

    def answer(self, bins: str, wrong: bool) -> None:
        """Moves the weights after people said whether a payment was wrong: by the share that each feature has in its
        score, up or down, so that both answers count for as much in the long run. Records are made of answers already
        and keep theirs.
        """
        surprises = [_surprise(ord(each), tail) for each, tail in zip(bins, self.counted.tails, strict=False)]
        parts = [weight * surprise * surprise for weight, surprise in zip(self.weights, surprises, strict=True)]
        total = 0.0
        for part in parts:
            total += part
        self.wrong_share += _SHARE_PACE * (wrong - self.wrong_share)
        share = max(_LEAST_SHARE, min(1.0 - _LEAST_SHARE, self.wrong_share))
        pace = _PACE * (1.0 - share) if wrong else -_PACE * share
        self.weights = tuple(
            weight
            if known.evidence
            else min(first * WEIGHT_LIMIT, max(first / WEIGHT_LIMIT, weight * (1.0 + pace * part / (total + _FIRM))))
            for weight, part, first, known in zip(self.weights, parts, WEIGHTS, RANGES, strict=True)
        )

    def cells(self) -> list[Any]:
        """Its state in the types of MessagePack."""
        return [
            self.watermark,
            list(self.whole),
            [little(array("d", each)) for each in self.counted.counts],
            little(array("d", self.counted.hour_counts)),
            self.recent,
            list(self.weights),
            self.wrong_share,
            self.calibration.cells(),
            list(self.block),
            list(self.drift),
        ]

    @classmethod
    def of(cls, target: float, cells: list[Any]) -> Core:
        """The core of `cells`."""
        core = cls(target)
        core.watermark, whole, counts, hours, core.recent, weights, core.wrong_share, calibration, block, drift = cells
        core.whole = tuple(whole)
        core.weights = tuple(weights)
        core.block = tuple(block)
        core.drift = Drift.of(drift)
        core.calibration = Calibration.of(target, *calibration)
        core.counted = _counted((tuple(doubles(each)) for each in counts), tuple(doubles(hours)))
        return core


def _with(counts: Sequence[float], bins: str) -> tuple[float, ...]:
    """Counts that have aged, with what came since; what is missing is in no bin."""
    new = [count * KEPT for count in counts]
    for each, count in Counter(bins).items():
        at = ord(each)
        if at != NOTHING or len(new) > BINS:
            new[at] += count
    return tuple(new)


def _counted(counts: Iterable[tuple[float, ...]], hour_counts: tuple[float, ...]) -> Counted:
    parts = [0.0] * PARTS
    for hour, count in enumerate(hour_counts):
        parts[PART[hour]] += count + 1.0
    total = 0.0
    for part in parts:
        total += part
    known = tuple(counts)
    tails = tuple(
        first_tail(usual) if usual.evidence or not any(each) else tail_of(each, usual)
        for each, usual in zip(known, RANGES, strict=True)
    )
    return Counted(
        known,
        hour_counts,
        tails,
        tuple((*tail,) for tail in tails),
        tuple(ln(parts[PART[hour]] / (count + 1.0)) for hour, count in enumerate(hour_counts)),
        tuple(part / total for part in parts),
    )


def _surprise(at: int, tail: Tail) -> float:
    """The surprise of the middle of a bin."""
    return 0.0 if at == NOTHING else surprise_of(tail.low + (at + 0.5) / tail.scale, at, tail)


_NOTHING_COUNTED = _counted(((0.0,) * BINS,) * len(RANGES), (0.0,) * HOURS)
