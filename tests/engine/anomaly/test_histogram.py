"""Surprise is the tail of what was seen, and goes on beyond it."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from treasury_watch.engine.anomaly.histogram import BINS, MOST, Range, Tail, first_tail, surprise_of, tail_of

KNOWN = Range(0.0, 12.0, 6.0, 1.0)


def _counts(values: list[float]) -> list[float]:
    counts = [0.0] * BINS
    for value in values:
        counts[min(BINS - 1, int(value * 10))] += 1.0
    return counts


def counted(values: list[float]) -> Tail:
    return tail_of(_counts(values), KNOWN)


def of(value: float, tail: Tail) -> float:
    return surprise_of(value, min(BINS - 1, max(0, int((value - tail.low) * tail.scale))), tail)


@pytest.fixture(scope="module")
def exponential() -> Tail:
    rng = random.Random(1)
    return counted([rng.expovariate(1.0) for _ in range(20_000)])


@pytest.mark.parametrize("value", [1.55, 2.05, 3.05, 5.0, 7.0])
def test_of_an_exponential_the_surprise_is_the_value_less_one(value: float, exponential: Tail) -> None:
    assert of(value, exponential) == pytest.approx(value - 1.0, abs=0.25)


def test_what_one_payment_in_three_reaches_is_no_surprise(exponential: Tail) -> None:
    assert of(-math.log(0.4), exponential) == 0.0


def test_beyond_everything_seen_the_surprise_still_grows(exponential: Tail) -> None:
    values = [of(value, exponential) for value in (8.0, 11.0, 14.0, 17.0)]
    assert values == sorted(set(values))
    assert of(1e9, exponential) == MOST


def test_surprise_never_falls_with_the_value(exponential: Tail) -> None:
    values = [of(at / 50, exponential) for at in range(700)]
    assert all(later >= earlier - 0.02 for earlier, later in itertools.pairwise(values))


def test_where_all_values_are_alike_any_higher_one_is_a_great_surprise() -> None:
    tail = counted([1.0] * 1_000)
    assert of(1.0, tail) == 0.0
    assert of(1.3, tail) > 6.0


def test_before_anything_is_counted_only_what_is_beyond_the_usual_cut_surprises() -> None:
    tail = first_tail(KNOWN)
    assert (of(5.9, tail), of(8.0, tail)) == (0.0, 2.0)


def test_what_a_few_payments_do_is_not_usual_for_being_done_by_a_few() -> None:
    bulk = [(number % 100) / 100 for number in range(20_000)]
    tail = counted([*bulk, *[9.0] * 30])
    assert of(9.0, tail) > 2 * -math.log(30 / 20_030)
    heavy = tail_of(_counts([*bulk, *[9.0] * 30]), KNOWN._replace(shoulder=0.001))
    assert of(9.0, heavy) < of(9.0, tail)


def test_where_next_to_nothing_is_counted_a_tail_is_as_steep_as_usual() -> None:
    counts = [0.0] * BINS
    counts[80], counts[20] = 0.05, 0.25  # what is left of payments of long ago
    assert tail_of(counts, KNOWN).steep == pytest.approx(KNOWN.steep)


@pytest.mark.parametrize("share", [0.03, 0.05, 0.25, 0.3, 0.4, 0.9])
def test_what_is_common_beyond_the_range_is_as_surprising_as_the_outer_bin(share: float) -> None:
    """However far beyond: how far what was counted there lies is not known."""
    counts = [0.0] * BINS
    counts[20], counts[90], counts[-1] = 20_000.0 * (1.0 - share), 20_000.0 * 0.05, 20_000.0 * share
    tail = tail_of(counts, KNOWN)
    assert of(KNOWN.high - 0.01, tail) == of(KNOWN.high + 0.01, tail) == of(KNOWN.high + 50.0, tail)
    assert of(KNOWN.high + 50.0, tail) <= max(0.0, -math.log(share) - 1.0) + math.log(2.0) + 0.06
    assert of(2.05, tail) <= of(9.05, tail) <= of(KNOWN.high, tail)


def test_what_is_rare_beyond_the_range_is_a_greater_surprise_the_farther_it_is() -> None:
    tail = counted([*(at % 50 / 10 for at in range(20_000)), *[13.0] * 20])
    assert of(11.9, tail) < of(13.0, tail) < of(14.0, tail)
