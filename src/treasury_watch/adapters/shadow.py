"""The shadow detector (旁路检测器): a second detector on the features that the anomaly model has measured.

It is in no decision: what it says is counted, beside what the model says of the same payments. It lives in memory only,
so after a takeover of its partition it begins anew. Where it fails, that is counted and the payment is left out.
"""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Any, cast

from treasury_watch.engine.anomaly import Scored
from treasury_watch.engine.anomaly.calibration import Calibration
from treasury_watch.engine.anomaly.features import NAMES
from treasury_watch.engine.failsafe import place_of
from treasury_watch.rules.schema import ModelBlock
from treasury_watch.rules.schema import Shadow as Block

MOST_KEYS = 1_000  # partition-key values, the most recently used

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """What was counted of the payments that both have scored: how many, the alerts of each, and of both at once.
    `errors`: payments on which the shadow failed; they are in no other number.
    """

    scored: int = 0
    model_alerts: int = 0
    alerts: int = 0
    both: int = 0
    errors: int = 0


class Shadow:
    """The shadow detector of a rule set's model at work, one for each partition-key value; it never raises.

    Each has a calibration of its own, which keeps to the model's target, and no p-value before 2,000 scores.
    """

    def __init__(self, block: ModelBlock, shadow: Block) -> None:
        self.block = block
        self.counts = Counts()
        self._shadow = shadow
        self._target = float(block.target)
        self._detectors: OrderedDict[str, tuple[Any, Calibration]] = OrderedDict()
        self._told = False

    @property
    def name(self) -> str:
        """The detector with its parameters, as `model evaluate --detector` takes it."""
        return name_of(self._shadow)

    def prepare(self) -> None:
        """Imports river, which takes seconds: whoever must not wait calls this in a thread first."""
        try:
            self._made()
        except Exception as error:
            self._fail(error)

    def see(self, key: str, scored: Scored) -> None:
        """Scores a payment that the model has scored, by its features, and learns it."""
        try:
            detector, calibration = self._of(key)
            values = scored.measured.values
            features = {name: 0.0 if value is None else value for name, value in zip(NAMES, values, strict=True)}
            score = float(detector.score_one(features))
            detector.learn_one(features)
            if not math.isfinite(score):
                raise ValueError("the score is not finite")
        except Exception as error:
            self._fail(error)
            return
        p_value = calibration.p_value(score)
        alert = p_value is not None and p_value <= self._target
        calibration.see(score, alert)
        counts = self.counts
        counts.scored += 1
        counts.model_alerts += scored.alert
        counts.alerts += alert
        counts.both += alert and scored.alert

    def taken(self) -> Counts:
        """What was counted since this was last asked."""
        counts, self.counts = self.counts, Counts()
        return counts

    def as_json(self) -> dict[str, Any]:
        """What was counted, for machines."""
        return {"detector": self.name, **asdict(self.counts)}

    def _of(self, key: str) -> tuple[Any, Calibration]:
        found = self._detectors.get(key)
        if found is None:
            found = self._detectors[key] = self._made(), Calibration(self._target)
            if len(self._detectors) > MOST_KEYS:
                self._detectors.popitem(last=False)
        else:
            self._detectors.move_to_end(key)
        return found

    def _made(self) -> Any:
        from treasury_watch.adapters.detectors import OnPaymentFeatures, detector

        return cast("OnPaymentFeatures", detector(self._shadow.detector, dict(self._shadow.parameters))).detector

    def _fail(self, error: Exception) -> None:
        self.counts.errors += 1
        if not self._told:
            self._told = True
            log.error(
                "the shadow detector %s failed with %s at %s; no verdict depends on it, and further failures are only "
                "counted",
                self._shadow.detector,
                type(error).__name__,
                place_of(error),
            )


def name_of(shadow: Block) -> str:
    """A shadow detector with its parameters, as `model evaluate --detector` takes it."""
    given = ",".join(f"{name}={value}" for name, value in shadow.parameters)
    return f"{shadow.detector}:{given}" if given else shadow.detector


def shadow_of(block: ModelBlock | None) -> Shadow | None:
    """The shadow that a rule set's model asks for, with nothing learned; `None` where it asks for none."""
    return None if block is None or block.shadow is None else Shadow(block, block.shadow)


def told(counted: dict[str, Any]) -> str:
    """A line for people about what `Shadow.as_json` says."""
    failed = f"; it failed on {counted['errors']:,}" if counted["errors"] else ""
    return (
        f"shadow {counted['detector']}: {counted['scored']:,} scored, {counted['alerts']:,} alerts, the model "
        f"{counted['model_alerts']:,}, both {counted['both']:,}{failed}"
    )
