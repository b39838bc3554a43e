"""How good scores are: average precision, ROC AUC, precision at k alerts a day, the rate of alerts by block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score  # type: ignore[import-untyped]

from benchmarks.anomaly_detectors import PREFIX, Floats, Run, counted_and_wrong
from benchmarks.anomaly_streams import Stream

BLOCK = 10_000
A_DAY = 10  # alerts that a clerk looks at
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one detector on one stream, after the prefix. `by_block` is the rate of alerts of each whole block of 10,000
    payments that had a p-value, `alert_rate` that of all of them; both are missing where there are no alerts.
    """

    detector: str
    average_precision: float
    roc_auc: float
    precision_a_day: float
    us: float
    alert_rate: float | None = None
    by_block: tuple[float, ...] = ()


def quality(name: str, stream: Stream, run: Run) -> Quality:
    """What a run is worth."""
    start = len(stream.payments) // PREFIX
    counted, wrong = counted_and_wrong(stream.payments)
    counted[:start] = False
    truth, scores = wrong[counted], run.scores[counted]
    days = np.array([each.seen.us // _DAY_US for each in stream.payments])[counted]
    rate: float | None = None
    by_block: tuple[float, ...] = ()
    if run.alerts is not None and run.warm is not None:
        alerts = run.alerts[start:][run.warm[start:]]
        blocks = len(alerts) // BLOCK
        by_block = tuple(float(each.mean()) for each in np.split(alerts[: blocks * BLOCK], blocks)) if blocks else ()
        rate = float(alerts.mean()) if len(alerts) else None
    return Quality(
        name,
        float(average_precision_score(truth, scores)),
        float(roc_auc_score(truth, scores)),
        _precision_a_day(days, truth, scores),
        run.us,
        rate,
        by_block,
    )


def _precision_a_day(days: npt.NDArray[np.int64], truth: npt.NDArray[np.bool_], scores: Floats) -> float:
    """The share of wrong ones among the highest-scored payments of each day."""
    found = looked_at = 0
    for day in np.unique(days):
        here = np.flatnonzero(days == day)
        highest = here[np.argsort(-scores[here], kind="stable")[:A_DAY]]
        found += int(truth[highest].sum())
        looked_at += len(highest)
    return found / looked_at
