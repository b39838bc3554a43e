"""Anomalies planted among real payments, of six kinds, each with about as many payments as another.

Planting looks at times, units, payees and amounts only, and at nothing of any detector. A plant begins at a payment
that is picked at random and stands behind it, changed as its kind says:

- `amount`: the same unit and payee, 5 to 50 times the amount.
- `new_payee`: a payee that nobody has paid, with an amount among the highest tenth of the stream.
- `burst`: 6 to 12 payments of about the amount picked, to that payee, within six hours; of a stream without times of
  day, on the same day.
- `off_hours`: the same payment at an hour of the week that has at most one payment in 2,000; of a stream without times
  of day, on such a weekday, if it has any.
- `collusion`: 4 to 8 units pay one payee that nobody has paid small sums, within five days.
- `changed_account`: the next three payments of a unit to a payee whom it has paid before go to a new account, which
  nobody has paid; they are the payments themselves, not copies.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from treasury_watch.engine.anomaly import Observation

HOUR_US = 3_600_000_000
WEEK_HOURS = 168
EVERY = 600  # payments for one of each kind


@dataclass(frozen=True, slots=True)
class Labelled:
    """A payment and what is wrong with it: a kind, or nothing."""

    seen: Observation
    kind: str = ""


class Planting:
    """Plants in one stream, in order of event time."""

    def __init__(self, payments: list[Observation], seed: int) -> None:
        self.payments = payments
        self.rng = random.Random(f"plant:{seed}")
        self.changed: dict[int, str] = {}  # payments by number whose account is another
        self.added: list[Labelled] = []
        amounts = sorted(each.fen for each in payments if each.fen > 0)
        self.small, self.large = amounts[len(amounts) // 4], amounts[len(amounts) * 9 // 10 :]
        self.hours = Counter(each.hour for each in payments)
        self.units = sorted({each.unit for each in payments})
        self.by_pair: dict[tuple[str, str | None], list[int]] = {}
        for number, each in enumerate(payments):
            self.by_pair.setdefault((each.unit, each.payee), []).append(number)

    def planted(self) -> list[Labelled]:
        """All payments with what was planted, in order of event time."""
        for kind, (plant, payments) in KINDS.items():
            for _ in range(len(self.payments) // (EVERY * payments)):
                plant(self, kind)
        same = (
            Labelled(each._replace(payee=self.changed[at]), "changed_account") if at in self.changed else Labelled(each)
            for at, each in enumerate(self.payments)
        )
        return sorted([*same, *self.added], key=lambda each: each.seen.us)

    def pick(self) -> Observation:
        while True:
            picked = self.rng.choice(self.payments)
            if picked.fen > 0 and picked.payee is not None:
                return picked

    def stranger(self) -> str:
        return f"planted-{self.rng.getrandbits(40):010x}"

    def add(self, kind: str, seen: Observation, hours: float = 0.0) -> None:
        """Adds a payment so many hours later."""
        us = seen.us + int(hours * HOUR_US)
        hour = (seen.hour + (us // HOUR_US - seen.us // HOUR_US)) % WEEK_HOURS
        self.added.append(Labelled(seen._replace(us=us + 1, hour=hour), kind))

    def amount(self, kind: str) -> None:
        picked = self.pick()
        self.add(kind, picked._replace(fen=int(picked.fen * 5 * 10 ** self.rng.random())))

    def new_payee(self, kind: str) -> None:
        self.add(kind, self.pick()._replace(payee=self.stranger(), fen=self.rng.choice(self.large)))

    def burst(self, kind: str) -> None:
        picked = self.pick()
        for _ in range(self.rng.randint(6, 12)):
            fen = int(picked.fen * self.rng.uniform(0.8, 1.2)) + 1
            self.add(kind, picked._replace(fen=fen), self._within_a_day(6.0))

    def _within_a_day(self, hours: float) -> float:
        """Some time later; of a stream of days only, the same day."""
        return self.rng.uniform(0.0, hours) if len(self.hours) > 7 else 0.0

    def off_hours(self, kind: str) -> None:
        rare = [hour for hour in range(WEEK_HOURS) if self.hours[hour] * 2_000 <= len(self.payments)]
        if len(self.hours) <= 7:
            noon = self.payments[0].hour % 24
            rare = [hour for hour in rare if hour % 24 == noon]
        if rare:
            picked = self.pick()
            hour = self.rng.choice(rare)
            self.add(kind, picked, float((hour - picked.hour) % WEEK_HOURS))

    def collusion(self, kind: str) -> None:
        picked, payee = self.pick(), self.stranger()
        for unit in self.rng.sample(self.units, min(len(self.units), self.rng.randint(4, 8))):
            fen = int(self.small * self.rng.uniform(0.3, 1.0)) + 1
            later = self._days_later(picked)
            self.add(kind, picked._replace(unit=unit, payee=payee, fen=fen), later)

    def _days_later(self, picked: Observation) -> float:
        """Up to five days later, at an hour of the week at which payments are made."""
        while True:
            hours = self.rng.randrange(120) if len(self.hours) > 7 else 24 * self.rng.randrange(5)
            if self.hours[(picked.hour + hours) % WEEK_HOURS] * 500 > len(self.payments):
                return float(hours)

    def changed_account(self, kind: str) -> None:
        while True:
            number = self.rng.randrange(len(self.payments))
            picked = self.payments[number]
            numbers = self.by_pair[picked.unit, picked.payee]
            at = bisect_left(numbers, number)
            if picked.payee is not None and at >= 3:
                payee = self.stranger()
                self.changed.update((each, payee) for each in numbers[at : at + 3])
                return


# Each kind, and how many payments it makes, about.
KINDS: dict[str, tuple[Callable[[Planting, str], None], int]] = {
    "amount": (Planting.amount, 1),
    "new_payee": (Planting.new_payee, 1),
    "burst": (Planting.burst, 9),
    "off_hours": (Planting.off_hours, 1),
    "collusion": (Planting.collusion, 6),
    "changed_account": (Planting.changed_account, 3),
}


def planted(payments: list[Observation], seed: int) -> list[Labelled]:
    """The payments with about 1 % anomalies among them; `payments` in order of event time."""
    return Planting(payments, seed).planted()


def kinds_of(stream: list[Labelled]) -> Iterator[tuple[str, int]]:
    """How many payments of each kind there are."""
    yield from sorted(Counter(each.kind for each in stream if each.kind).items())
