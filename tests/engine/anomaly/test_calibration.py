"""The calibration keeps the rate of alerts that was asked for, whatever the scores do."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import pytest

from treasury_watch.engine.anomaly import exact
from treasury_watch.engine.anomaly.calibration import WARM, WINDOW, Calibration

BLOCK = 10_000


def alerts_by_block(score: Callable[[random.Random, int], float], target: float = 0.01) -> list[float]:
    rng, calibration = random.Random(3), Calibration(target)
    alerts = []
    for number in range(WARM + 4 * BLOCK):
        now = score(rng, number)
        p_value = calibration.p_value(now)
        alert = p_value is not None and p_value <= target
        calibration.see(now, alert)
        if p_value is not None:
            alerts.append(alert)
    return [sum(alerts[at : at + BLOCK]) / BLOCK for at in range(0, len(alerts), BLOCK)]


@pytest.mark.parametrize(
    "score",
    [
        pytest.param(lambda rng, number: rng.expovariate(1.0), id="steady"),
        pytest.param(lambda rng, number: rng.expovariate(1.0) * (1 + number / 10_000), id="growing"),
        pytest.param(lambda rng, number: rng.expovariate(1.0) / (1 + number / 10_000), id="shrinking"),
        pytest.param(lambda rng, number: rng.expovariate(1.0) * (3 if number % 5_000 < 2_500 else 1), id="jumping"),
        pytest.param(lambda rng, number: rng.randrange(200) / 10, id="many ties"),
    ],
)
def test_in_each_block_of_10_000_the_rate_is_within_a_tenth_of_the_target(
    score: Callable[[random.Random, int], float],
) -> None:
    assert all(0.009 <= rate <= 0.011 for rate in alerts_by_block(score))


def test_no_p_value_before_2_000_scores() -> None:
    calibration = Calibration(0.01)
    for _ in range(WARM - 1):
        calibration.see(1.0, False)
    assert calibration.p_value(9.0) is None
    calibration.see(1.0, False)
    assert calibration.p_value(9.0) == pytest.approx(1 / (WARM + 1))
    assert calibration.p_value(1.0) == 1.0


def test_undone_newest_first_it_is_as_it_was() -> None:
    rng, calibration = random.Random(5), Calibration(0.01)
    for _ in range(WINDOW + 10):
        calibration.see(float(rng.randrange(50)), False)
    before = calibration.cells(), calibration.sizes[:]
    seen = [(score, calibration.see(score, score > 40)) for score in (float(rng.randrange(50)) for _ in range(300))]
    assert calibration.cells() != before[0]
    for score, replaced in reversed(seen):
        calibration.undo(score, replaced)
    assert (calibration.cells(), calibration.sizes) == before


def test_written_and_read_it_goes_on_alike() -> None:
    rng, one = random.Random(7), Calibration(0.01)
    for _ in range(WINDOW + 77):
        one.see(rng.random(), False)
    other = Calibration.of(0.01, *one.cells())  # type: ignore[arg-type]
    for _ in range(500):
        score = rng.random()
        assert one.p_value(score) == other.p_value(score)
        one.see(score, False)
        other.see(score, False)
    assert one.cells() == other.cells()


@pytest.mark.parametrize(
    ("p_value", "told"),
    [
        (5e-324, "0.000001"),
        (0.0000010001, "0.000002"),
        (0.0000016, "0.000002"),
        (0.000002, "0.000002"),
        (3 / 2**10, "0.002930"),  # 0.0029296875
        (0.0099991, "0.01"),
        (0.01, "0.01"),
        (math.nextafter(0.01, 1.0), "0.01"),
        (0.01000001, "0.0101"),
        (0.0101, "0.0101"),
        (1 / 2**5, "0.0313"),  # 0.03125
        (0.99989, "0.9999"),
        (0.99991, "1"),
        (1.0, "1"),
    ],
)
def test_for_rules_a_p_value_is_a_decimal_number_rounded_up(p_value: float, told: str) -> None:
    assert exact(p_value) == Fraction(told)


def test_a_higher_p_value_is_never_lower_for_rules() -> None:
    rng = random.Random(9)
    told = [exact(p_value) for p_value in sorted(10 ** rng.uniform(-7, 0) for _ in range(5_000))]
    assert all(one <= other for one, other in pairwise(told))
    assert min(told) == Fraction(1, 1_000_000)


@pytest.mark.parametrize("p_value", [math.nan, math.inf])
def test_what_is_no_p_value_is_refused(p_value: float) -> None:
    with pytest.raises((ValueError, OverflowError)):
        exact(p_value)
