"""The model is a detector of river; wrong names and parameters are refused with the nearest right one."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from river import anomaly, base, compose
from river.checks import anomaly as of_anomalies
from river.checks import common, yield_checks
from sklearn.metrics import roc_auc_score

from treasury_watch.adapters.detectors import RIVER, DetectorError, OnPaymentFeatures, TailSurprise, detector
from treasury_watch.engine.anomaly import Model, Observation

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def payments(count: int, odd: bool = True) -> list[tuple[dict[str, Any], bool]]:
    """Payments of working hours; every hundredth is to a stranger and a hundred times as large."""
    rng = random.Random(1)
    made: list[tuple[dict[str, Any], bool]] = []
    for number in range(count):
        wrong = odd and number % 100 == 99
        made.append(
            (
                {
                    "event_time": MONDAY + timedelta(hours=number // 9 * 24 + 9 + number % 9),
                    "amount": rng.randrange(100, 900) * (100 if wrong else 1),
                    "budget_unit": f"U{rng.randrange(4)}",
                    "payee": f"stranger {number}" if wrong else f"P{rng.randrange(6)}",
                    "subject": "30201",
                },
                wrong,
            )
        )
    return made


DATA = payments(700)
GENERAL = [check for check in yield_checks(TailSurprise()) if not getattr(check, "keywords", None)]
# What river tries on a data set of its own, which has no payments, is tried on ours.
ON_DATA: list[Callable[..., None]] = [
    common.check_learn_one,
    common.check_pickling,
    common.check_shuffle_features_no_impact,
    common.check_emerging_features,
    common.check_disappearing_features,
    common.check_radically_disappearing_features,
    common.check_predict_one_pure,
    common.check_predict_one_before_any_learn,
    common.check_no_state_aliasing_with_input,
    common.check_clone_is_independent,
    common.check_bounded_memory_growth,
    of_anomalies.check_roc_auc,
]


@pytest.mark.parametrize("check", GENERAL, ids=lambda check: check.__name__)
def test_what_river_asks_of_every_estimator_holds(check: Callable[..., None]) -> None:
    check(TailSurprise())


@pytest.mark.parametrize("check", ON_DATA, ids=lambda check: check.__name__)
def test_what_river_asks_on_data_holds_on_payments(check: Callable[..., None]) -> None:
    check(TailSurprise(), dataset=DATA)


def test_the_checks_are_more_than_a_few() -> None:
    assert len(GENERAL) >= 10


def test_scores_are_those_of_the_model() -> None:
    found, model = TailSurprise(), Model()
    for x, _ in DATA:
        moment = x["event_time"]
        seen = Observation(
            int(moment.timestamp()) * 10**6,
            moment.weekday() * 24 + moment.hour,
            x["amount"] * 100,
            x["budget_unit"],
            x["payee"],
            x["subject"],
        )
        scored = model.score(seen)
        assert found.score_one(x) == scored.score
        found.learn_one(x)
        model.apply(model.effect(seen, scored, True))


def test_it_works_at_the_end_of_a_pipeline() -> None:
    pipeline = compose.Select("event_time", "amount", "budget_unit", "payee") | TailSurprise()
    scores = []
    for x, _ in DATA:
        scores.append(pipeline.score_one(x))
        pipeline.learn_one(x)
    assert roc_auc_score([wrong for _, wrong in DATA], scores) > 0.95


def test_the_hour_is_that_of_the_payments_own_offset() -> None:
    at_night = {"event_time": datetime(2026, 3, 2, 1, tzinfo=timezone(timedelta(hours=8))), "budget_unit": "U1"}
    by_day = {"event_time": datetime(2026, 3, 2, 9, tzinfo=timezone(timedelta(hours=8))), "budget_unit": "U1"}
    found = TailSurprise()
    for x, _ in DATA:
        found.learn_one(x)
    assert found.score_one(at_night) > found.score_one(by_day)


@pytest.mark.parametrize("amount", [Decimal("1.20"), "1.20", 1.2, 1, 0, -5, 10**15])
def test_an_amount_may_be_any_number_of_yuan(amount: Any) -> None:
    assert math.isfinite(TailSurprise().score_one(DATA[0][0] | {"amount": amount}))


@pytest.mark.parametrize("amount", ["", "x", None, math.nan, math.inf, Decimal("NaN"), 10**15 + 1, "1e999999"])
def test_what_is_no_amount_is_refused(amount: Any) -> None:
    with pytest.raises(ValueError, match="amount: expected yuan, up to 10"):
        TailSurprise().score_one(DATA[0][0] | {"amount": amount})


@pytest.mark.parametrize(("year", "offset"), [(9999, -12), (1, 14)])
def test_at_either_end_of_the_calendar_payments_are_scored_and_those_after_them_without_a_time(
    year: int, offset: int
) -> None:
    moment = datetime(year, 12 if year > 1 else 1, 31 if year > 1 else 1, 12, tzinfo=timezone(timedelta(hours=offset)))
    detector = TailSurprise()
    detector.learn_one(DATA[0][0] | {"event_time": moment})
    assert math.isfinite(detector.score_one(DATA[0][0] | {"event_time": moment}))
    assert math.isfinite(detector.score_one({"amount": 2}))


def test_a_payment_without_a_time_is_taken_to_be_of_the_newest_hour() -> None:
    timed, untimed = TailSurprise(), TailSurprise()
    for x, _ in DATA:
        for each in (timed, untimed):
            each.learn_one(x)
    newest = max(x["event_time"] for x, _ in DATA).astimezone(UTC)
    x = {key: value for key, value in DATA[-1][0].items() if key != "event_time"}
    assert untimed.score_one(x) == timed.score_one(x | {"event_time": newest})


def test_a_time_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="event_time: expected a datetime with its offset"):
        TailSurprise().learn_one(DATA[0][0] | {"event_time": datetime(2026, 3, 2)})  # noqa: DTZ001


@pytest.mark.parametrize("name", ["TailSurprise", *RIVER])
def test_every_detector_by_name_scores_and_learns_payments(name: str) -> None:
    found = detector(name)
    for x, _ in DATA[:120]:
        assert math.isfinite(found.score_one(x))
        found.learn_one(x)
    assert isinstance(found, base.AnomalyDetector)


def test_half_space_trees_find_the_strangers_too() -> None:
    found = detector("HalfSpaceTrees", {"n_trees": 10, "height": 6, "window_size": 50, "seed": 1})
    assert isinstance(found, OnPaymentFeatures)
    assert isinstance(found.detector["HalfSpaceTrees"], anomaly.HalfSpaceTrees)
    scores = []
    for x, _ in DATA:
        scores.append(found.score_one(x))
        found.learn_one(x)
    assert roc_auc_score([wrong for _, wrong in DATA], scores) > 0.8


def test_features_are_measured_before_the_payment_is_learned() -> None:
    class Recording(base.AnomalyDetector):
        def __init__(self) -> None:
            self.scored: list[dict[str, float]] = []
            self.learned: list[dict[str, float]] = []

        def score_one(self, x: dict[str, float]) -> float:
            self.scored.append(x)
            return 0.0

        def learn_one(self, x: dict[str, float]) -> None:
            self.learned.append(x)

    inner = Recording()
    found = OnPaymentFeatures(inner)
    for x, _ in DATA[:50]:
        found.score_one(x)
        found.learn_one(x)
    assert inner.scored == inner.learned
    assert inner.scored[0] != inner.scored[1]


@pytest.mark.parametrize("name", ["TailSurprise", "HalfSpaceTrees"])
def test_pickled_in_mid_stream_a_detector_goes_on_alike(name: str) -> None:
    found = detector(name, {"seed": 1} if name == "HalfSpaceTrees" else {})
    for x, _ in DATA[:300]:
        found.learn_one(x)
    other = pickle.loads(pickle.dumps(found))
    assert [found.score_one(x) for x, _ in DATA[300:350]] == [other.score_one(x) for x, _ in DATA[300:350]]


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("HalfspaceTree", {}, "no detector 'HalfspaceTree': did you mean 'HalfSpaceTrees'?"),
        (
            "xyz",
            {},
            "no detector 'xyz': expected one of TailSurprise, HalfSpaceTrees, LODA, LocalOutlierFactor, OneClassSVM",
        ),
        ("HalfSpaceTrees", {"ntrees": 3}, "HalfSpaceTrees has no parameter 'ntrees': did you mean 'n_trees'?"),
        ("TailSurprise", {"seed": 3}, "TailSurprise has no parameter 'seed': expected one of target"),
        ("TailSurprise", {"target": 0}, "TailSurprise: target is 0, expected a number between 0 and 1"),
        ("TailSurprise", {"target": "1 %"}, "TailSurprise: target is '1 %', expected a number between 0 and 1"),
        ("TailSurprise", {"target": True}, "TailSurprise: target is True, expected a number between 0 and 1"),
    ],
)
def test_a_wrong_name_or_parameter_is_refused_with_what_is_right(
    name: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(DetectorError) as refused:
        detector(name, parameters)
    assert str(refused.value) == message
