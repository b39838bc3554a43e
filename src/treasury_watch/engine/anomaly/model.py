"""Model (模型): how odd each payment of one partition-key value is, learned from those before it.

`score` changes nothing. `effect` says what a payment changes, as plain data; `apply` changes it; `undo` takes the last
change back, to the bit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from treasury_watch.engine.anomaly.calibration import Replaced
from treasury_watch.engine.anomaly.core import Before, Core
from treasury_watch.engine.anomaly.entities import (
    EXPIRES,
    HOUR_US,
    LATEST,
    PART,
    Pair,
    Payee,
    Subject,
    Unit,
    pair_after,
    payee_after,
    payee_told,
    subject_after,
    unit_after,
    unit_told,
)
from treasury_watch.engine.anomaly.features import Found, Measured, measure
from treasury_watch.engine.anomaly.histogram import BINS, MOST, NOTHING, Tail, surprise_of

TARGET = 0.01  # share of payments that alert
KINDS = ("units", "payees", "pairs", "subjects", "habits")  # of entities
_NEWEST = (2, 2, 1, 1, 1)  # where an entity's newest step stands, by kind
_LAST_BIN = BINS - 1

Effect = tuple[Any, ...]  # of int, float, str and None
Undo = tuple[tuple[tuple[dict[Any, Any], Any, Any], ...], Before]


class Observation(NamedTuple):
    """What a model sees of a payment: event time (microseconds of UTC), local hour of the week (0 = Monday 0:00, to
    167), amount in fen, unit, and payee and expense subject where there are any.
    """

    us: int
    hour: int
    fen: int
    unit: str
    payee: str | None = None
    subject: str | None = None


class Scored:
    """How odd a payment is. `score` ≥ 0, finite; `p_value` in (0, 1], `None` while warming; `alert`: whether the
    p-value is within the target; `weights`: of each feature, in their order.
    """

    __slots__ = ("_tails", "alert", "bins", "found", "p_value", "score", "step", "weights")

    def __init__(
        self,
        step: int,
        score: float,
        p_value: float | None,
        alert: bool,
        found: Found,
        bins: str,
        tails: tuple[Tail, ...],
        weights: tuple[float, ...],
    ) -> None:
        self.step = step
        self.score = score
        self.p_value = p_value
        self.alert = alert
        self.found = found
        self.bins = bins
        self._tails = tails
        self.weights = weights

    @property
    def measured(self) -> Measured:
        """What was found of the payment, the value of each feature with it."""
        return Measured(*self.found)

    @property
    def creeping(self) -> bool:
        """Whether the amounts of the unit have slowly grown."""
        return self.found[6]

    @property
    def surprises(self) -> list[float]:
        """Of each feature, in their order; 0 where there is nothing to compare."""
        return [
            0.0 if value is None else surprise_of(value, ord(at), tail)
            for value, at, tail in zip(self.found[1], self.bins, self._tails, strict=False)
        ]


class Model:
    """The model of one partition-key value; `target` is the share of payments that are to alert, in (0, 1)."""

    __slots__ = (
        "_keys",
        "_kind",
        "_kinds",
        "_looked_at",
        "core",
        "habits",
        "pairs",
        "payees",
        "subjects",
        "target",
        "units",
    )

    def __init__(self, target: float = TARGET) -> None:
        self.target = target
        self.core = Core(target)
        self.units: dict[str, Unit] = {}
        self.payees: dict[str, Payee] = {}
        self.pairs: dict[tuple[str, str], Pair] = {}  # unit and payee
        self.subjects: dict[str, Subject] = {}
        self.habits: dict[tuple[str, str], Pair] = {}  # unit and subject
        # The round of forgetting: when it began, the kinds that are still to be gone through, the one that is, its keys
        # that are left.
        self._looked_at = self.core.watermark
        self._kinds: list[int] = []
        self._kind = 0
        self._keys: list[Any] = []

    def score(self, seen: Observation) -> Scored:
        """How odd a payment is, by what was applied so far."""
        us, hour, fen, unit, payee, subject = seen[:]  # a plain tuple is unpacked faster
        core = self.core
        step, oldest = us // HOUR_US, core.watermark - LATEST
        if step < oldest:
            step = oldest
        counted = core.counted
        found = measure(
            step,
            fen,
            hour,
            core.whole,
            self.units.get(unit),
            payee is not None,
            None if payee is None else self.payees.get(payee),
            None if payee is None else self.pairs.get((unit, payee)),
            subject is not None,
            None if subject is None else self.subjects.get(subject),
            None if subject is None else self.habits.get((unit, subject)),
            counted.hour_terms,
            counted.part_shares,
        )
        weights = core.weights
        total, bins = 0.0, []
        for value, (low, scale, cut, base, steep, table), weight in zip(found[1], counted.plain, weights, strict=True):
            if value is None:
                bins.append(NOTHING)
            elif value > cut:
                at = int((value - low) * scale)
                bins.append(_LAST_BIN if at > _LAST_BIN else at)
                surprise = base + (value - cut) * steep
                if surprise > MOST:
                    surprise = MOST
                total += weight * surprise * surprise
            else:
                at = int((value - low) * scale)
                if at < 0:
                    at = 0
                elif at > _LAST_BIN:
                    at = _LAST_BIN
                bins.append(at)
                surprise = table[at]
                if surprise:
                    total += weight * surprise * surprise
        bins.append(hour)
        p_value = core.calibration.p_value(total)
        return Scored(
            step,
            total,
            p_value,
            p_value is not None and p_value <= self.target,
            found,
            bytes(bins).decode("latin-1"),
            counted.tails,
            weights,
        )

    def effect(self, seen: Observation, scored: Scored, learn: bool) -> Effect:
        """What a payment changes, that was scored just now: numbers and texts that can be written down.

        `learn`: whether its unit, payee and so on learn it; a payment that is held is only seen.
        """
        level, _, unit_level, payee_level, subject_level, against, _, new_pair, together, _, _, _, _ = scored.found
        return (
            scored.step,
            seen.unit,
            seen.payee,
            seen.subject,
            level,
            unit_level,
            payee_level,
            subject_level,
            against,
            scored.bins,
            scored.score,
            1 if scored.alert else 0,
            1 if learn else 0,
            1 if new_pair else 0,
            together,
        )

    def apply(self, effect: Effect) -> Undo:
        """Changes what the model knows: it sees the score, and learns the payment where the effect says so."""
        score = effect[10]
        replaced = self.core.calibration.see(score, effect[11])
        if effect[12]:
            return self._learn(effect, score, replaced)
        before = self.core.before(False, score, replaced)
        self.core.watermark = max(self.core.watermark, effect[0])
        return (), before

    def retarget(self, target: float) -> None:
        """Asks for another share of alerts, in (0, 1); what is known stays, and p-values stay what they are."""
        self.core.calibration.target = target
        self.target = target

    def accepts(self, effect: Effect) -> bool:
        """Whether `learn` and `feedback` may be given an effect still: it is at most 120 days behind the newest."""
        return bool(effect[0] >= self.core.watermark - LATEST)

    def learn(self, effect: Effect) -> Undo:
        """Learns a payment whose effect was applied without: one that was held and that people have released."""
        return self._learn(effect, 0.0, None)

    def feedback(self, effect: Effect, wrong: bool, corrected: bool = False) -> Undo:
        """Takes in what people said of a payment: keeps it with unit and payee, and moves the weights if it alerted.

        One that did not says nothing of what made alerts right or wrong. `corrected`: people had said the opposite of
        it before, which unit and payee then forget; the weights move as for any answer, so they are not as before.
        """
        step, unit, payee, _, level, *_ = effect
        units, payees = self.units, self.payees
        replaced: list[tuple[dict[Any, Any], Any, Any]] = [(units, unit, units.get(unit))]
        units[unit] = unit_told(units.get(unit), step, level, wrong, corrected)
        if payee is not None:
            replaced.append((payees, payee, payees.get(payee)))
            payees[payee] = payee_told(payees.get(payee), step, level, wrong, corrected)
        before = self.core.before(False)
        if effect[11]:
            self.core.answer(effect[9], wrong)
        return tuple(replaced), before

    def undo(self, undo: Undo) -> None:
        """Takes the last change back that was not taken back yet, to the bit."""
        replaced, before = undo
        for entities, key, old in replaced:
            if old is None:
                del entities[key]
            else:
                entities[key] = old
        self.core.put_back(before)

    def forget(self, looks: int) -> None:
        """Looks at up to that many entities, and forgets those that have expired, which changes no score.

        Goes round, again once a quarter of the time has passed in which an entity expires: memory is held for that
        much longer.
        """
        watermark = self.core.watermark
        if not self._keys:
            if not self._kinds:
                if watermark - self._looked_at < EXPIRES // 4:
                    return
                self._looked_at, self._kinds = watermark, list(range(len(KINDS)))
            self._kind = self._kinds.pop()
            self._keys = list(self.entities(self._kind))
        entities, newest, before = self.entities(self._kind), _NEWEST[self._kind], watermark - LATEST - EXPIRES
        left = max(0, len(self._keys) - looks)
        for key in self._keys[left:]:
            found = entities.get(key)
            if found is not None and found[newest] < before:
                del entities[key]
        del self._keys[left:]

    def __len__(self) -> int:
        """How many entities are held, expired ones that are not forgotten yet included."""
        return sum(len(self.entities(kind)) for kind in range(len(KINDS)))

    def entities(self, kind: int) -> dict[Any, Any]:
        """The entities of one of `KINDS`, by key."""
        return (self.units, self.payees, self.pairs, self.subjects, self.habits)[kind]

    def is_over(self, kind: int, entity: tuple[Any, ...]) -> bool:
        """Whether an entity counts as unknown in every payment that may come."""
        return bool(entity[_NEWEST[kind]] < self.core.watermark - LATEST - EXPIRES)

    def _learn(self, effect: Effect, score: float, replaced: Replaced | None) -> Undo:
        (
            step,
            unit,
            payee,
            subject,
            level,
            unit_level,
            payee_level,
            subject_level,
            against,
            bins,
            _,
            _,
            _,
            new_pair,
            together,
        ) = effect
        units = self.units
        old_unit = units.get(unit)
        units[unit] = unit_after(old_unit, step, unit_level, against, PART[ord(bins[-1])], new_pair, together)
        changed: tuple[tuple[dict[Any, Any], Any, Any], ...] = ((units, unit, old_unit),)
        if payee is not None:
            payees, pairs, pair = self.payees, self.pairs, (unit, payee)
            old_payee, old_pair = payees.get(payee), pairs.get(pair)
            payees[payee] = payee_after(old_payee, step, payee_level, together)
            pairs[pair] = pair_after(old_pair, step, level)
            changed += (payees, payee, old_payee), (pairs, pair, old_pair)
        if subject is not None:
            subjects, habits, habit = self.subjects, self.habits, (unit, subject)
            old_subject, old_habit = subjects.get(subject), habits.get(habit)
            subjects[subject] = subject_after(old_subject, step, subject_level)
            habits[habit] = pair_after(old_habit, step, level)
            changed += (subjects, subject, old_subject), (habits, habit, old_habit)
        core = self.core
        before = core.before(True, score, replaced)
        if step > core.watermark:
            core.watermark = step
        core.learn(level, bins, new_pair)
        return changed, before
