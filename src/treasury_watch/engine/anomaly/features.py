"""Features (特征): what one payment is like, against what its unit, payee, pair and subject usually do.

`measure` gives numbers of which higher is odder; `None` where there is nothing to compare. Amounts are levels: ln(1 +
|amount in yuan|). What an entity is used to is shrunk towards what is known more broadly, by n ÷ (n + a constant): the
unit towards the whole partition-key value, the payee towards the unit, the pair towards the payee; the subject towards
the whole, and the unit's own use of it towards the subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from treasury_watch.engine.anomaly.entities import (
    CUSUM_LIMIT,
    CUSUM_SLACK,
    EXPIRES,
    LEFT_OF_DAY,
    LEFT_OF_MONTH,
    PART,
    Pair,
    Payee,
    Subject,
    Unit,
    hours_of,
)
from treasury_watch.engine.anomaly.histogram import Range
from treasury_watch.engine.anomaly.logarithm import ln

LN_100 = ln(100.0)
LEAST_SPREAD = 0.15  # added to every spread: who always pays the same is not odd for a yuan more
FAR = 4.0  # spreads: an amount farther off is learned as one that far

_OWN = 10.0  # payments after which what is one's own counts for half
_PAYEES, _PAIRS = 3.0, 2.0
_NOVELTY, _NEW = 4.0, 0.5  # payments that the usual share of new payees counts for, and that share
_PARTS = 8.0
_ANCHOR_FROM = 20  # payments of a unit before its slow changes are watched
_SPREADS_OF_SIGMA = 1.25  # σ ÷ mean distance, of a normal distribution
_MOST_SIGMA = 3.0
_WORST_RECORD = 4.0
_A_DAY, _DAYS_KNOWN = 0.3, 1.0  # payments a half-life, and for how many of them that counts before any is known
_COUNTED_PAYEES = 1_000  # payments of a payee up to which the logarithm is remembered

# Where the histograms lie, and a cautious first tail. The order is the order everywhere.
FEATURES: dict[str, Range] = {
    "amount": Range(0.0, 30.0, 12.0, 0.7, shoulder=0.05),
    "unit_amount": Range(-6.0, 14.0, 4.0, 0.7),
    "pair_amount": Range(-6.0, 14.0, 4.0, 0.7),
    "subject_amount": Range(-6.0, 14.0, 4.0, 0.7),
    "new_payee": Range(0.0, 5.0, 2.0, 0.7),
    "rare_payee": Range(-12.0, 1.0, 0.5, 1.0),
    "unit_burst": Range(-2.0, 6.0, 1.5, 1.0),
    "payee_burst": Range(-2.0, 6.0, 1.5, 1.0),
    "pair_burst": Range(0.0, 6.0, 1.5, 1.0),
    "pair_busy": Range(-4.0, 6.0, 1.5, 1.0),
    "hour": Range(0.0, 12.0, 5.0, 0.7),
    "unit_record": Range(0.0, 10.0, 0.0, 1.0, evidence=True),
    "payee_record": Range(0.0, 10.0, 0.0, 1.0, evidence=True),
}
NAMES = tuple(FEATURES)
RANGES = tuple(FEATURES.values())

Values = tuple[float | None, ...]
# of a partition-key value as a whole: payments learned, location and spread of the level
Whole = tuple[int, float, float]
# `Measured` without names, which is quicker made
Found = tuple[float, Values, float, float, float, float, bool, bool, float, float, float, float, float]

# By payments of a payee: how rare it is. By the steps since an entity was first seen: how much of a day and of the last
# months that is.
_RARE = tuple(-ln(n + 0.5) for n in range(_COUNTED_PAYEES))
_OF_DAY = tuple(1.0 - left for left in LEFT_OF_DAY)
_OF_MONTHS = tuple(30.0 * (1.0 - left) + _DAYS_KNOWN for left in LEFT_OF_MONTH)
_DAYS_COUNTED, _MONTHS_COUNTED = len(_OF_DAY), len(_OF_MONTHS)
_ALL_MONTHS = 30.0 + _DAYS_KNOWN


class Measured(NamedTuple):
    """What was found of one payment.

    Its level; the features; the levels that unit, payee and subject learn (winsorised); how many σ it is above the
    unit's anchor (winsorised), and whether that unit's level creeps up; whether the pair is new, and ln(1 + its
    payments of about the last day); the levels that are usual, and the share of new payees that is usual for the unit.
    """

    level: float
    values: Values
    unit_level: float
    payee_level: float
    subject_level: float
    against_anchor: float
    creeping: bool
    new_pair: bool
    together: float
    usual_unit: float
    usual_pair: float
    usual_subject: float
    new_share: float


def measure(
    step: int,
    fen: int,
    hour: int,
    whole: Whole,
    unit: Unit | None,
    has_payee: bool,
    payee: Payee | None,
    pair: Pair | None,
    has_subject: bool,
    subject: Subject | None,
    habit: Pair | None,
    hour_terms: Sequence[float],
    part_shares: Sequence[float],
) -> Found:
    """Measures one payment: the fields of `Measured`. Entities are `None` where they are unknown; expired ones are
    taken as unknown.

    `hour_terms`: −ln P(hour | its part of the week), and `part_shares`: P(part), of the whole.
    """
    level = ln(100.0 + (fen if fen >= 0 else -fen)) - LN_100
    whole_n, whole_location, whole_spread = whole
    if not whole_n:
        whole_location = level

    usual_unit, spread = whole_location, whole_spread
    against, creeping, unit_burst, unit_record, busy, new_share = 0.0, False, 0.0, 0.0, 0.0, _NEW
    in_part = all_parts = 0
    part = PART[hour]
    if unit is not None and step - unit[2] <= EXPIRES:
        n, born, newest, location, own_spread, anchor, cusum, short, long, novelty, own_busy, hours, wrong, fine = unit
        share = n / (n + _OWN)
        usual_unit += share * (location - usual_unit)
        spread += share * (own_spread - spread)
        busy = share * own_busy
        new_share = (n * novelty + _NOVELTY * _NEW) / (n + _NOVELTY)
        unit_burst = _burst(short, long, step, newest, born)
        in_part, all_parts = hours_of(hours, part)
        if wrong:
            unit_record = _record(wrong, fine)
        if n >= _ANCHOR_FROM:
            against = (level - anchor) / ((spread + LEAST_SPREAD) * _SPREADS_OF_SIGMA)
            if against > _MOST_SIGMA:
                against = _MOST_SIGMA
            elif against < -_MOST_SIGMA:
                against = -_MOST_SIGMA
            creeping = cusum + against - CUSUM_SLACK > CUSUM_LIMIT
    spread += LEAST_SPREAD
    odd_hour = hour_terms[hour] - ln((in_part + _PARTS * part_shares[part]) / (all_parts + _PARTS))

    pair_amount = new_payee = rare_payee = payee_burst = pair_burst = pair_busy = payee_record = None
    usual_pair, payee_level, new_pair, together = usual_unit, level, False, 0.0
    if has_payee:
        payee_n, payee_spread, payee_burst, payee_record = 0, spread, 0.0, 0.0
        if payee is not None and step - payee[2] <= EXPIRES:
            payee_n, born, newest, location, own_spread, short, long, own_busy, wrong, fine = payee
            share = payee_n / (payee_n + _PAYEES)
            usual_pair += share * (location - usual_pair)
            busy += share * (own_busy - busy)
            payee_spread += payee_n / (payee_n + _OWN) * (own_spread + LEAST_SPREAD - payee_spread)
            payee_level = _within(level, usual_pair, payee_spread)
            payee_burst = _burst(short, long, step, newest, born)
            if wrong:
                payee_record = _record(wrong, fine)
        if pair is not None and step - pair[1] <= EXPIRES:
            n, newest, location, short = pair
            usual_pair += n / (n + _PAIRS) * (location - usual_pair)
            together = ln(1.0 + (short * LEFT_OF_DAY[step - newest] if step > newest else short))
            new_payee = 0.0
        else:
            new_pair = True
            new_payee = -ln(new_share)
        pair_amount = (level - usual_pair) / payee_spread
        rare_payee = _RARE[payee_n] if payee_n < _COUNTED_PAYEES else -ln(payee_n + 0.5)
        pair_burst, pair_busy = together, together - busy

    subject_amount, usual_subject, subject_level = None, usual_unit, level
    if has_subject:
        subject_spread = spread
        if subject is not None and step - subject[1] <= EXPIRES:
            n, newest, location, own_spread = subject
            share = n / (n + _OWN)
            usual_subject = whole_location + share * (location - whole_location)
            subject_spread = whole_spread + share * (own_spread - whole_spread) + LEAST_SPREAD
            subject_level = _within(level, usual_subject, subject_spread)
        if habit is not None and step - habit[1] <= EXPIRES:
            n, newest, location, short = habit
            usual_subject += n / (n + _PAYEES) * (location - usual_subject)
        subject_amount = (level - usual_subject) / subject_spread

    return (
        level,
        (
            level,
            (level - usual_unit) / spread,
            pair_amount,
            subject_amount,
            new_payee,
            rare_payee,
            unit_burst,
            payee_burst,
            pair_burst,
            pair_busy,
            odd_hour,
            unit_record,
            payee_record,
        ),
        _within(level, usual_unit, spread),
        payee_level,
        subject_level,
        against,
        creeping,
        new_pair,
        together,
        usual_unit,
        usual_pair,
        usual_subject,
        new_share,
    )


def _within(level: float, usual: float, spread: float) -> float:
    """The level, or the farthest that is learned on its side of the usual one."""
    off, most = level - usual, FAR * spread
    return level if -most <= off <= most else usual + most if off > 0.0 else usual - most


def _burst(short: float, long: float, step: int, newest: int, born: int) -> float:
    """ln of the payments of about a day, this one included, ÷ those that the last months let expect."""
    if step > newest:
        short *= LEFT_OF_DAY[step - newest]
        long *= LEFT_OF_MONTH[step - newest]
    age = step - born
    if age <= 0:
        return ln(short + 1.0)
    a_day = (long + _A_DAY) / (_OF_MONTHS[age] if age < _MONTHS_COUNTED else _ALL_MONTHS)
    return ln((short + 1.0) / ((a_day * _OF_DAY[age] if age < _DAYS_COUNTED else a_day) + 1.0))


def _record(wrong: int, fine: int) -> float:
    """How bad the record of a unit or payee is, from thousandths of answers: one that says wrong counts for little, the
    next ones for more; 0 for none, at most 4.
    """
    share = wrong / (wrong + fine + 1_000.0)
    return min(_WORST_RECORD, 2.0 * ln(1.0 + share * wrong / 500.0))
