"""The detectors that are compared: the model with and without feedback, river's, and offline ones fitted on the prefix.

All others get the values of the model's features, so that only the way of judging them differs. What is missing is 0
to them. Scores are higher for what is odder.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest  # type: ignore[import-untyped]
from sklearn.metrics import average_precision_score  # type: ignore[import-untyped]

from benchmarks.anomaly_planting import Labelled
from benchmarks.anomaly_streams import RULES_JOB, Stream
from treasury_watch.engine.anomaly import Effect, Model
from treasury_watch.engine.anomaly.features import NAMES

Floats = npt.NDArray[np.float64]
_DAY_US = 86_400_000_000
PREFIX = 5  # the first of so many parts is for fitting and tuning
TUNED_ON = 12_000  # payments of the prefix, the last ones
_SEED = 7


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one stream: scores (n,), whether each payment alerted and had a p-value (n,) where there are any,
    feature values (n, features), and the CPU time of one payment."""

    scores: Floats
    us: float
    alerts: npt.NDArray[np.bool_] | None = None
    warm: npt.NDArray[np.bool_] | None = None
    values: Floats | None = None


def model_run(stream: Stream, feedback: str = "none") -> Run:
    """The model through a stream. With `feedback` it is told, days later, of `all` payments that were wrong or only of
    the `alerted` ones, and in both cases of alerts that were not.
    """
    models: dict[str, Model] = {}
    told: deque[tuple[int, Model, Effect, bool]] = deque()
    count = len(stream.payments)
    scores, values = np.zeros(count), np.zeros((count, len(NAMES)))
    alerts, warm = np.zeros(count, bool), np.zeros(count, bool)
    spent, later = 0.0, stream.days_to_label * _DAY_US
    for at, (labelled, key) in enumerate(zip(stream.payments, stream.keys, strict=True)):
        seen, wrong = labelled.seen, bool(labelled.kind)
        model = models.get(key) or models.setdefault(key, Model())
        started = time.process_time_ns()
        while told and told[0][0] <= seen.us:
            _, other, effect, was_wrong = told.popleft()
            if other.accepts(effect):
                other.feedback(effect, was_wrong)
        scored = model.score(seen)
        effect = model.effect(seen, scored, True)
        model.apply(effect)
        spent += time.process_time_ns() - started
        if feedback != "none" and (scored.alert or (wrong and feedback == "all")):
            told.append((seen.us + later, model, effect, wrong))
        scores[at], alerts[at], warm[at] = scored.score, scored.alert, scored.p_value is not None
        values[at] = [0.0 if value is None else value for value in scored.measured.values]
    return Run(scores, spent / count / 1e3, alerts, warm, values)


# --- river's ---

RIVER: dict[str, list[dict[str, Any]]] = {
    "HalfSpaceTrees": [
        {"n_trees": 25, "height": 8, "window_size": 250},
        {"n_trees": 25, "height": 8, "window_size": 2_000},
        {"n_trees": 25, "height": 12, "window_size": 1_000},
    ],
    "LODA": [
        {"n_bins": 10, "n_random_cuts": 25},
        {"n_bins": 30, "n_random_cuts": 25},
        {"n_bins": 100, "n_random_cuts": 25},
    ],
}


def _river(name: str, parameters: dict[str, Any]) -> Any:
    from river import anomaly, preprocessing

    if name == "HalfSpaceTrees":
        return preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(**parameters, seed=_SEED)
    return preprocessing.StandardScaler() | anomaly.LODA(**parameters, seed=_SEED)


def _through(detector: Any, values: Floats) -> Run:
    scores = np.zeros(len(values))
    started = time.process_time()
    for at, row in enumerate(values.tolist()):
        x = dict(zip(NAMES, row, strict=True))
        scores[at] = detector.score_one(x)
        detector.learn_one(x)
    return Run(scores, (time.process_time() - started) / len(values) * 1e6)


def river_run(name: str, values: Floats, payments: list[Labelled]) -> tuple[Run, dict[str, Any]]:
    """One of river's detectors with the best of its parameters, which are found on the last payments of the prefix."""
    end = len(values) // PREFIX
    start = max(0, end - TUNED_ON)
    counted, wrong = counted_and_wrong(payments[start:end])
    counted[: len(counted) // 3] = False  # what it begins with

    def quality(parameters: dict[str, Any]) -> float:
        scores = _through(_river(name, parameters), values[start:end]).scores
        return float(average_precision_score(wrong[counted], scores[counted])) if wrong[counted].any() else 0.0

    best = max(RIVER[name], key=quality)
    return _through(_river(name, best), values), best


# --- offline ---


def _isolation_forest(prefix: Floats) -> Callable[[Floats], Floats]:
    forest = IsolationForest(n_estimators=200, random_state=_SEED).fit(prefix)
    return lambda values: np.asarray(-forest.score_samples(values), dtype=np.float64)


def _tails(prefix: Floats) -> Callable[[Floats], tuple[Floats, Floats, Floats]]:
    """−ln of the empirical lower and upper tail probabilities of each value, and the tail that the skewness says."""
    ordered = np.sort(prefix, axis=0)
    n, features = ordered.shape
    skewness = np.sum((ordered - ordered.mean(axis=0)) ** 3, axis=0)

    def tails(values: Floats) -> tuple[Floats, Floats, Floats]:
        lower, upper = np.empty_like(values), np.empty_like(values)
        for each in range(features):
            lower[:, each] = np.searchsorted(ordered[:, each], values[:, each], "right")
            upper[:, each] = n - np.searchsorted(ordered[:, each], values[:, each], "left")
        left, right = -np.log((lower + 1) / (n + 1)), -np.log((upper + 1) / (n + 1))
        return left, right, np.where(skewness < 0, left, right)

    return tails


def _ecod(prefix: Floats) -> Callable[[Floats], Floats]:
    """Li et al. 2022, doi:10.1109/TKDE.2022.3159580: the largest of the three sums over features."""
    tails = _tails(prefix)

    def score(values: Floats) -> Floats:
        left, right, skewed = (each.sum(axis=1) for each in tails(values))
        return np.asarray(np.maximum(np.maximum(left, right), skewed), dtype=np.float64)

    return score


def _copod(prefix: Floats) -> Callable[[Floats], Floats]:
    """Li et al. 2020, doi:10.1109/ICDM50108.2020.00135: of each feature the larger of its skewed and its mean tail."""
    tails = _tails(prefix)

    def score(values: Floats) -> Floats:
        left, right, skewed = tails(values)
        return np.asarray(np.maximum(skewed, (left + right) / 2).sum(axis=1), dtype=np.float64)

    return score


OFFLINE: dict[str, Callable[[Floats], Callable[[Floats], Floats]]] = {
    "IsolationForest": _isolation_forest,
    "ECOD": _ecod,
    "COPOD": _copod,
}


def offline_runs(values: Floats) -> Iterator[tuple[str, Run]]:
    """Each offline detector, fitted on the prefix."""
    for name, fitted_on in OFFLINE.items():
        started = time.process_time()
        scores = fitted_on(values[: len(values) // PREFIX])(values)
        yield name, Run(scores, (time.process_time() - started) / len(values) * 1e6)


def counted_and_wrong(payments: list[Labelled]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which payments are counted, and which of them are wrong."""
    kinds = np.array([each.kind for each in payments])
    return kinds != RULES_JOB, (kinds != "") & (kinds != RULES_JOB)
