"""The streams that the anomaly model is measured on: payments in order of event time, with what is wrong with them.

Real amounts are taken as yuan. Payments without a time of day are taken as made at noon. Of the simulated year, what
only rules can see is shown to the detectors and not counted.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from benchmarks.anomaly_planting import Labelled, planted
from treasury_watch.adapters.evaluation import Payment, payment_of
from treasury_watch.adapters.simulate import simulate
from treasury_watch.domain.calendar import Days
from treasury_watch.domain.payment import microseconds
from treasury_watch.engine.anomaly import Observation

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SIMULATED = 60_000
DAYS = Days("Asia/Shanghai")
# Rows of the catalogue that show in times, amounts, units and payees: splits, often, new payee, changed account, after
# hours, oddities within every rule.
_ROWS = (12, 14, 36, 37, 38, 40)
RULES_JOB = "for rules"  # the kind of what is not counted


@dataclass(frozen=True, slots=True)
class Stream:
    """Payments, the partition-key value of each, and how many days after a payment a wrong one becomes known."""

    name: str
    payments: list[Labelled]
    keys: list[str]
    days_to_label: int = 7


def _rows(name: str) -> Iterator[dict[str, str]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _seen(moment: datetime, amount: str, unit: str, payee: str | None, subject: str | None = None) -> Observation:
    hour = moment.weekday() * 24 + moment.hour
    return Observation(microseconds(moment), hour, round(float(amount) * 100), unit, payee or None, subject)


def _noon(day: str) -> datetime:
    year, month, of_month = map(int, day[:10].split("-"))
    return datetime(year, month, of_month, 12, tzinfo=UTC)


def purchase_cards(seed: int) -> Stream:
    """Real purchase cards: unit is the card, payee the merchant; one agency, one partition-key value."""
    payments = [
        _seen(_noon(row["DATE"]), row["AMOUNT"], row["CARDNUM"], row["MERCHNUM"])
        for row in _rows("government_purchase_cards_2010.csv.gz")
    ]
    return _one_key("purchase cards", planted(sorted(payments, key=lambda each: each.us), seed))


def council(seed: int) -> Stream:
    """Real payments of a council: unit is the cost centre, payee the supplier, subject the service area."""
    payments = [
        _seen(_noon(row["Paid Date"]), row["Amount"], row["Cost Centre"], row["Supplier Name"], row["Service Area"])
        for row in _rows("council_payments_2017_2018.csv.gz")
    ]
    return _one_key("council payments", planted(sorted(payments, key=lambda each: each.us), seed))


def labelled_cards(seed: int) -> Stream:
    """Simulated cards with three kinds of fraud: large amounts, terminals taken over, customers taken over."""
    payments = [
        Labelled(
            _seen(
                datetime.fromisoformat(row["TX_DATETIME"]).replace(tzinfo=UTC),
                row["TX_AMOUNT"],
                row["CUSTOMER_ID"],
                row["TERMINAL_ID"],
            ),
            "" if row["TX_FRAUD"] == "0" else f"scenario {row['TX_FRAUD_SCENARIO']}",
        )
        for row in _rows("labelled_card_payments_apr2018.csv.gz")
    ]
    return _one_key("labelled cards", payments)


def simulated_year(seed: int, payments: int = SIMULATED) -> Stream:
    """The simulator's year of nine jurisdictions, each a partition-key value."""
    found, keys = [], []
    for instruction, label in simulate(seed, payments, 365, date(2025, 1, 1)):
        payment = payment_of(instruction, "jurisdiction", DAYS)
        assert isinstance(payment, Payment)  # every one has a jurisdiction
        kind = "" if label is None else label.kind if label.row in _ROWS and not label.near_miss else RULES_JOB
        found.append(Labelled(payment.seen, kind))
        keys.append(payment.key)
    return Stream("simulated year", found, keys)


def _one_key(name: str, payments: list[Labelled]) -> Stream:
    return Stream(name, payments, [""] * len(payments))


STREAMS: dict[str, Callable[[int], Stream]] = {
    "cards": purchase_cards,
    "council": council,
    "labelled": labelled_cards,
    "simulated": simulated_year,
}
