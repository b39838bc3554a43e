"""A simulated treasury: instructions that look like a city's payments, with violations planted among them and labelled.

The same seed, size and start give the same bytes on every machine and Python version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from heapq import heappop, heappush
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from treasury_watch.adapters.simulation.chance import Chance
from treasury_watch.adapters.simulation.payments import Draft, Payments, units_for
from treasury_watch.adapters.simulation.tables import write_tables
from treasury_watch.adapters.simulation.traffic import Traffic
from treasury_watch.adapters.simulation.violations import KINDS, Kind, Plant, Step
from treasury_watch.adapters.simulation.workdays import busyness, next_working
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.payment import Instruction

START = date(2026, 3, 2)
SHANGHAI = timezone(timedelta(hours=8))  # Asia/Shanghai has had no other offset since 1991

# Payments by half hour from 08:30 to 18:00, relative to each other: a morning peak and a quiet noon.
_OPENS, _HALF_HOURS = time(8, 30), (5, 10, 13, 14, 13, 11, 6, 2, 2, 4, 9, 11, 12, 12, 11, 10, 9, 5, 3)
_LAST_STEP = timedelta(hours=8, minutes=30)  # after opening: later, a step might miss its day
_CLOSES = timedelta(hours=9, minutes=30)  # after opening
_PLANT_EVERY, _PLANT_OFTEN, _PLANTS = (
    100,
    10,
    160,
)  # a plant every 100 instructions, oftener where that makes few plants
_LATE_ONE_IN = 300


class Label(msgspec.Struct, frozen=True):
    """What was planted with one instruction: its kind and the rules of the shipped pack that must hit it.

    `rule_ids` is empty for a part that is in order by itself: the first of two equal payments, all but the last part of
    a split; for a near miss, which the rules of its row must spare; and where no rule can be held to it (row 40).
    """

    instruction_id: str
    kind: str
    rule_ids: tuple[str, ...]
    row: int  # of the catalogue
    near_miss: bool
    violation: str  # shared by the instructions of one plant
    part: int  # from 1
    parts: int
    instruction_ids: tuple[str, ...]  # of its parts up to this one


class Simulated(NamedTuple):
    instruction: Instruction
    label: Label | None  # of a planted one


@dataclass
class SimulationSummary:
    """What a simulation wrote; `planted` counts labelled instructions by kind."""

    instructions: int = 0
    labelled: int = 0
    planted: Counter[str] = field(default_factory=Counter)
    earliest: datetime | None = None
    latest: datetime | None = None


def simulate(seed: int, payments: int, days: int = 1, start: date = START) -> Iterator[Simulated]:
    """`payments` instructions over `days` calendar days from `start` on, in the order in which they are sent.

    Event times rise but for one instruction in 300, which was submitted up to two hours before it is sent. Ids are
    unique within a run and name its seed and start. A kind of violation that needs more days than there are is left
    out. Raises ValueError for a negative seed or number of payments and for no days.
    """
    if not 0 <= seed < 2**63:
        raise ValueError("the seed is a whole number from 0 to 2^63 - 1")
    if payments < 0:
        raise ValueError("the number of payments cannot be negative")
    if days < 1 or start.toordinal() + days > date.max.toordinal():
        raise ValueError("expected at least one day, and none after the year 9999")
    return _Run(seed, payments, days, start).instructions()


def write_simulation(
    seed: int,
    payments: int,
    out: IO[bytes],
    labels: IO[bytes] | None = None,
    days: int = 1,
    start: date = START,
    progress: Callable[[int], object] = lambda done: None,
) -> SimulationSummary:
    """Writes a simulation as JSON lines, its labels too, and returns the counts; `progress` gets the number written."""
    summary = SimulationSummary()
    encode_label = msgspec.json.Encoder().encode
    for instruction, label in simulate(seed, payments, days, start):
        out.write(encode_instruction(instruction) + b"\n")
        summary.instructions += 1
        moment = instruction.event_time
        summary.earliest = min(summary.earliest or moment, moment)
        summary.latest = max(summary.latest or moment, moment)
        if label:
            summary.planted[label.kind] += 1
            if labels:
                labels.write(encode_label(label) + b"\n")
        if summary.instructions % 1_000 == 0:
            progress(summary.instructions)
    progress(summary.instructions)
    summary.labelled = summary.planted.total()
    return summary


def write_city(directory: Path, payments: int, days: int = 1, start: date = START) -> list[Path]:
    """Writes the tables that rules look the city of such a simulation up in, and returns their paths.

    `directory` is the `tables/` of a rule set. Raises OSError if it cannot be written.
    """
    last = start + timedelta(days=days - 1)
    return write_tables(directory, units_for(payments // days), range(start.year, last.year + 1))


class _Plant:
    """A planted violation. Once a step was missed, the steps after it would prove nothing and are dropped."""

    __slots__ = ("broken", "ids", "kind", "name", "near_miss", "parts")

    def __init__(self, name: str, card: _Card, parts: int) -> None:
        self.name = name
        self.kind, self.near_miss = card.kind, card.near_miss
        self.parts = parts
        self.ids: list[str] = []
        self.broken = False

    def label(self, instruction_id: str, step: Step) -> Label:
        self.ids.append(instruction_id)
        return Label(
            instruction_id,
            self.kind.name,
            step.rule_ids,
            self.kind.row,
            self.near_miss,
            self.name,
            len(self.ids),
            self.parts,
            tuple(self.ids),
        )


class _Card(NamedTuple):
    """What a deck of plants is made of: each kind once, and once its near miss."""

    kind: Kind
    plant: Plant
    near_miss: bool


class _Due(NamedTuple):
    """A planned step: sent at the first moment from `at` on, if that is still on the same day."""

    at: datetime
    order: int  # of planning, among equal times
    step: Step
    plant: _Plant


_DECK = [
    _Card(kind, plant, near_miss)
    for kind in KINDS
    for plant, near_miss in ((kind.plant, False), (kind.near_miss, True))
    if plant is not None
]


class _Run:
    def __init__(self, seed: int, payments: int, days: int, start: date) -> None:
        self.count = payments
        self.days = [start + timedelta(days=each) for each in range(days)]
        self.chance = Chance(seed)
        self.payments = Payments(self.chance, payments // days)
        self.traffic = Traffic(self.payments)
        self.prefix = f"S{seed}-{start:%y%m%d}-"
        self.plant_every = max(_PLANT_OFTEN, min(_PLANT_EVERY, payments // _PLANTS))
        self.due: list[_Due] = []
        self.evenings: dict[date, _Due] = {}
        self.steps = self.plants = 0  # planned so far
        self.deck = self.chance.shuffled(_DECK)
        self.rests_until: dict[tuple[str, bool], date] = {}

    def instructions(self) -> Iterator[Simulated]:
        sent = 0
        for day, count in self._counts():
            self._drop_missed(day)
            self.traffic.open_day(day, count)
            for left, moment in zip(range(count - 1, -1, -1), self._moments(day, count), strict=True):
                if sent % self.plant_every == self.plant_every // 2:
                    self._plant(moment)
                sent += 1
                instruction_id = f"{self.prefix}{sent:08d}"
                evening = None if left else self.evenings.pop(day, None)
                if evening is None or evening.plant.broken:
                    yield self._next(instruction_id, moment)
                else:
                    yield self._planted(instruction_id, evening.at, evening)

    def _next(self, instruction_id: str, moment: datetime) -> Simulated:
        while self.due and self.due[0].at <= moment:
            due = heappop(self.due)
            if not due.plant.broken:
                return self._planted(instruction_id, moment, due)
        draft = self.traffic.next()
        self.traffic.sent(instruction_id, draft)
        if self.chance.below(_LATE_ONE_IN) == 0:
            opened = datetime.combine(moment.date(), _OPENS, SHANGHAI)
            late = timedelta(milliseconds=self.chance.between(60_000, 7_200_000))
            moment = max(opened, moment - late)
        return Simulated(_instruction(instruction_id, moment, draft), None)

    def _planted(self, instruction_id: str, moment: datetime, due: _Due) -> Simulated:
        draft, step = due.step.draft, due.step
        if step.corrects is not None:
            draft = draft | {"corrects": due.plant.ids[step.corrects]}
        return Simulated(_instruction(instruction_id, moment, draft), due.plant.label(instruction_id, step))

    def _counts(self) -> Iterator[tuple[date, int]]:
        """The days with the numbers of their instructions, exactly as many in all as payments were asked for."""
        weights = [busyness(day) for day in self.days]
        total, before, sent = sum(weights), 0, 0
        for day, weight in zip(self.days, weights, strict=True):
            before += weight
            count = self.count * before // total - sent
            sent += count
            if count:
                yield day, count

    def _moments(self, day: date, count: int) -> Iterator[datetime]:
        opens = datetime.combine(day, _OPENS, SHANGHAI)
        total, before, sent = sum(_HALF_HOURS), 0, 0
        for half_hour, weight in enumerate(_HALF_HOURS):
            before += weight
            here = count * before // total - sent
            sent += here
            for place in range(here):
                offset = (place + self.chance.random()) / here * 1_800_000
                yield opens + timedelta(milliseconds=half_hour * 1_800_000 + int(offset))

    def _drop_missed(self, day: date) -> None:
        while self.due and self.due[0].at.date() < day:
            heappop(self.due).plant.broken = True

    def _plant(self, now: datetime) -> None:
        """Plans the next of the deck that there is still time for, unless the day is all but over."""
        if now > datetime.combine(now.date(), _OPENS, SHANGHAI) + _LAST_STEP:
            return
        for place in range(len(self.deck) - 1, -1, -1):
            card = self.deck[place]
            kind, key = card.kind, (card.kind.name, card.near_miss)
            if self.rests_until.get(key, date.min) > now.date():
                continue
            steps = card.plant(self.payments)
            times = self._times(now, steps)
            if not times or not _within(kind, times):
                continue
            del self.deck[place]
            self.rests_until[key] = now.date() + timedelta(days=kind.rest)
            self.plants += 1
            plant = _Plant(f"{self.prefix}V{self.plants:06d}", card, len(steps))
            for at, step in zip(times, steps, strict=True):
                self._plan(_Due(at, self.steps, step, plant))
                self.steps += 1
            return
        waiting = self.deck  # for their season, or for days that the run does not have: tried first from now on
        self.deck = self.chance.shuffled([card for card in _DECK if card not in waiting]) + waiting

    def _plan(self, due: _Due) -> None:
        if due.step.evening:
            self.evenings[due.at.date()] = due
        else:
            heappush(self.due, due)

    def _times(self, now: datetime, steps: list[Step]) -> list[datetime] | None:
        """When the steps are due, or None when one would come after its day's close or the last day."""
        at, times = now, []
        for step in steps:
            if step.days:
                day = at.date()
                for _ in range(step.days):
                    day = next_working(day + timedelta(days=1))
                at = datetime.combine(day, _OPENS, SHANGHAI) + timedelta(seconds=self.chance.below(25_000))
            else:
                at += timedelta(seconds=step.seconds)
            opened = datetime.combine(at.date(), _OPENS, SHANGHAI)
            if at.date() > self.days[-1] or at > opened + _LAST_STEP:
                return None
            if step.evening:
                if at.date() in self.evenings:
                    return None
                at = opened + _CLOSES + timedelta(seconds=step.seconds)
            times.append(at)
        return times


def _instruction(instruction_id: str, moment: datetime, draft: Draft) -> Instruction:
    return Instruction(instruction_id=instruction_id, event_time=moment, **draft)


def _within(kind: Kind, times: list[datetime]) -> bool:
    if kind.within is None:
        return True
    first, last = times[0], times[-1]
    if kind.within == "week":
        return last - first < timedelta(days=7)
    return first.year == last.year and (kind.within == "year" or first.month == last.month)
