"""Rule tests: what a failing inline test says, and where."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.rulesets import HOUR, aggregate, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch.domain.verdict import Text
from treasury_watch.engine.ruletest import run_tests
from treasury_watch.rules.schema import Exception_, Expectation, Rule, RuleFile, RuleTest, Span, Step

BASE = {
    "budget_unit": "101001", "jurisdiction": "420100", "amount": "100.00", "payment_mode": "direct",
    "settlement": "transfer", "purpose": "办公",
}  # fmt: skip
LARGE = make_rule("AMT-001", leaf("amount", "gte", yuan("500.00")))
NOTED = make_rule("AMT-002", leaf("amount", "gte", yuan("300.00")), action="record")


def step(expect: str, hours: float = 0, rules: tuple[str, ...] | None = None, **rest: Any) -> Step:
    reasons = {name: rest.pop(name, None) for name in ("reason_zh", "reason_en")}
    pay = {name.replace("__", "."): value for name, value in rest.items()}
    return Step(int(hours * HOUR), pay, Expectation(expect, rules, **reasons), Span("a.yaml", 9, 5))


def failures(*steps: Step, rules: tuple[Rule, ...] = (LARGE, NOTED), base: dict[str, Any] = BASE) -> list[str]:
    """What the failures of one test say."""
    test = RuleTest("the limit", "2025-03-05T09:00:00+08:00", steps, Span("a.yaml", 7, 3))
    ruleset = make_ruleset(*rules)
    file = replace(ruleset.files[0], path="a.yaml", tests=(test,), test_base=base)
    return [failure.message for failure in run_tests(replace(ruleset, files=(file,)))]


def test_steps_that_come_out_as_expected_say_nothing() -> None:
    assert not failures(
        step("pass", amount="299.99"),
        step("record", amount="300.00"),
        step("record", amount="499.99", rules=("AMT-002",)),
        step("pass", rules=(), amount="1.00"),
        step("pass", amount="300.00", rules=("AMT-002",)),
        step("intercept", amount="500.00"),
        step("intercept", amount="500.00", rules=("AMT-002", "AMT-001")),
        step("intercept", amount="500.00", reason_zh="金额500.00元", reason_en="CNY 500.00"),
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (step("intercept", amount="499.99"), "expected intercept, found pass [AMT-002]"),
        (step("pass", amount="500.00"), "expected pass, found intercept [AMT-001, AMT-002]"),
        (step("warn", rules=("AMT-001",)), "expected warn [AMT-001], found pass []"),
        (
            step("intercept", rules=("AMT-001",), amount="500.00"),
            "expected intercept [AMT-001], found intercept [AMT-001, AMT-002]",
        ),
        (step("record"), "expected record, found pass []"),
        (step("record", amount="500.00"), "expected record, found intercept [AMT-001, AMT-002]"),
        (
            step("record", amount="300.00", reason_zh="金额300元"),
            'expected the reason "金额300元", found "金额300.00元"',
        ),
        (step("pass", reason_en="CNY 100"), 'expected the reason "CNY 100", found no hit'),
        (
            step("intercept", amount="500.00", reason_zh="金额500.00元", reason_en="x"),
            'expected the reason "x", found "CNY 500.00", "CNY 500.00"',
        ),
        (step("pass", amount="1.0"), "not a valid instruction: amount 1.0 is not a decimal with two places"),
        (step("pass", amount=None), "not a valid instruction: Object missing required field `amount`"),
        (
            step("pass", settlement="cheques"),
            "not a valid instruction: Invalid enum value 'cheques' - at `$.settlement`",
        ),
    ],
)
def test_a_step_that_comes_out_otherwise_says_what_was_expected_and_what_was_found(wrong: Step, message: str) -> None:
    assert failures(wrong) == [message]


def test_a_failure_is_shown_with_its_place_and_the_number_of_the_step() -> None:
    bad = step("intercept")
    test = RuleTest("the limit", "2025-03-05T09:00:00+08:00", (step("pass"), bad), Span("a.yaml", 7, 3))
    ruleset = make_ruleset(LARGE)
    file = replace(ruleset.files[0], path="a.yaml", tests=(test,), test_base=BASE)
    (failure,) = run_tests(replace(ruleset, files=(file,)))
    assert (failure.file, failure.line, failure.column, failure.test, failure.step) == ("a.yaml", 9, 5, "the limit", 2)
    assert str(failure) == "a.yaml:9:5: test failed: the limit, step 2: expected intercept, found pass []"


@pytest.mark.parametrize(("test_span", "place"), [(Span("a.yaml", 7, 3), (7, 3)), (None, (1, 1))])
def test_without_a_place_of_its_own_a_step_stands_where_its_test_does(test_span: Span | None, place: Any) -> None:
    bad = replace(step("intercept"), span=None)
    test = RuleTest("the limit", "2025-03-05T09:00:00+08:00", (bad,), test_span)
    ruleset = make_ruleset(LARGE)
    file = replace(ruleset.files[0], tests=(test,), test_base=BASE)
    (failure,) = run_tests(replace(ruleset, files=(file,)))
    assert (failure.line, failure.column) == place


def test_steps_see_the_steps_before_them_and_tests_do_not_see_each_other() -> None:
    sums = make_rule(
        "SUM", leaf(ref(aggregate("sum", "amount", "budget_unit", window_us=24 * HOUR)), "gt", yuan("150.00"))
    )
    steps = (step("pass"), step("intercept", 24 - 1 / 3600), step("pass", 48))
    assert not failures(*steps, rules=(sums,))
    test = RuleTest("again", "2025-03-05T09:00:00+08:00", steps)
    ruleset = make_ruleset(sums)
    file = replace(ruleset.files[0], tests=(test, test), test_base=BASE)
    assert run_tests(replace(ruleset, files=(file,))) == []


def test_a_test_runs_the_rules_of_its_own_file_only() -> None:
    test = RuleTest("alone", "2025-03-05T09:00:00+08:00", (step("pass", rules=(), amount="900.00"),))
    ruleset = make_ruleset(LARGE)
    file = RuleFile("b.yaml", "b", "owner", (replace(LARGE, id="B", when=leaf("amount", "lt", 0)),), (test,), BASE)
    assert run_tests(replace(ruleset, files=(*ruleset.files, file))) == []


def test_fields_of_a_step_replace_those_of_the_base_and_null_removes_them() -> None:
    rule = make_rule("P", leaf("purpose", "eq", "办公"), on_missing="warn")
    assert not failures(
        step("intercept"),
        step("pass", purpose="差旅"),
        step("warn", purpose=None),
        rules=(rule,),
    )


def test_local_fields_are_given_by_their_names() -> None:
    rule = make_rule("X", leaf("attributes.x", "gt", Decimal("0.1")))
    assert not failures(
        step("intercept", attributes__x=Decimal("0.11")),
        step("pass", attributes__x=Decimal("0.1")),
        step("intercept", attributes__x=1),
        step("pass", attributes__x=None),
        rules=(rule,),
        base={**BASE, "attributes.y": "街道"},
    )


def test_hits_of_shadow_rules_and_excepted_ones_are_not_looked_at() -> None:
    exception = Exception_(leaf("purpose", "eq", "办公"), "owner", "basis", date(2025, 12, 31))
    excepted = replace(LARGE, exceptions=(exception,))
    shadow = replace(LARGE, id="S", mode="shadow")
    assert not failures(step("pass", rules=(), amount="900.00"), rules=(excepted, shadow))
    assert failures(step("intercept", amount="900.00"), rules=(excepted, shadow)) == [
        "expected intercept, found pass []"
    ]


def test_a_step_that_is_refused_or_a_duplicate_has_no_verdict() -> None:
    assert failures(
        step("pass", 24 * 40),
        step("pass", instruction_id="A"),
        step("pass", 24 * 40, instruction_id="B"),
        step("pass", 24 * 40, instruction_id="B"),
        step("pass", 24 * 40, instruction_id="B", amount="7.00"),
    ) == [
        "no verdict, refused as too_late: event_time 2025-03-05T09:00:00+08:00 is too far behind the newest, "
        "2025-04-14T01:00:00+00:00",
        "no verdict, B is the same instruction as in an earlier step",
        "no verdict, refused as conflicting_duplicate: this instruction_id was accepted before with other content",
    ]


def test_a_step_names_its_instruction_by_its_number() -> None:
    rule = make_rule("ID", leaf("instruction_id", "eq", "step-2"), reason=Text(zh="{instruction_id}", en="-"))
    assert not failures(step("pass"), step("intercept", reason_zh="step-2"), rules=(rule,))


def test_a_step_beyond_the_calendar_is_told_so() -> None:
    assert failures(step("pass", 24 * 2_912_440)) == [
        "not a valid instruction: the event time lies in the year 9999, not in 1900 to 9998"
    ]
    (beyond,) = failures(step("pass", 24 * 366 * 9000))
    assert beyond.startswith("not a valid instruction: ")
