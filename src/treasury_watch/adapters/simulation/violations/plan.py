"""What a kind of violation is: how its instructions are drawn up, when they come, and which rules must hit them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from treasury_watch.adapters.simulation.payments import Draft, Payments


class Step(NamedTuple):
    """One instruction of a plant and the rules of the shipped pack that must hit it.

    It comes `days` working days after the step before or, where that is 0, on the same day `seconds` after it; one of
    the `evening` comes as the last of its day, after hours.
    """

    draft: Draft
    rule_ids: tuple[str, ...] = ()
    seconds: int = 0
    days: int = 0
    evening: bool = False
    corrects: int | None = None  # the part of the plant, from 0, whose id the field `corrects` names


Plant = Callable[[Payments], list[Step]]  # no steps where the day or the city has no place for it


class Kind(NamedTuple):
    """A kind of violation of one row of the catalogue.

    `near_miss` is its twin that no rule of the row may hit: one fen or one word less. Steps share a calendar month or
    year, or lie within less than seven days, where `within` says so. Once planted, a kind is not planted again for
    `rest` days.
    """

    name: str
    row: int
    plant: Plant
    near_miss: Plant | None = None
    within: Literal["week", "month", "year"] | None = None
    rest: int = 0


def pause(payments: Payments) -> int:
    """Seconds from one part to the next on the same day."""
    return payments.chance.between(120, 1_200)


def one(rule_id: str | None, draft: Callable[[Payments], Draft]) -> Plant:
    """A violation of a single payment, or without a rule the near miss of one."""
    rule_ids = () if rule_id is None else (rule_id,)
    return lambda payments: [Step(draft(payments), rule_ids)]


def in_parts(payments: Payments, drafts: list[Draft], *rule_ids: str) -> list[Step]:
    """Payments of one day, of which the last must be hit."""
    first, *others, last = drafts
    return [
        Step(first),
        *(Step(each, (), pause(payments)) for each in others),
        Step(last, rule_ids, pause(payments)),
    ]
