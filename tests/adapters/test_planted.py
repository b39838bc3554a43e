"""What the simulator plants, the shipped pack finds, row of the catalogue by row; near misses it lets go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

import pytest

from treasury_watch.adapters.rulefiles import default_rules, files_of, load
from treasury_watch.adapters.simulate import Label, simulate
from treasury_watch.adapters.simulation.violations import KINDS
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Hit
from treasury_watch.engine import Engine, Program
from treasury_watch.rules.schema import RuleSet
from treasury_watch.rules.sets import catalogue_of

pytestmark = pytest.mark.no_cover  # a simulated year under a tracer takes minutes

ANOMALY = 40  # needs the model: planted and labelled, found by nobody yet
NOBODY = 0.01  # of ordinary payments, what one rule may hit
RUNS = {  # by what each is for
    "a busy day": (5, 5_000, 1, date(2026, 3, 2)),
    "the end of a year": (12, 8_000, 45, date(2025, 11, 24)),
    "most of a year": (13, 24_000, 275, date(2026, 4, 1)),
}


class Judged(NamedTuple):
    instruction: Instruction
    label: Label | None
    hits: tuple[Hit, ...]  # not the withheld ones; those of shadow rules, too

    @property
    def rules(self) -> set[str]:
        return {hit.rule for hit in self.hits}


def judged(pack: RuleSet, seed: int, payments: int, days: int, start: date) -> Iterator[Judged]:
    engine = Engine(Program(pack, max_lateness=timedelta(days=31)))
    simulated = list(simulate(seed, payments, days, start))
    for first in range(0, len(simulated), 1_000):
        batch = simulated[first : first + 1_000]
        for each, decision in zip(batch, engine.assess([each.instruction for each in batch]), strict=True):
            assert isinstance(decision, Decision), each
            yield Judged(*each, tuple(hit for hit in decision.hits if not hit.excepted))
        engine.absorb()


@pytest.fixture(scope="module")
def pack() -> RuleSet:
    return load(default_rules())


@pytest.fixture(scope="module")
def rules_of_row() -> dict[int, set[str]]:
    rows = catalogue_of(files_of(default_rules()))
    assert rows is not None
    return {row.number: {each.id for each in row.rules} for row in rows if row.left_out is None}


@pytest.fixture(scope="module", params=RUNS, ids=str)
def run(request: pytest.FixtureRequest, pack: RuleSet) -> list[Judged]:
    return list(judged(pack, *RUNS[request.param]))


def test_every_row_of_the_catalogue_has_a_kind(rules_of_row: dict[int, set[str]]) -> None:
    assert {kind.row for kind in KINDS} == set(rules_of_row)


def test_everything_planted_is_hit_by_the_rules_that_its_label_names(run: list[Judged]) -> None:
    missed = [(each.label, each.rules) for each in run if each.label and not set(each.label.rule_ids) <= each.rules]
    assert missed == []


def test_every_violation_is_hit_by_a_rule_of_its_row(run: list[Judged], rules_of_row: dict[int, set[str]]) -> None:
    found_by = {row: rules for row, rules in rules_of_row.items() if row != ANOMALY}
    missed = [
        (each.label, each.rules)
        for each in run
        if each.label and each.label.part == each.label.parts and not each.label.near_miss
        if each.label.row in found_by and not each.rules & found_by[each.label.row]
    ]
    assert missed == []


def test_near_misses_are_hit_by_no_rule_of_their_row(run: list[Judged], rules_of_row: dict[int, set[str]]) -> None:
    hit = [
        (each.label, each.rules)
        for each in run
        if each.label and each.label.near_miss and each.rules & rules_of_row[each.label.row]
    ]
    assert hit == []


def test_ordinary_payments_are_hardly_hit_by_any_rule_and_hardly_ever_held(run: list[Judged]) -> None:
    ordinary = [each for each in run if not each.label]
    hits = Counter(hit.rule for each in ordinary for hit in each.hits if hit.mode != "shadow")
    held = [each for each in ordinary if any(hit.action in ("intercept", "prohibit") for hit in each.hits)]
    assert {rule: count for rule, count in hits.items() if count > NOBODY * len(ordinary)} == {}
    assert len(held) <= 0.0005 * len(ordinary), Counter(rule for each in held for rule in each.rules)


def test_in_most_of_a_year_every_kind_and_every_near_miss_is_planted() -> None:
    labels = [each.label for each in simulate(*RUNS["most of a year"]) if each.label]
    whole = {(each.kind, each.near_miss) for each in labels if each.part == each.parts}
    assert whole == {(kind.name, False) for kind in KINDS} | {(kind.name, True) for kind in KINDS if kind.near_miss}
