"""Evaluation (评估): how good detectors are on the payments of a file, prequentially and side by side.

Each payment is scored by what was learned of those before it, and then learned; there is one model for each
partition-key value. River's detectors judge the features that the anomaly model measures, so that only the way of
judging differs. What is counted begins after the first fifth of the payments.
"""

from __future__ import annotations

import inspect
import math
import pickle
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from itertools import islice
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from treasury_watch import __version__
from treasury_watch.adapters.backtest import Labels, Source
from treasury_watch.adapters.jsonl import Line
from treasury_watch.adapters.ranking import (
    Hits,
    Ints,
    average_precision,
    curve_of,
    hits_of,
    precision_a_day,
    roc_auc,
)
from treasury_watch.adapters.replay import Refused
from treasury_watch.adapters.wire import decode
from treasury_watch.domain.calendar import Days
from treasury_watch.domain.payment import Instruction, fen_of, microseconds, partition_key_of
from treasury_watch.domain.verdict import Refusal
from treasury_watch.engine.anomaly import Model, Observation, Scored, dump
from treasury_watch.engine.anomaly.calibration import Calibration
from treasury_watch.engine.anomaly.features import NAMES
from treasury_watch.engine.program import DEFAULT_MAX_LATENESS
from treasury_watch.engine.scoring import LOOKS, observation
from treasury_watch.rules.model import DETECTORS, Real
from treasury_watch.rules.shapes import Shape, Whole

BLOCK = 10_000
PREFIX = 5  # the first of so many parts is not counted
SEED = 1  # of detectors that draw lots
_BATCH = 1_000
_MAX_LATENESS_US = DEFAULT_MAX_LATENESS // timedelta(microseconds=1)
_WARMING, _QUIET, _ALERT = range(3)
_FINE, _WRONG, _UNKNOWN = range(3)


# --- payments ---


class Payment(NamedTuple):
    """An instruction, the partition-key value whose model judges it, what that sees, and the local day's ordinal."""

    instruction: Instruction
    key: str
    seen: Observation
    day: int


@dataclass
class Reading:
    """What became of the lines of a file: `lines` is the payments, the duplicates and everything in `refused`.

    `late`: payments which workers would refuse, as the newest before them of their partition-key value is too far on.
    """

    lines: int = 0
    payments: int = 0
    duplicates: int = 0
    late: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def payment_of(instruction: Instruction, partition_by: str, days: Days) -> Payment | Refusal:
    """The payment as the engine's model sees it, but for its amount, which is as it stands, whatever the currency."""
    key = partition_key_of(instruction, partition_by)
    if key is None:
        return Refusal("wrong_key", f"{partition_by} is missing, and it is the partition key")
    us = microseconds(instruction.event_time)
    day = days.of(us)
    return Payment(instruction, key, observation(instruction, us, fen_of(instruction.amount), day), day.ordinal)


def payments_of(
    lines: Iterable[Line], partition_by: str, days: Days, reading: Reading, refused: Callable[[Refused], object]
) -> Iterator[Payment]:
    """The payments of a file in its order, each id once for each partition-key value; counts go to `reading`."""
    ids: set[tuple[str, str]] = set()
    newest: dict[str, int] = {}  # event time, by partition-key value
    for line in lines:
        reading.lines += 1
        decoded = decode(line.value)
        found = decoded if isinstance(decoded, Refusal) else payment_of(decoded, partition_by, days)
        if isinstance(found, Refusal):
            reading.refused[found.reason] += 1
            refused(Refused(line.number, found.reason, found.detail))
            continue
        named = found.key, found.instruction.instruction_id
        if named in ids:
            reading.duplicates += 1
            continue
        ids.add(named)
        reading.payments += 1
        us = found.seen.us
        before = newest.get(found.key, us)
        reading.late += us < before - _MAX_LATENESS_US
        newest[found.key] = max(us, before)
        yield found


def scored_after(payments: Iterable[Payment], wanted: Payment, target: float) -> tuple[Scored, int]:
    """How odd a payment is after those before it of the same partition-key value, and how many these are."""
    model = Model(target)
    before = 0
    for each in payments:
        if each.key == wanted.key:
            if each.instruction.instruction_id == wanted.instruction.instruction_id:
                break
            _learned(model, each.seen)
            before += 1
    return model.score(wanted.seen), before


# --- detectors ---


@dataclass(frozen=True, slots=True)
class Choice:
    """A detector that was asked for: its name with parameters, the target of its alerts, and a new one of river's;
    `made` is `None` for the anomaly model itself.
    """

    name: str
    target: float
    made: Callable[[], Any] | None


def chosen(text: str, target: float) -> Choice:
    """The detector that `NAME` or `NAME:key=value,…` says. Raises DetectorError.

    Importing river takes seconds, and happens here. What draws lots has the seed 1 unless another is given.
    """
    from treasury_watch.adapters.detectors import OURS, RIVER, DetectorError, OnPaymentFeatures, TailSurprise, detector

    name, _, rest = text.partition(":")
    given = dict(_parameter(text, each) for each in rest.split(",")) if rest else {}
    if name == OURS:
        given = {"target": target} | given
    elif name in RIVER and "seed" in inspect.signature(RIVER[name].made).parameters:
        given = {"seed": SEED} | given
    for each in DETECTORS[name].keys if name in RIVER else ():
        if each.name in given and (wrong := _out_of_range(each.shape, given[each.name])):
            raise DetectorError(f"{text}: {each.name} is {given[each.name]!r}, expected {wrong}")
    first = detector(name, given)
    if isinstance(first, TailSurprise):
        return Choice(text, first.target, None)
    assert isinstance(first, OnPaymentFeatures)
    nothing = dict.fromkeys(NAMES, 0.0)
    try:  # most parameters are looked at when they are used
        for _ in range(2):
            first.detector.score_one(nothing)
            first.detector.learn_one(nothing)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise DetectorError(f"{text}: {error}") from None
    return Choice(text, target, lambda: cast("OnPaymentFeatures", detector(name, given)).detector)


def _out_of_range(shape: Shape, value: int | float) -> str | None:
    """What rules would take instead of a parameter's value; `None` if it is good."""
    if isinstance(shape, Whole):
        good, expected = isinstance(value, int) and shape.low <= value <= shape.high, f"{shape.low:,} to {shape.high:,}"
        return None if good else f"a whole number from {expected}"
    assert isinstance(shape, Real)
    return None if 0 < value <= shape.high else f"a number above 0, at most {shape.high:,}"


def _parameter(text: str, said: str) -> tuple[str, int | float]:
    from treasury_watch.adapters.detectors import DetectorError

    key, _, value = said.partition("=")
    for number in (int, float):
        try:
            return key, number(value)
        except ValueError:
            continue
    raise DetectorError(f"{text}: expected key=number after the colon, found {said!r}")


class _Column:
    """One detector at work on the file, with its models and calibrations by partition-key value."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.scores = array("d")
        self.standings = bytearray()  # _WARMING, _QUIET or _ALERT
        self.spent_ns = 0
        self.not_finite = 0
        self.inner: dict[str, Any] = {}
        self._calibrations: dict[str, Calibration] = {}

    def judge(self, keys: list[str], measured: list[Scored]) -> None:
        """Judges the payments of a batch, whose features have been measured."""
        made = self.choice.made
        scores = [each.score for each in measured] if made is None else self._through(made, keys, measured)
        for key, score in zip(keys, scores, strict=True):
            if not math.isfinite(score):
                self.not_finite += 1
                score = 0.0
            calibration = self._calibrations.get(key)
            if calibration is None:
                calibration = self._calibrations[key] = Calibration(self.choice.target)
            p_value = calibration.p_value(score)
            alert = p_value is not None and p_value <= self.choice.target
            calibration.see(score, alert)
            self.scores.append(score)
            self.standings.append(_WARMING if p_value is None else _ALERT if alert else _QUIET)

    def _through(self, made: Callable[[], Any], keys: list[str], measured: list[Scored]) -> list[float]:
        features = [
            {name: 0.0 if value is None else value for name, value in zip(NAMES, each.measured.values, strict=True)}
            for each in measured
        ]
        scores = []
        started = time.process_time_ns()
        for key, x in zip(keys, features, strict=True):
            inner = self.inner.get(key)
            if inner is None:
                inner = self.inner[key] = made()
            scores.append(float(inner.score_one(x)))
            inner.learn_one(x)
        self.spent_ns += time.process_time_ns() - started
        return scores


# --- the whole ---


@dataclass(frozen=True, slots=True)
class Quality:
    """What one detector is worth. Of labels: `average_precision`, `roc_auc`, `precision_a_day` and `curve` (recall,
    precision), missing or empty without any. `alert_rate` is that of all payments with a p-value, `by_block` of each
    whole block of 10,000 of them. `us` is the CPU time of one payment, scored and learned; river's without measuring
    the features. `state_bytes`: its models as bytes, river's pickled. `not_finite` scores were taken as 0.
    """

    detector: str
    target: float
    average_precision: float | None
    roc_auc: float | None
    precision_a_day: float | None
    alert_rate: float | None
    by_block: list[float]
    us: float
    state_bytes: int
    not_finite: int
    curve: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of a file. `scored`: the payments that are counted, the last four fifths; of these `known` have an
    answer and `wrong` are wrong, `None` without labels. `labelled`: payments of the file that a label names.
    """

    reading: Reading
    models: int
    scored: int
    labelled: int | None
    known: int | None
    wrong: int | None
    first_day: date | None
    last_day: date | None
    detectors: list[Quality]


def evaluate(
    lines: Iterable[Line],
    choices: Iterable[Choice],
    partition_by: str,
    zone: ZoneInfo,
    labels: Labels | None = None,
    refused: Callable[[Refused], object] = lambda refused: None,
    progress: Callable[[int], object] = lambda lines: None,
) -> Evaluation:
    """Judges the payments of a file with each detector.

    Where any label was planted, payments without one are fine; where all are answers, nothing is known of the others,
    and they are not counted. Memory holds scores and ids, never payments.
    """
    reading = Reading()
    columns = [_Column(each) for each in choices]
    models: dict[str, Model] = {}
    days, answers, labelled, spent_ns = array("q"), bytearray(), 0, 0
    payments = payments_of(lines, partition_by, Days(zone.key), reading, refused)
    while batch := list(islice(payments, _BATCH)):
        for each in batch:
            if each.key not in models:
                models[each.key] = Model()
        work = [(models[each.key], each.seen) for each in batch]
        started = time.process_time_ns()
        measured = [_learned(model, seen) for model, seen in work]
        spent_ns += time.process_time_ns() - started
        keys = [each.key for each in batch]
        for column in columns:
            column.judge(keys, measured)
        for each in batch:
            days.append(each.day)
            if labels is not None:
                answer, named = _answer(labels, each.instruction)
                answers.append(answer)
                labelled += named
        progress(reading.lines)
    start = reading.payments // PREFIX
    truth = None if labels is None else np.frombuffer(bytes(answers), np.uint8)[start:]
    counted = np.array(days, np.int64)[start:]
    ours = sum(len(dump(model)) for model in models.values())
    return Evaluation(
        reading=reading,
        models=len(models),
        scored=reading.payments - start,
        labelled=None if labels is None else labelled,
        known=None if truth is None else int(np.sum(truth != _UNKNOWN)),
        wrong=None if truth is None else int(np.sum(truth == _WRONG)),
        first_day=date.fromordinal(min(days)) if days else None,
        last_day=date.fromordinal(max(days)) if days else None,
        detectors=[_quality(each, start, counted, truth, spent_ns, ours) for each in columns],
    )


def _learned(model: Model, seen: Observation) -> Scored:
    scored = model.score(seen)
    model.apply(model.effect(seen, scored, True))
    model.forget(LOOKS)
    return scored


def _answer(labels: Labels, instruction: Instruction) -> tuple[int, bool]:
    """What is known of a payment, and whether a label names it."""
    named = instruction.instruction_id
    found = labels.by_key.get((None, named)) or labels.by_key.get((instruction.jurisdiction, named))
    if found is None:
        return _FINE if labels.planted else _UNKNOWN, False
    wrong = found.label == "true_alarm" if found.label else not found.near_miss
    return _WRONG if wrong else _FINE, True


def _quality(
    column: _Column, start: int, days: Ints, truth: npt.NDArray[np.uint8] | None, spent_ns: int, ours: int
) -> Quality:
    scores = np.array(column.scores, np.float64)[start:]
    standings = np.frombuffer(bytes(column.standings), np.uint8)[start:]
    alerts = standings[standings != _WARMING] == _ALERT
    blocks = alerts[: len(alerts) // BLOCK * BLOCK].reshape(-1, BLOCK)
    hits, by_day = Hits(np.array([], np.int64), np.array([], np.int64)), None
    if truth is not None:
        known = truth != _UNKNOWN
        wrong = truth[known] == _WRONG
        hits = hits_of(wrong, scores[known])
        by_day = precision_a_day(days[known], wrong, scores[known]) if wrong.any() else None
    is_ours = column.choice.made is None
    return Quality(
        detector=column.choice.name,
        target=column.choice.target,
        average_precision=average_precision(hits),
        roc_auc=roc_auc(hits),
        precision_a_day=by_day,
        alert_rate=float(alerts.mean()) if len(alerts) else None,
        by_block=[float(each) for each in blocks.mean(axis=1)],
        us=(spent_ns if is_ours else column.spent_ns) / max(1, len(column.scores)) / 1e3,
        state_bytes=ours if is_ours else sum(len(pickle.dumps(each)) for each in column.inner.values()),
        not_finite=column.not_finite,
        curve=curve_of(hits),
    )


def as_json(found: Evaluation, source: Source, zone: ZoneInfo, partition_by: str) -> dict[str, Any]:
    """The result for machines and for the page; figures without meaning are null."""
    reading = found.reading
    return {
        "schema_version": 1,
        "engine": __version__,
        "file": {
            "name": source.name,
            "sha256": f"sha256:{source.sha256}",
            "lines": reading.lines,
            "first_day": found.first_day and found.first_day.isoformat(),
            "last_day": found.last_day and found.last_day.isoformat(),
        },
        "timezone": zone.key,
        "partition_by": partition_by,
        "payments": reading.payments,
        "duplicates": reading.duplicates,
        "refused": dict(sorted(reading.refused.items())),
        "models": found.models,
        "scored": found.scored,
        "labels": None
        if found.labelled is None
        else {"labelled": found.labelled, "known": found.known, "wrong": found.wrong},
        "detectors": [asdict(each) for each in found.detectors],
    }
