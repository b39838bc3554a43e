"""Entities (对象): what is remembered of one unit, payee, subject, or pair of them.

Each is a plain tuple that a payment replaces by another, so that undoing is putting the old one back. How an entity
changes depends on the effect and on itself only: entities can be written down at different moments.

Steps are hours since 1970 of UTC. A *level* is ln(1 + |amount in yuan|). `location` and `spread` are the mean of the
last levels and the mean distance from it, `anchor` the mean of many more, `novelty` the share of payments that went to
payees new to the unit, `busy` the mean of how often the same pair had just been paid (see `features`). `short` and
`long` are numbers of payments that halve in a day and in 30 days. `wrong` and `fine` are thousandths of what people
said of its payments; at each payment 7 % of them are forgotten.
"""

from __future__ import annotations

from treasury_watch.engine.anomaly.logarithm import halvings

HOUR_US = 3_600_000_000
EXPIRES = 400 * 24  # steps without a payment after which an entity counts as unknown
LATEST = 120 * 24  # steps: what is later than that counts as of this much before the newest
CUSUM_SLACK, CUSUM_LIMIT = 0.75, 8.0

_MEMORY = 50  # payments that a location is the mean of
_RATE = tuple(1.0 / (n + 1) for n in range(_MEMORY))
_SLOW = _RATE[-1]
_SLOWEST = 1.0 / 500  # of an anchor
_PAIR_RATE, _PAIR_FAR = 0.1, 3.0
_FIRST_SPREAD = 0.5
_TOLD = 1_000  # what one answer counts
_KEPT = 93  # percent of it, at each payment

# What is left of what halves in a day, and in 30 days, after so many steps: at least up to `EXPIRES`.
_KNOWN_DAYS = 24 * 40  # beyond is nothing
LEFT_OF_DAY = (*halvings(24, _KNOWN_DAYS), *((0.0,) * (EXPIRES + 1 - _KNOWN_DAYS)))
LEFT_OF_MONTH = halvings(24 * 30, 24 * 30 * 20)

# payments learned, first step, newest step, location, spread, anchor, cusum, short, long, novelty, busy, hours, wrong,
# fine
Unit = tuple[int, int, int, float, float, float, float, float, float, float, float, int, int, int]
# payments learned, first step, newest step, location, spread, short, long, busy, wrong, fine
Payee = tuple[int, int, int, float, float, float, float, float, int, int]
# payments learned, newest step, location, short
Pair = tuple[int, int, float, float]
# payments learned, newest step, location, spread
Subject = tuple[int, int, float, float]

# Parts of the week: working day or weekend, and which quarter of the day, by hour of the week from Monday 0:00.
PARTS = 8
PART = tuple((0 if hour < 120 else 4) + hour % 24 // 6 for hour in range(168))
_PART_BITS = 6
_PART_FULL = (1 << _PART_BITS) - 1
_ALL_SHIFT = PARTS * _PART_BITS
_ONE = tuple((1 << part * _PART_BITS) + (1 << _ALL_SHIFT) for part in range(PARTS))


def hours_of(hours: int, part: int) -> tuple[int, int]:
    """Of the payments that `hours` counts: how many were in that part of the week, and how many there are."""
    return hours >> part * _PART_BITS & _PART_FULL, hours >> _ALL_SHIFT


def hours_with(hours: int, part: int) -> int:
    """The count with one more payment; where a part is full, all are halved."""
    if hours >> part * _PART_BITS & _PART_FULL == _PART_FULL:
        halves = [(hours >> at * _PART_BITS & _PART_FULL) >> 1 for at in range(PARTS)]
        hours = sum(halves) << _ALL_SHIFT | sum(half << at * _PART_BITS for at, half in enumerate(halves))
    return hours + _ONE[part]


def unit_after(
    old: Unit | None, step: int, level: float, against_anchor: float, part: int, new_pair: int, together: float
) -> Unit:
    """A unit after a payment: level and σ above the anchor are winsorised, `together` is what `busy` is the mean of."""
    if old is None or step - old[2] > EXPIRES:
        old = _unknown_unit(step, level)
    n, born, newest, location, spread, anchor, cusum, short, long, novelty, busy, hours, wrong, fine = old
    if step > newest:
        short *= LEFT_OF_DAY[step - newest]
        long *= LEFT_OF_MONTH[step - newest]
        newest = step
    rate = _RATE[n] if n < _MEMORY else _SLOW
    off = level - location
    cusum += against_anchor - CUSUM_SLACK
    return (
        n + 1,
        born,
        newest,
        location + rate * off,
        spread + rate * ((off if off > 0.0 else -off) - spread) if n else _FIRST_SPREAD,
        anchor + (rate if n < _MEMORY else 1.0 / (n + 1) if n < 500 else _SLOWEST) * (level - anchor),
        cusum if 0.0 < cusum <= CUSUM_LIMIT else 0.0,
        short + 1.0,
        long + 1.0,
        novelty + rate * (new_pair - novelty),
        busy + rate * (together - busy),
        hours_with(hours, part),
        wrong * _KEPT // 100 if wrong else 0,
        fine * _KEPT // 100 if fine else 0,
    )


def payee_after(old: Payee | None, step: int, level: float, together: float) -> Payee:
    """A payee after a payment at that level (winsorised)."""
    if old is None or step - old[2] > EXPIRES:
        old = _unknown_payee(step, level)
    n, born, newest, location, spread, short, long, busy, wrong, fine = old
    if step > newest:
        short *= LEFT_OF_DAY[step - newest]
        long *= LEFT_OF_MONTH[step - newest]
        newest = step
    rate = _RATE[n] if n < _MEMORY else _SLOW
    off = level - location
    return (
        n + 1,
        born,
        newest,
        location + rate * off,
        spread + rate * ((off if off > 0.0 else -off) - spread) if n else _FIRST_SPREAD,
        short + 1.0,
        long + 1.0,
        busy + rate * (together - busy),
        wrong * _KEPT // 100 if wrong else 0,
        fine * _KEPT // 100 if fine else 0,
    )


def pair_after(old: Pair | None, step: int, level: float) -> Pair:
    """A pair after a payment at that level, which is learned as one at most 20 times as large or as small as usual."""
    if old is None or step - old[1] > EXPIRES:
        return (1, step, level, 1.0)
    n, newest, location, short = old
    if step > newest:
        short *= LEFT_OF_DAY[step - newest]
        newest = step
    off = level - location
    if off > _PAIR_FAR:
        off = _PAIR_FAR
    elif off < -_PAIR_FAR:
        off = -_PAIR_FAR
    return (n + 1, newest, location + (_RATE[n] if n < 10 else _PAIR_RATE) * off, short + 1.0)


def subject_after(old: Subject | None, step: int, level: float) -> Subject:
    """A subject after a payment at that level (winsorised)."""
    if old is None or step - old[1] > EXPIRES:
        return (1, step, level, _FIRST_SPREAD)
    n, newest, location, spread = old
    rate = _RATE[n] if n < _MEMORY else _SLOW
    off = level - location
    spread += rate * ((off if off > 0.0 else -off) - spread)
    return (n + 1, step if step > newest else newest, location + rate * off, spread)


def unit_told(old: Unit | None, step: int, level: float, wrong: bool, corrected: bool) -> Unit:
    """A unit after people said of a payment whether it was wrong; `corrected`: after they had said the opposite."""
    if old is None or step - old[2] > EXPIRES:
        old = _unknown_unit(step, level)
    return (*old[:12], *_told(old[12], old[13], wrong, corrected))


def payee_told(old: Payee | None, step: int, level: float, wrong: bool, corrected: bool) -> Payee:
    """A payee after people said of a payment whether it was wrong; `corrected`: after they had said the opposite."""
    if old is None or step - old[2] > EXPIRES:
        old = _unknown_payee(step, level)
    return (*old[:8], *_told(old[8], old[9], wrong, corrected))


def _unknown_unit(step: int, level: float) -> Unit:
    return (0, step, step, level, _FIRST_SPREAD, level, 0.0, 0.0, 0.0, 1.0, 0.0, 0, 0, 0)


def _unknown_payee(step: int, level: float) -> Payee:
    return (0, step, step, level, _FIRST_SPREAD, 0.0, 0.0, 0.0, 0, 0)


def _told(wrong: int, fine: int, is_wrong: bool, corrected: bool) -> tuple[int, int]:
    back = _TOLD if corrected else 0  # some of that may have faded since
    return (wrong + _TOLD, max(0, fine - back)) if is_wrong else (max(0, wrong - back), fine + _TOLD)
