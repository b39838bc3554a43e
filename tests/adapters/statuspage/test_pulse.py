"""The pulse: what came of late, whatever came before."""

from __future__ import annotations

from math import inf

import pytest

from treasury_watch.adapters.statuspage.pulse import Pulse

EDGES = (0.01, 0.02, 0.05, inf)


def pulse(*noted: tuple[float, list[float]]) -> Pulse:
    made = Pulse(EDGES)
    for at, up_to in noted:
        made.note(at, up_to)
    return made


def test_before_there_is_anything_to_compare_nothing_is_said() -> None:
    made = pulse((1.0, [5, 5, 5, 5]))
    assert (made.per_second(), made.latency_ms(0.5)) == (None, None)


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    assert pulse((0.0, [0] * 4), (1.0, [300] * 4)).per_second() == 300
    slower = [(float(second), [1000.0 + 10 * second] * 4) for second in range(90, 121)]
    assert pulse((0.0, [0] * 4), *slower).per_second() == pytest.approx(10)


def test_a_quantile_lies_within_its_bucket() -> None:
    made = pulse((0.0, [0] * 4), (1.0, [50, 90, 100, 100]))
    assert made.latency_ms(0.25) == pytest.approx(5)
    assert made.latency_ms(0.5) == pytest.approx(10)
    assert made.latency_ms(0.7) == pytest.approx(15)
    assert made.latency_ms(0.99) == pytest.approx(47)


def test_beyond_the_last_edge_a_quantile_is_that_edge() -> None:
    assert pulse((0.0, [0] * 4), (1.0, [0, 0, 0, 7])).latency_ms(0.5) == 50


def test_latencies_of_more_than_a_minute_ago_are_forgotten() -> None:
    quick = [
        (float(second), [100.0 * second, 100.0 * second, 100.0 * second, 100.0 * second + 1e6]) for second in range(70)
    ]
    made = pulse((-1.0, [0] * 4), *quick)
    assert made.latency_ms(0.99) == pytest.approx(9.9)
    assert pulse(*[(float(second), [5.0] * 4) for second in range(70)]).latency_ms(0.5) is None
