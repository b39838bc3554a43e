"""Hostile messages are accepted or refused for a true reason; `python -m benchmarks.fuzz` takes many more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.contract import ACCEPTED, Refused, instruction_of
from benchmarks.drafts import good
from benchmarks.fuzz import Course, Result, label_of, outside, tally
from benchmarks.hostile import KINDS, message
from benchmarks.workload import default_program
from tests.builders import make_instruction
from treasury_watch.adapters.kafka.publisher import Judged, outputs_of
from treasury_watch.adapters.kafka.topics import MAX_MESSAGE_BYTES
from treasury_watch.adapters.wire import MAX_BYTES, encode_instruction
from treasury_watch.domain.verdict import REASONS, Decision, Refusal
from treasury_watch.engine import Engine

PROGRAM = default_program()
COUNT = 2_500


@pytest.fixture(scope="module")
def result() -> Result:
    return tally(PROGRAM, 3, range(COUNT))


def test_every_message_is_accepted_or_refused_for_the_reason_that_the_contract_gives(result: Result) -> None:
    assert result.wrong == []
    assert result.messages == COUNT


def test_every_kind_and_every_outcome_was_tried(result: Result) -> None:
    assert {kind for kind, _ in result.outcomes} == set(KINDS)
    assert {told for _, told in result.outcomes} == {ACCEPTED, "duplicate", *REASONS}


def test_the_same_seed_and_number_give_the_same_message() -> None:
    numbers = range(200)
    assert [message(3, each) for each in numbers] == [message(3, each) for each in numbers]
    assert [message(3, each) for each in numbers] != [message(4, each) for each in numbers]


def test_another_outcome_than_the_contract_gives_is_noticed() -> None:
    course, found = Course(PROGRAM), Result()
    course.run([good(3, 1).record], found)
    assert found.wrong == []
    course.admission.check = lambda records, decoded: [Refusal("schema", "x") for _ in records]  # type: ignore[method-assign]
    course.run([good(3, 2).record], found)
    assert found.wrong == ["2 (good): schema, by the contract accepted"]


def test_a_failure_of_judging_is_noticed() -> None:
    course, found = Course(PROGRAM), Result()
    course.engine.on_failure(make_instruction(), KeyError("x"))
    course.run([good(3, 1).record], found)
    assert found.wrong == ["1 and after: judging failed: KeyError('x')"]


def test_a_missing_decision_and_a_dead_letter_that_is_not_the_message_are_noticed() -> None:
    records = [good(3, 1).record, replace(good(3, 2).record, value=b"{", kind="truncated")]
    course = Course(PROGRAM)
    outcomes = [*course.engine.assess([make_instruction()]), Refusal("malformed_json", "x\n")]
    outputs = outputs_of(Judged(records, [make_instruction(), outcomes[1]], outcomes), "payments", 0, "now")  # type: ignore[list-item]
    assert [label_of(each) for each in outcomes] == [ACCEPTED, "malformed_json"]
    assert [*outside(records, outcomes, outputs, Counter())] == ["2 (truncated): detail of 2 characters: 'x\\n'"]
    outputs["decisions"].clear()
    outputs["dead-letters"] = [(None, *outputs["dead-letters"][0][1:])]
    assert len([*outside(records, outcomes, outputs, Counter())]) == 3


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "malformed_json"),
        (b'{"a":NaN}', "malformed_json"),
        (b"[" * 65 + b"]" * 65, "malformed_json"),
        (b"[" * 64 + b"]" * 64, "schema"),
        (b"{}", "schema"),
        (b" " * (MAX_BYTES + 1), "too_large"),
    ],
)
def test_what_outcomes_are_held_against_knows_the_contract(value: bytes | None, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        instruction_of(value)


def test_whatever_64_kib_hold_their_decision_and_case_fit_the_brokers_limit() -> None:
    """Rules show purposes and payees, in two languages and as evidence."""
    words = "补贴奖金礼品购物卡预付款代管资金工会协会" * 40
    long = {"purpose": words + "用" * 9_000, "payee_name": words + "市" * 9_000}
    engine = Engine(PROGRAM)
    for number in range(3):
        for settlement in ("cash", "transfer"):
            instruction = make_instruction(
                instruction_id=f"I{number}{settlement}", settlement=settlement, amount="990000.00", **long
            )
            assert 50_000 < len(encode_instruction(instruction)) <= MAX_BYTES
            (decision,) = engine.assess([instruction])
            assert isinstance(decision, Decision)
            assert len(decision.hits) > 3
            record = replace(good(3, number).record, value=encode_instruction(instruction))
            outputs = outputs_of(Judged([record], [instruction], [decision]), "payments", 0, "now")
            for topic in ("decisions", "intercepts", "warnings"):
                assert all(len(value or b"") < MAX_MESSAGE_BYTES // 4 for _, value, _ in outputs[topic])


def test_a_message_of_thousands_of_wrong_fields_is_refused_in_few_words() -> None:
    draft = good(3, 1)
    course, found = Course(PROGRAM), Result()
    wrong: dict[str, list[int]] = {f"a{number}": [] for number in range(4_000)}
    course.run([replace(draft.record, value=draft.json(attributes=wrong), may=frozenset({"schema"}))], found)
    assert found.wrong == []
    assert found.largest["dead-letters"] < 70_000
