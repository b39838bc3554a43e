"""Inspection (检视): what the anomaly models know, each of one partition-key value, for auditors and operators.

Models are learned from a file here, as an evaluation does, or made of what workers have written of their state; nothing
is changed. A state does not say everything: how many payments were scored in all, and how many of them alerted, only a
file tells.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from treasury_watch import __version__
from treasury_watch.adapters.evaluation import Reading, payments_of
from treasury_watch.adapters.history import Feed, merged
from treasury_watch.adapters.jsonl import Line
from treasury_watch.adapters.replay import Refused
from treasury_watch.domain.calendar import Days
from treasury_watch.domain.payment import fen_of, microseconds, moment_of
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.anomaly import KINDS, Model
from treasury_watch.engine.anomaly.calibration import WARM, WINDOW, Calibration
from treasury_watch.engine.anomaly.core import WEIGHTS
from treasury_watch.engine.anomaly.entities import HOUR_US
from treasury_watch.engine.anomaly.features import NAMES, RANGES
from treasury_watch.engine.anomaly.histogram import BINS, surprise_of
from treasury_watch.engine.scoring import LOOKS

if TYPE_CHECKING:
    from treasury_watch.adapters.settings import Settings

_BATCH = 1_000


@dataclass(slots=True)
class Known:
    """The model of one partition-key value, and what is known beside it: how many payments it has scored, and which of
    the last `WINDOW` that had a p-value were alerts; of a state, the partition instead.
    """

    key: str
    model: Model
    partition: int | None = None
    scored: int | None = None
    alerts: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))


@dataclass(frozen=True, slots=True)
class Unusable:
    """A partition whose state is damaged, and how."""

    partition: int
    problem: str


def learned(
    lines: Iterable[Line],
    partition_by: str,
    zone: ZoneInfo,
    target: float,
    refused: Callable[[Refused], object] = lambda refused: None,
    progress: Callable[[int], object] = lambda lines: None,
) -> tuple[list[Known], Reading]:
    """The models that learn all payments of a file, by partition-key value, and what became of the lines."""
    reading, found = Reading(), dict[str, Known]()
    payments = payments_of(lines, partition_by, Days(zone.key), reading, refused)
    while batch := list(islice(payments, _BATCH)):
        for each in batch:
            known = found.get(each.key)
            if known is None:
                known = found[each.key] = Known(each.key, Model(target), scored=0)
            model = known.model
            scored = model.score(each.seen)
            model.apply(model.effect(each.seen, scored, True))
            model.forget(LOOKS)
            known.scored = (known.scored or 0) + 1
            if scored.p_value is not None:
                known.alerts.append(scored.alert)
        progress(reading.lines)
    return [found[key] for key in sorted(found)], reading


def held(engine: Engine, partition: int) -> list[Known]:
    """The models of an engine, that of a partition, by partition-key value."""
    scopes = sorted(engine.state.scopes.items())
    return [Known(key, scope.model, partition) for key, scope in scopes if scope.model is not None]


async def restored(
    settings: Settings,
    program: Program,
    partitions: Sequence[int],
    progress: Callable[[int], object] = lambda done: None,
) -> tuple[list[Known], list[Unusable]]:
    """The models of what is on the topic of states of each partition, and what is damaged there. Raises BrokerError."""
    from treasury_watch.adapters.kafka.restore import StateDamaged, restore  # only here are brokers asked

    found: list[Known] = []
    unusable: list[Unusable] = []
    for done, number in enumerate(partitions, 1):
        try:
            state = await restore(settings, program, number)
        except StateDamaged as error:
            unusable.append(Unusable(number, str(error)))
        else:
            if state is not None:
                found += held(state.engine, number)
                if state.damage:
                    unusable.append(Unusable(number, state.damage))
        progress(done)
    return found, unusable


def given(feeds: Sequence[Feed], program: Program) -> Counter[str]:
    """How many scores the history of feeds gives the model of each partition-key value. Raises HistoryError.

    As the engine takes it: a payment that two feeds hold counts once, one without an amount in CNY not at all. An id
    that was used at two times, which the engine refuses, counts twice.
    """
    counts: Counter[str] = Counter()
    key_of, days = program.partition_key, program.days
    for partition in sorted({part.partition for each in feeds for part in each.manifest.parts}):
        now, ids = None, set[tuple[str, str]]()
        for each in merged(feeds, partition):
            if each.event_time != now:
                now = each.event_time
                ids.clear()
            key = key_of(each)
            if (key, each.instruction_id) in ids:
                continue
            ids.add((key, each.instruction_id))
            ordinal = days.of(microseconds(each.event_time)).ordinal
            counts[key] += program.amount(each, fen_of(each.amount), ordinal) is not None
    return counts


# --- the result ---


def as_json(models: Iterable[Known], zone: ZoneInfo, partition_by: str, target: float) -> dict[str, Any]:
    """What the models know, for machines and for the page, without where it is from; see docs/anomaly.md."""
    return {
        "schema_version": 1,
        "engine": __version__,
        "timezone": zone.key,
        "partition_by": partition_by,
        "target": target,
        "warm_at": WARM,
        "models": [overview(each, zone) for each in models],
    }


def overview(known: Known, zone: ZoneInfo) -> dict[str, Any]:
    """What one model knows, in figures. `scores`: how many the calibration has, at most `WINDOW`; `scored` is null
    where only a full window is known of. `alert_rate`: of the last payments with a p-value; null from a state.
    """
    model = known.model
    core, calibration = model.core, model.core.calibration
    scores = len(calibration.ring)
    return {
        "partition_key": known.key,
        "partition": known.partition,
        "newest": _moment(core.watermark, zone) if scores or core.whole[0] else None,
        "scored": scores if known.scored is None and scores < WINDOW else known.scored,
        "learned": core.whole[0],
        "entities": {name: len(model.entities(kind)) for kind, name in enumerate(KINDS)},
        "scores": scores,
        "lacking": max(0, WARM - scores),
        "warm": calibration.warm,
        "level": calibration.level * calibration.target,
        "target": calibration.target,
        "alerts_from": alerts_from(calibration),
        "alert_rate": sum(known.alerts) / len(known.alerts) if known.alerts else None,
        "weights": [
            {"feature": name, "first": first, "now": now}
            for name, first, now in zip(NAMES, WEIGHTS, core.weights, strict=True)
        ],
        "wrong_share": core.wrong_share,
        "drift": [
            {
                "at": _moment(step, zone),
                "input": name,
                "direction": direction,
                "before": before,
                "after": after,
                "detector": detector,
            }
            for step, name, direction, before, after, detector in core.drift.events
        ],
    }


def details(known: Known) -> dict[str, Any]:
    """Of one model: each feature's histogram and tail, and the scores of its calibration, the lowest first.

    A histogram has `BINS` bins from `low` to `high`, whose counts have aged. `surprises` are those of the middles of
    bins; beyond `cut` the surprise is `base` + `steep` × (value − `cut`).
    """
    core = known.model.core
    histograms = []
    for name, usual, counts, tail in zip(NAMES, RANGES, core.counted.counts, core.counted.tails, strict=True):
        width = (usual.high - usual.low) / BINS
        middles = [usual.low + (at + 0.5) * width for at in range(BINS)]
        histograms.append(
            {
                "feature": name,
                "low": usual.low,
                "high": usual.high,
                "counts": list(counts),
                "cut": tail.cut,
                "base": tail.base,
                "steep": tail.steep,
                "surprises": [surprise_of(value, at, tail) for at, value in enumerate(middles)],
            }
        )
    return {"histograms": histograms, "scores": list(core.calibration.sizes)}


def alerts_from(calibration: Calibration) -> float | None:
    """The lowest of the last scores that would alert now; `None` while warming, or where none would."""
    sizes = calibration.sizes
    at = bisect_left(sizes, True, key=lambda score: (calibration.p_value(score) or 2.0) <= calibration.target)
    return sizes[at] if at < len(sizes) else None


def _moment(step: int, zone: ZoneInfo) -> str:
    """The local time of a step, an hour since 1970."""
    return moment_of(step * HOUR_US).astimezone(zone).isoformat(timespec="minutes")
