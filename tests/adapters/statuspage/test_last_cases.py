"""The last cases: the newest of each kind, reasons that count, and texts that cannot deceive."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.adapters.kafka.records import FakeRecord
from tests.builders import make_instruction
from tests.rulesets import leaf, make_rule, make_ruleset, yuan
from treasury_watch.adapters.kafka.publisher import Judged
from treasury_watch.adapters.statuspage.cases import CHARACTERS, HITS, KEPT, LastCases, visible
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Refusal, Text
from treasury_watch.engine import Engine, Program

HELD = make_rule("HOLD-001", leaf("amount", "gte", yuan("50000.00")), action="intercept", level="red")
WARNED = make_rule("WARN-001", leaf("amount", "gte", yuan("20000.00")), action="warn", level="yellow")


def judged(*given: Instruction | Refusal, rules: Any = (HELD, WARNED)) -> Judged:
    """What the engine makes of instructions, with refusals among them."""
    engine = Engine(Program(make_ruleset(*rules)))
    outcomes = iter(engine.assess([each for each in given if isinstance(each, Instruction)]))
    return Judged(
        [FakeRecord(b"", offset=offset) for offset in range(len(given))],
        list(given),
        [each if isinstance(each, Refusal) else next(outcomes) for each in given],
    )


def paid(number: int, amount: str, **fields: Any) -> Instruction:
    return make_instruction(instruction_id=f"P{number}", amount=amount, **fields)


def shown(*given: Instruction | Refusal, rules: Any = (HELD, WARNED)) -> dict[str, Any]:
    cases = LastCases()
    cases.take(judged(*given, rules=rules))
    return cases.as_json()


def test_held_and_warned_payments_are_kept_apart_the_newest_first_and_the_others_not_at_all() -> None:
    found = shown(
        paid(1, "10.00"),
        paid(2, "60000.00"),
        Refusal("malformed_json", "no JSON"),
        paid(3, "30000.00"),
        paid(3, "30000.00"),  # again: a duplicate
        paid(4, "70000.00"),
    )
    assert found["seen"] == 3
    assert [each["instruction_id"] for each in found["held"]] == ["P4", "P2"]
    assert [each["instruction_id"] for each in found["warned"]] == ["P3"]


def test_a_flood_of_warnings_pushes_out_no_held_payment() -> None:
    found = shown(paid(0, "60000.00"), *(paid(number, "30000.00") for number in range(1, KEPT + 11)))
    assert [each["instruction_id"] for each in found["held"]] == ["P0"]
    assert [each["number"] for each in found["warned"]] == list(range(KEPT + 11, 11, -1))


def test_a_case_says_what_a_person_has_to_know_with_accounts_masked() -> None:
    given = paid(1, "60000.00", payee_account="4200 2000 0000 0000 2222", event_time="2025-03-05T10:15:00.250+08:00")
    (case,) = shown(given)["held"]
    assert (case["event_time"], case["verdict"], case["level"]) == ("2025-03-05T10:15:00+08:00", "intercept", "red")
    assert (case["budget_unit"], case["payee"], case["purpose"]) == ("市教育局", "江汉办公用品有限公司", "办公用品采购")
    assert (case["amount"], case["currency"]) == ("60000.00", "CNY")
    assert case["payee_account"] == "****************2222"
    assert case["hits"][0]["rule"] == "HOLD-001"
    assert "4200" not in json.dumps(case)


def test_reasons_stand_with_the_gravest_first_and_shadow_hits_are_none() -> None:
    when = WARNED.when
    many = [make_rule(f"WARN-{number:03d}", when, action="warn") for number in range(HITS + 1)]
    rules = (
        *many,
        HELD,
        make_rule("SHADOW-001", when, action="prohibit", mode="shadow"),
        make_rule("REC-001", when, action="record"),
    )
    (case,) = shown(paid(1, "60000.00"), rules=rules)["held"]
    assert [each["rule"] for each in case["hits"]] == ["HOLD-001", "WARN-000", "WARN-001"]
    assert case["more_hits"] == 2


def test_what_a_payment_does_not_say_is_not_made_up() -> None:
    given = paid(1, "60000.00", payee_name=None, payee_account=None, purpose=None, budget_unit_name=None)
    (case,) = shown(given)["held"]
    assert (case["payee"], case["payee_account"], case["purpose"], case["budget_unit"]) == (None, None, None, "101001")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("江汉办公用品有限公司", "江汉办公用品有限公司"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("甲\u202e公司", "甲\\u202e公司"),
        ("a\u2066b\u2069\u200b\x00\x1b[31m", "a\\u2066b\\u2069\\u200b\\x00\\x1b[31m"),
        ("一\n二\u3000三\u2028四", "一 二 三 四"),
        ("👩\u200d👩\u200d👧 🏦", "👩\u200d👩\u200d👧 🏦"),
        ("长" * CHARACTERS, "长" * CHARACTERS),
        ("长" * (CHARACTERS + 1), "长" * (CHARACTERS - 1) + "…"),
    ],
)
def test_a_text_from_outside_is_one_short_line_of_which_everything_can_be_seen(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_reasons_are_made_fit_to_be_shown_too() -> None:
    rule = make_rule("HOLD-001", HELD.when, action="intercept", reason=Text("付给{payee_name}", "to {payee_name}"))
    (case,) = shown(paid(1, "60000.00", payee_name="\u202e" + "长" * 9000), rules=(rule,))["held"]
    assert case["hits"][0]["zh"].startswith("付给\\u202e长")
    assert len(case["hits"][0]["en"]) < 2 * CHARACTERS
