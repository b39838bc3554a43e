"""Entities change by the effect and by themselves, count hours of the week in one number, and are forgotten."""

from __future__ import annotations

import random
from itertools import pairwise

import msgspec
import pytest

from tests.engine.anomaly.paying import live, ordinary, paid
from treasury_watch.engine.anomaly import Model
from treasury_watch.engine.anomaly.entities import (
    EXPIRES,
    LATEST,
    PART,
    PARTS,
    hours_of,
    hours_with,
    payee_after,
    payee_told,
    unit_after,
)


def test_hours_are_counted_by_part_of_the_week_and_halved_when_one_is_full() -> None:
    rng, hours, naive = random.Random(1), 0, [0] * PARTS
    for _ in range(2_000):
        part = PART[rng.choice((9, 10, 33, 60, 130))]
        if naive[part] == 63:
            naive = [count // 2 for count in naive]
        naive[part] += 1
        hours = hours_with(hours, part)
        assert [hours_of(hours, each) for each in range(PARTS)] == [(count, sum(naive)) for count in naive]
    assert hours < 2**63


def test_a_late_payment_counts_and_moves_no_time_back() -> None:
    unit = unit_after(unit_after(None, 100, 5.0, 0.0, 1, 1, 0.0), 90, 5.0, 0.0, 1, 0, 0.0)
    assert (unit[0], unit[2], unit[7]) == (2, 100, 2.0)


def test_who_was_not_paid_for_400_days_is_new_again() -> None:
    payee = payee_after(None, 0, 5.0, 0.0)
    assert payee_after(payee, EXPIRES, 5.0, 0.0)[0] == 2
    assert payee_after(payee, EXPIRES + 1, 5.0, 0.0)[0] == 1


def test_what_people_said_of_an_unknown_payee_is_kept() -> None:
    payee = payee_told(None, 7, 5.0, True, False)
    assert payee_after(payee, 8, 6.0, 0.0)[-2:] == (930, 0)


@pytest.mark.parametrize("seed", range(3))
def test_forgetting_at_any_time_changes_no_score(seed: int) -> None:
    rng, one, other = random.Random(seed), Model(), Model()
    hours = 0.0
    for number in range(3_000):
        hours += rng.choice((1, 5, 200, 3_000 if rng.random() < 0.05 else 1))
        seen = paid(
            max(0.0, hours - rng.choice((0, 0, 0, 2_000, 9_000))), 1_000, f"U{rng.randrange(40)}", f"P{number % 97}"
        )
        assert live(one, [seen])[0][1] == live(other, [seen])[0][1]
        other.forget(rng.randrange(20))
    assert len(other.pairs) < len(one.pairs)


def test_five_years_of_ever_new_payees_stay_flat() -> None:
    model, sizes = Model(), []
    for day in range(5 * 365):
        for number in range(8):
            live(model, [paid(24.0 * day + number, 100_000, f"U{number}", f"P{day}-{number}")])
            model.forget(6)
        if day % 365 == 364:
            sizes.append(len(model.payees) + len(model.pairs))
    longest = (EXPIRES + LATEST) // 24 * 8 * 2
    assert sizes[2:] == [pytest.approx(longest, rel=0.35)] * 3


def test_no_more_entities_are_looked_at_than_asked_and_a_round_begins_when_some_can_have_expired() -> None:
    model, after = Model(), (EXPIRES + LATEST + 1.0)
    live(model, [paid(0.0, 1_000, f"U{number}", None) for number in range(10)])
    for _ in range(10):
        model.forget(100)
    live(model, [paid(after, 1_000, "NEW", None)])
    lengths = []
    for looks in (0, 0, *[1] * 20):
        model.forget(looks)
        lengths.append(len(model.units))
    assert lengths[:2] == [11, 11]
    assert lengths[-1] == 1
    assert all(before - now <= 1 for before, now in pairwise(lengths))


def test_an_entity_and_a_core_are_small() -> None:
    model = Model()
    live(model, ordinary(7_999))
    entities = [*model.units.values(), *model.payees.values(), *model.pairs.values()]
    mean = sum(len(msgspec.msgpack.encode(each)) for each in entities) / len(entities)
    assert mean < 65
    assert len(msgspec.msgpack.encode(model.core.cells())) < 100_000
