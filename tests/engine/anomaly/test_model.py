"""The model: finite for anything, undone to the bit, written and read to the bit, the same from any checkpoint."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from statistics import median, quantiles

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.anomaly.paying import chaos, live, ordinary, paid
from treasury_watch.engine.anomaly import (
    KINDS,
    Model,
    ModelError,
    Observation,
    Undo,
    dump,
    load,
    rows,
    take_rows,
)
from treasury_watch.engine.anomaly.core import FIRST_WEIGHTS, WEIGHT_LIMIT, Core

_DAY = 24.0

amounts = st.one_of(st.integers(-(10**17), 10**17), st.sampled_from([0, 1, -1, 99, 10**17]))
observations = st.builds(
    Observation,
    st.integers(-(10**14), 10**16),
    st.integers(0, 167),
    amounts,
    st.sampled_from(["U1", "U2", "", "单位"]),
    st.sampled_from([None, "P1", "P2", "收款人"]),
    st.sampled_from([None, "302"]),
)


@pytest.fixture(scope="module")
def lived() -> bytes:
    """A model that has seen 6,000 payments."""
    model = Model()
    live(model, ordinary(6_000))
    return dump(model)


def test_scoring_changes_nothing(lived: bytes) -> None:
    model = load(lived)
    for seen in ordinary(50, seed=2):
        model.effect(seen, model.score(seen), True)
    assert dump(model) == lived


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(observations, st.booleans()), max_size=60))
def test_whatever_is_paid_and_whenever_scores_are_finite(payments: list[tuple[Observation, bool]]) -> None:
    model = Model()
    for seen, learn in payments:
        ((scored, _),) = live(model, [seen], learn)
        assert math.isfinite(scored.score)
        assert scored.score >= 0.0


def fuzz(count: int, seed: int) -> float:
    """The highest score of so many payments of any amounts, times and names. Raises where one is not finite."""
    rng, model, highest = random.Random(seed), Model(), 0.0
    for seen in chaos(count, seed):
        ((scored, effect),) = live(model, [seen], rng.random() < 0.95)
        assert math.isfinite(scored.score), effect
        assert scored.p_value is None or 0.0 < scored.p_value <= 1.0
        if rng.random() < 0.01 and model.accepts(effect):
            model.feedback(effect, rng.random() < 0.5)
        model.forget(6)
        highest = max(highest, scored.score)
    return highest


def test_a_fuzz_of_many_payments_gives_finite_scores() -> None:
    assert 0.0 < fuzz(6_000, 1) < 1e6


def test_undone_newest_first_a_model_is_as_it_was_to_the_bit(lived: bytes) -> None:
    model, rng = load(lived), random.Random(3)
    undone = []
    for seen in ordinary(1_700, seed=4):
        effect = model.effect(seen, model.score(seen), rng.random() < 0.9)
        undone.append(model.apply(effect))
        if rng.random() < 0.05:
            undone.append(model.feedback(effect, rng.random() < 0.5))
        if not effect[12]:
            undone.append(model.learn(effect))
    assert dump(model) != lived
    for undo in reversed(undone):
        model.undo(undo)
    assert dump(model) == lived


def test_what_is_undone_and_done_again_comes_out_alike(lived: bytes) -> None:
    straight, hesitant, rng = load(lived), load(lived), random.Random(5)
    payments = ordinary(1_500, seed=6)
    live(straight, payments)
    at = 0
    while at < len(payments):
        batch = payments[at : at + rng.randrange(1, 80)]
        undone = []
        for seen in batch:
            undone.append(hesitant.apply(hesitant.effect(seen, hesitant.score(seen), True)))
        if rng.random() < 0.5:
            for undo in reversed(undone):
                hesitant.undo(undo)
        else:
            at += len(batch)
    assert dump(hesitant) == dump(straight)


def test_written_and_read_in_mid_stream_a_model_goes_on_alike() -> None:
    payments, whole, broken = ordinary(5_000, seed=7), Model(), Model()
    scores = [scored.score for scored, _ in live(whole, payments)]
    found: list[float] = []
    for at in range(0, len(payments), 611):
        broken = load(dump(broken))
        found += [scored.score for scored, _ in live(broken, payments[at : at + 611])]
    assert found == scores
    assert dump(broken) == dump(whole)


def test_a_model_is_the_same_from_checkpoints_of_different_moments() -> None:
    """Whatever an entity or the core was before, from its checkpoint on the effects alone make it what it is."""
    rng, writer = random.Random(8), Model()
    happened: list[Callable[[Model], Undo]] = []
    said: dict[int, list[tuple[int, bytes]]] = {}  # by how much had happened: rows of a kind
    core_at, core = 0, b""
    for number, seen in enumerate(ordinary(3_000, seed=9)):
        effect = writer.effect(seen, writer.score(seen), rng.random() < 0.9)
        happened.append(partial(Model.apply, effect=effect))
        happened[-1](writer)
        if rng.random() < 0.02:
            happened.append(partial(Model.feedback, effect=effect, wrong=rng.random() < 0.5))
            happened[-1](writer)
        if not effect[12] and rng.random() < 0.5:
            happened.append(partial(Model.learn, effect=effect))
            happened[-1](writer)
        for kind in range(len(KINDS)):
            if number % 10 == kind:
                for row in rows(writer, kind, rng.sample(sorted(writer.entities(kind)), 1)):
                    said.setdefault(len(happened), []).append((kind, msgspec.msgpack.encode(row)))
        if number == 2_000:
            core_at, core = len(happened), msgspec.msgpack.encode(writer.core.cells())

    reader = Model()
    for at, change in enumerate([*happened, None]):
        for kind, row in said.get(at, ()):
            take_rows(reader, kind, [msgspec.msgpack.decode(row)])
        if at == core_at:
            reader.core = Core.of(reader.target, msgspec.msgpack.decode(core))
        if change is not None:
            change(reader)
    assert dump(reader) == dump(writer)


@pytest.mark.parametrize("data", [b"", b"\xc1", msgspec.msgpack.encode([5, 2]), msgspec.msgpack.encode({"a": 1})])
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="not a model"):
        load(data)


@pytest.mark.parametrize("version", [1, 99])
def test_a_model_of_another_version_is_refused(lived: bytes, version: int) -> None:
    with pytest.raises(ModelError, match=f"a model of version {version}; this program reads version 5"):
        load(msgspec.msgpack.encode([version, *msgspec.msgpack.decode(lived)[1:]]))


def test_no_alert_and_no_p_value_while_warming() -> None:
    lived = live(Model(), ordinary(2_001))
    assert all(scored.p_value is None and not scored.alert for scored, _ in lived[:2_000])
    assert lived[2_000][0].p_value is not None


def test_a_payment_that_is_held_is_seen_but_not_learned_until_it_is_released(lived: bytes) -> None:
    held, passed = load(lived), load(lived)
    seen = paid(3_000.0, 10**9, "U1", "stranger")
    ((_, effect),) = live(held, [seen], learn=False)
    live(passed, [seen])
    assert "stranger" not in held.payees
    assert len(held.core.calibration.ring) == len(passed.core.calibration.ring) == 5_000
    held.learn(effect)
    assert dump(load(dump(held))) == dump(held)
    assert held.payees == passed.payees


def test_an_amount_far_beyond_the_usual_is_the_oddest(lived: bytes) -> None:
    model = load(lived)
    usual = ordinary(6_001)[6_000]
    scores = [model.score(usual._replace(fen=usual.fen * times)).score for times in (1, 10, 100, 1_000)]
    assert scores == sorted(scores)
    assert model.score(usual._replace(fen=usual.fen * 1_000)).alert


def test_missing_payee_and_subject_are_no_surprise(lived: bytes) -> None:
    model = load(lived)
    scored = model.score(ordinary(1)[0]._replace(payee=None, subject=None))
    assert [scored.measured.values[at] for at in (2, 3, 4)] == [None] * 3
    live(model, [ordinary(1)[0]._replace(payee=None, subject=None)])


def test_answers_move_the_weights_within_their_bounds(lived: bytes) -> None:
    model = load(lived)
    odd = paid(5_000.0, 10**9, "U1", "P1-0")
    first = list(FIRST_WEIGHTS.values())
    effect = model.effect(odd, model.score(odd), False)
    for _ in range(300):
        model.feedback(effect, True)
    heavier = model.core.weights
    assert heavier[0] > first[0]
    assert heavier[-2:] == (2.0, 12.0)
    assert all(each <= start * WEIGHT_LIMIT for each, start in zip(heavier, first, strict=True))
    for _ in range(3_000):
        model.feedback(effect, False)
    assert all(start / WEIGHT_LIMIT <= each for each, start in zip(model.core.weights, first, strict=True))
    assert model.core.weights[0] < first[0]


def test_a_payee_whose_payments_were_wrong_is_odder_and_one_who_was_cleared_is_not(lived: bytes) -> None:
    model = load(lived)
    seen = ordinary(6_001)[6_000]
    effect, before = model.effect(seen, model.score(seen), True), model.score(seen).score
    undo = model.feedback(effect, True)
    assert model.score(seen).score > before + 5.0
    model.undo(undo)
    model.feedback(effect, False)
    assert model.score(seen).score <= before + 0.5


@pytest.mark.parametrize("wrong", [False, True])
def test_an_answer_that_is_corrected_leaves_unit_and_payee_as_if_it_had_never_been_given(
    lived: bytes, wrong: bool
) -> None:
    model, once = load(lived), load(lived)
    seen = ordinary(6_001)[6_000]
    effect = model.effect(seen, model.score(seen), True)
    model.feedback(effect, not wrong)
    undo = model.feedback(effect, wrong, True)
    once.feedback(effect, wrong)
    assert model.score(seen).measured.values == once.score(seen).measured.values
    assert (model.units, model.payees) == (once.units, once.payees)
    model.undo(undo)
    assert model.units != once.units


def test_of_an_answer_that_has_faded_no_more_is_taken_back_than_is_left(lived: bytes) -> None:
    model = load(lived)
    seen = ordinary(6_001)[6_000]
    effect = model.effect(seen, model.score(seen), True)
    model.feedback(effect, True)
    live(model, [seen] * 5)
    assert 0 < model.units[seen.unit][12] < 1_000
    model.feedback(effect, False, True)
    assert model.units[seen.unit][12:] == (0, 1_000)


def test_one_huge_payment_or_a_few_do_not_make_the_next_one_usual_for_their_pair(lived: bytes) -> None:
    model = load(lived)
    live(model, [paid(5_000.0 + hour, 10_000, "U1", "P1-0") for hour in range(300)])
    usual = model.pairs["U1", "P1-0"][2]
    live(model, [paid(5_300.0, 10**14, "U1", "P1-0")])
    assert model.pairs["U1", "P1-0"][2] == pytest.approx(usual + 0.3)
    live(model, [paid(5_301.0 + day * 192, 10**9, "U1", "P1-0") for day in range(3)])
    assert math.exp(model.pairs["U1", "P1-0"][2] - usual) < 3.5


def test_payments_of_a_pair_that_come_by_hundreds_a_day_are_not_odd_for_being_usual() -> None:
    """More of them in a day than the histogram's range reaches."""
    rng, model, scores = random.Random(1), Model(), dict[str, list[float]](clearing=[], other=[])
    for at in range(30_000):
        kind = "clearing" if rng.random() < 0.35 else "other"
        unit = 0 if kind == "clearing" else rng.randrange(1, 30)
        seen = paid(at / 50, rng.randint(10**4, 10**6), f"U{unit}", f"P{unit}-{rng.randrange(12) if unit else 0}")
        ((scored, _),) = live(model, [seen])
        if at >= 25_000:
            scores[kind].append(scored.score)
    assert min(map(len, scores.values())) > 1_500
    assert median(scores["clearing"]) < 3.0
    assert quantiles(scores["other"], n=100)[-1] > median(scores["clearing"])


def test_an_answer_on_what_did_not_alert_moves_no_weight(lived: bytes) -> None:
    model = load(lived)
    seen = ordinary(6_001)[6_000]
    scored = model.score(seen)
    model.feedback(model.effect(seen, scored, True), True)
    assert not scored.alert
    assert model.core.weights == tuple(FIRST_WEIGHTS.values())
    assert model.score(seen).score > scored.score


def test_what_is_far_behind_the_newest_payment_is_not_taken_any_more(lived: bytes) -> None:
    model = load(lived)
    ((_, effect),) = live(model, [paid(5_000.0, 100)], learn=False)
    live(model, [paid(5_000.0 + 120 * _DAY, 100)])
    assert model.accepts(effect)
    live(model, [paid(5_000.0 + 120 * _DAY + 1, 100)])
    assert not model.accepts(effect)


def _growing(start: Sequence[Observation], a_payment: float, count: int) -> list[Observation]:
    """Payments of one unit, two a day, whose amounts grow by a factor at each."""
    usual = 10_000_00
    rng, last = random.Random(11), start[-1]
    hours = 168.0 * 120
    return [
        paid(hours + 12 * number, int(usual * a_payment**number * 10 ** rng.gauss(0, 0.1)), last.unit, last.payee)
        for number in range(count)
    ]


def test_an_attacker_who_teaches_the_model_by_growing_payments_is_noticed() -> None:
    steady = [paid(6.0 * n, int(10_000_00 * 10 ** random.Random(n).gauss(0, 0.1)), "U1", "P1") for n in range(3_000)]
    model = Model()
    assert not any(scored.creeping for scored, _ in live(model, steady))
    attack = _growing(steady, 1.01, 300)
    noticed = next(at for at, (scored, _) in enumerate(live(model, attack)) if scored.creeping)
    assert 1.01**noticed < 4.5


def test_of_many_ordinary_payments_none_seems_to_creep() -> None:
    assert sum(scored.creeping for scored, _ in live(Model(), ordinary(8_000))) <= 2


def test_the_bits_of_a_year_are_pinned() -> None:
    lived = live(Model(), chain(ordinary(3_000, seed=12), [paid(2_000.0, 10**17), paid(2_000.0, -5), paid(9.0, 0)]))
    assert [scored.score.hex() for scored, _ in lived[-3:]] == [
        "0x1.6e6bf64f83e71p+10",
        "0x1.6eb841057ab58p+5",
        "0x1.00d99ff32025dp+6",
    ]
