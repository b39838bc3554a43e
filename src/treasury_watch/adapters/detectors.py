"""Detectors (检测器): the anomaly model as a detector of river, and river's own on the same features, by name.

A payment is a dictionary: `event_time` (aware datetime; its own offset says the local hour), `amount` (yuan: Decimal,
int, float or text), `budget_unit`, and where there are any `payee` and `subject`. What else stands there is ignored.
What is missing is taken as empty, a missing event time as the newest so far, so that any dictionary can be scored.
Importing this module imports river, which takes seconds: workers must not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from river import anomaly, preprocessing
from river.base import AnomalyDetector

from treasury_watch.domain.payment import microseconds
from treasury_watch.engine.anomaly import Model, Observation, dump, load
from treasury_watch.engine.anomaly.features import NAMES
from treasury_watch.engine.anomaly.model import TARGET

_HOUR_US = 3_600_000_000
_THURSDAY = 3 * 24  # hour of the week at which 1970 began, in UTC
_MOST_FEN = 10**17
_LOOKS = 6  # entities that are looked at for what has expired, for each payment learned


class DetectorError(ValueError):
    """A detector's name or parameters that are none, in one sentence that names the nearest right one."""


class TailSurprise(AnomalyDetector):
    """The anomaly model: per-feature tail surprise against what unit, payee and subject usually do.

    Parameters
    ----------
    target
        The share of payments that are to alert, in (0, 1). It changes no score.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from treasury_watch.adapters.detectors import TailSurprise
    >>> detector = TailSurprise()
    >>> payment = {"event_time": datetime(2026, 3, 2, 9, tzinfo=UTC), "amount": 120, "budget_unit": "U1", "payee": "P1"}
    >>> for _ in range(100):
    ...     detector.learn_one(payment)
    >>> detector.score_one(payment) < detector.score_one(payment | {"amount": 120_000})
    True
    """

    def __init__(self, target: float = TARGET) -> None:
        self.target = target
        self._model = Model(target)

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """The anomaly score, ≥ 0 and finite. Raises ValueError for an amount or a time that is none."""
        return self._model.score(_observation(x, self._model)).score

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Learns a payment. Raises ValueError for an amount or a time that is none."""
        _learn(self._model, _observation(x, self._model))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_model": dump(self._model)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._model = load(state["_model"])


class OnPaymentFeatures(AnomalyDetector):
    """Another detector on the features of payments, each measured before its payment is learned; a missing one is 0.

    Parameters
    ----------
    detector
        A detector of river, or a pipeline that ends in one.
    """

    def __init__(self, detector: Any) -> None:
        self.detector = detector
        self._model = Model()

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """The detector's score of the payment's features."""
        return float(self.detector.score_one(self._features(_observation(x, self._model))))

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Lets the detector learn the payment's features, and then the features what is usual."""
        seen = _observation(x, self._model)
        self.detector.learn_one(self._features(seen))
        _learn(self._model, seen)

    def _features(self, seen: Observation) -> dict[str, float]:
        values = self._model.score(seen).measured.values
        return {name: 0.0 if value is None else value for name, value in zip(NAMES, values, strict=True)}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_model": dump(self._model)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._model = load(state["_model"])


@dataclass(frozen=True, slots=True)
class _River:
    """A detector of river's, and the scaler that its input needs."""

    made: Callable[..., Any]
    scaler: Callable[[], Any] | None = None


OURS = "TailSurprise"
RIVER: dict[str, _River] = {
    "HalfSpaceTrees": _River(anomaly.HalfSpaceTrees, preprocessing.MinMaxScaler),
    "LODA": _River(anomaly.LODA, preprocessing.StandardScaler),
    "LocalOutlierFactor": _River(anomaly.LocalOutlierFactor, preprocessing.StandardScaler),
    "OneClassSVM": _River(anomaly.OneClassSVM, preprocessing.StandardScaler),
}


def detector(name: str, parameters: Mapping[str, Any] | None = None) -> AnomalyDetector:
    """The detector of that name, with these parameters: this model, or one of river's on the same features.

    Raises DetectorError for a name or a parameter that is unknown, or a value that the detector refuses.
    """
    given = dict(parameters or {})
    if name != OURS and name not in RIVER:
        raise DetectorError(f"no detector {name!r}: {_expected(name, [OURS, *RIVER])}")
    made = TailSurprise if name == OURS else RIVER[name].made
    known = [each for each in inspect.signature(made).parameters if each != "self"]
    for each in given:
        if each not in known:
            raise DetectorError(f"{name} has no parameter {each!r}: {_expected(each, known)}")
    if name == OURS:
        target = given.get("target", TARGET)
        if isinstance(target, bool) or not isinstance(target, (int, float)) or not 0.0 < target < 1.0:
            raise DetectorError(f"{OURS}: target is {target!r}, expected a number between 0 and 1")
        return TailSurprise(float(target))
    try:
        inner = made(**given)
    except (TypeError, ValueError) as error:
        raise DetectorError(f"{name}: {error}") from None
    scaler = RIVER[name].scaler
    return OnPaymentFeatures(inner if scaler is None else scaler() | inner)


def _expected(given: str, known: list[str]) -> str:
    lower = {each.lower(): each for each in known}
    near = get_close_matches(given.lower(), lower, n=1, cutoff=0.5)
    return f"did you mean {lower[near[0]]!r}?" if near else f"expected one of {', '.join(known)}"


def _observation(x: dict[Hashable, Any], model: Model) -> Observation:
    moment = x.get("event_time")
    if moment is None:
        step = max(0, model.core.watermark)
        us, hour = step * _HOUR_US, (step + _THURSDAY) % 168
    elif isinstance(moment, datetime) and moment.tzinfo is not None:
        us, hour = microseconds(moment), moment.weekday() * 24 + moment.hour
    else:
        raise ValueError(f"event_time: expected a datetime with its offset, found {moment!r}")
    return Observation(
        us,
        hour,
        _fen(x.get("amount", 0)),
        str(x.get("budget_unit", "")),
        _text(x.get("payee")),
        _text(x.get("subject")),
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _fen(amount: Any) -> int:
    try:
        fen = int((Decimal(str(amount)) * 100).to_integral_value())
    except (ArithmeticError, ValueError):
        fen = None
    if fen is None or abs(fen) > _MOST_FEN:
        raise ValueError(f"amount: expected yuan, up to 10^15, found {amount!r}")
    return fen


def _learn(model: Model, seen: Observation) -> None:
    model.apply(model.effect(seen, model.score(seen), True))
    model.forget(_LOOKS)
