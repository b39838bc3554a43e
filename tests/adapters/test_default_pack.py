"""The shipped pack as a whole: what its inline tests cannot say themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import timedelta
from typing import Any

import pytest

from tests.builders import make_instruction
from treasury_watch.adapters.rulefiles import default_rules, load
from treasury_watch.adapters.simulate import simulate
from treasury_watch.domain.verdict import Decision
from treasury_watch.engine import Engine, Program
from treasury_watch.rules.schema import RuleSet, WordList

WORDED = ("words", "subject", "project", "prepayment", "allowance")  # files that live by their words


@pytest.fixture(scope="module")
def pack() -> RuleSet:
    return load(default_rules())


def word_lists(part: Any) -> Iterator[WordList]:
    """Every list of words that a condition looks for."""
    if isinstance(part, WordList):
        yield part
    elif is_dataclass(part):
        for each in fields(part):
            yield from word_lists(getattr(part, each.name))
    elif isinstance(part, tuple):
        for item in part:
            yield from word_lists(item)


def hits(pack: RuleSet, **overrides: Any) -> set[str]:
    engine = Engine(Program(pack, max_lateness=timedelta(days=31)))
    (decision,) = engine.assess([make_instruction(allotment_ref=None, **overrides)])
    assert isinstance(decision, Decision)
    return {hit.rule for hit in decision.hits if hit.mode == "live"}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"purpose": ""}, {"DATA-001"}),
        ({"purpose": "　 "}, {"DATA-001"}),
        ({"payee_name": " "}, {"DATA-002"}),
        ({"payee_account": ""}, {"DATA-003"}),
        ({"purpose": "水", "payee_name": "王", "payee_account": "1"}, set()),
    ],
)
def test_an_empty_text_is_missing_and_told_of_once(
    pack: RuleSet, overrides: dict[str, str], expected: set[str]
) -> None:
    assert {rule for rule in hits(pack, **overrides) if rule.startswith(("DATA", "TEXT"))} == expected


def test_every_excepted_word_has_a_test_that_it_does_not_hit(pack: RuleSet) -> None:
    untested = []
    for file in (each for each in pack.files if each.name in WORDED):
        for rule in file.rules:
            excepted = [word for each in word_lists(rule.when) for word in each.excepted]
            paid = [
                str(value)
                for test in file.tests
                for step in test.payments
                if rule.id not in (step.expect.rules or ())
                for value in ({**file.test_base, **step.pay}).values()
            ]
            untested += [(rule.id, word) for word in excepted if not any(word in value for value in paid)]
    assert untested == []


def test_every_excepted_word_has_a_word_of_its_list_in_it(pack: RuleSet) -> None:
    idle = []
    for rule in pack.rules:
        for each in word_lists(rule.when):
            words = pack.lists[each.name].entries
            idle += [(rule.id, word) for word in each.excepted if not any(entry in word for entry in words)]
    assert idle == []


def test_the_allotments_of_the_simulated_city_are_in_the_table(pack: RuleSet) -> None:
    rows = pack.tables["allotments"].rows
    ordinary = [each.instruction for each in simulate(seed=5, payments=9_000) if each.label is None]
    drawn = {(each.jurisdiction, each.allotment_ref) for each in ordinary}
    assert len(drawn) == 400
    assert drawn <= rows.keys()
