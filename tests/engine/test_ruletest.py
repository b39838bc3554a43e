"""Rule tests: what a failing inline test says, and where."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from tests.rulesets import HOUR, aggregate, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch.domain.verdict import Text
from treasury_watch.engine.ruletest import Difference, run, run_tests
from treasury_watch.rules.forms.anomaly import Anomaly
from treasury_watch.rules.schema import (
    All,
    Any_,
    Condition,
    Disposal,
    Disposed,
    Exception_,
    Expectation,
    ModelBlock,
    Rule,
    RuleFile,
    RuleSet,
    RuleTest,
    Span,
    Step,
)

BASE = {
    "budget_unit": "101001", "jurisdiction": "420100", "amount": "100.00", "payment_mode": "direct",
    "settlement": "transfer", "purpose": "办公",
}  # fmt: skip
LARGE = make_rule("AMT-001", leaf("amount", "gte", yuan("500.00")))
NOTED = make_rule("AMT-002", leaf("amount", "gte", yuan("300.00")), action="record")


def step(expect: str, hours: float = 0, rules: tuple[str, ...] | None = None, **rest: Any) -> Step:
    reasons = {name: rest.pop(name, None) for name in ("reason_zh", "reason_en")}
    p_value = rest.pop("p_value", None)
    pay = {name.replace("__", "."): value for name, value in rest.items()}
    return Step(int(hours * HOUR), pay, Expectation(expect, rules, **reasons), p_value, Span("a.yaml", 9, 5))


def dispose(kind: Disposed, of: int, hours: float = 0) -> Disposal:
    return Disposal(int(hours * HOUR), kind, of, Span("a.yaml", 9, 5))


def failures(
    *steps: Step | Disposal, rules: tuple[Rule, ...] = (LARGE, NOTED), base: dict[str, Any] = BASE
) -> list[str]:
    """What the failures of one test say."""
    test = RuleTest("the limit", "2025-03-05T09:00:00+08:00", steps, Span("a.yaml", 7, 3))
    ruleset = make_ruleset(*rules)
    file = replace(ruleset.files[0], path="a.yaml", tests=(test,), test_base=base)
    return [failure.message for failure in run_tests(replace(ruleset, files=(file,)))]


def set_of(rules: tuple[Rule, ...], *tests: RuleTest) -> RuleSet:
    """A rule set of one file with tests."""
    ruleset = make_ruleset(*rules)
    return replace(ruleset, files=(replace(ruleset.files[0], path="a.yaml", tests=tests, test_base=BASE),))


def named(name: str, *steps: Step | Disposal) -> RuleTest:
    return RuleTest(name, "2025-03-05T09:00:00+08:00", steps, Span("a.yaml", 7, 3))


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


# --- rules that are not live yet ---


@pytest.mark.parametrize("mode", ["shadow", "draft"])
def test_a_test_that_expects_a_draft_or_a_shadow_rule_runs_it_as_if_live(mode: Any) -> None:
    tried = replace(LARGE, mode=mode)
    pair = (step("pass", amount="499.99"), step("intercept", rules=("AMT-001", "AMT-002"), amount="500.00"))
    assert not failures(*pair, rules=(tried, NOTED))
    assert not failures(*pair, rules=(LARGE, NOTED))  # and stays as it is when the rule is promoted
    assert failures(step("intercept", rules=("AMT-001",), amount="499.99"), rules=(tried,)) == [
        "expected intercept [AMT-001], found pass []"
    ]


@pytest.mark.parametrize("mode", ["shadow", "draft"])
def test_in_other_tests_it_has_no_effect(mode: Any) -> None:
    assert not failures(step("record", rules=("AMT-002",), amount="500.00"), rules=(replace(LARGE, mode=mode), NOTED))


def test_a_rule_that_is_tried_holds_payments_back_as_it_would_live() -> None:
    total = ref(aggregate("sum", "amount", "budget_unit", window_us=24 * HOUR))
    summed = make_rule("SUM", leaf(total, "gte", yuan("900.00")), action="warn")
    tried = replace(LARGE, mode="shadow")
    steps = (step("intercept", rules=("AMT-001",), amount="500.00"), step("pass", 1, amount="400.00"))
    assert not failures(*steps, rules=(tried, summed))
    untried = (step("pass", rules=(), amount="500.00"), step("warn", 1, amount="400.00"))
    assert not failures(*untried, rules=(tried, summed))


def test_a_test_that_expects_a_retired_rule_is_told_so() -> None:
    (message,) = failures(
        step("intercept", rules=("AMT-001",), amount="500.00"), rules=(replace(LARGE, mode="retired"),)
    )
    assert message == ("expected intercept [AMT-001], found pass []; AMT-001 is retired, so nothing is judged by it")


# --- what the model says ---

RARE = ref(Anomaly("p_value"), "p")
ODD = make_rule("ODD", leaf(RARE, "lte", Decimal("0.005")), action="warn", features={"p": RARE.feature})


def test_a_rule_sees_the_p_value_of_the_step_and_none_where_the_step_says_none() -> None:
    assert not failures(
        step("pass", rules=()),
        step("warn", 1, rules=("ODD",), p_value=Fraction(1, 200)),
        step("pass", 2, rules=(), p_value=Fraction(1, 200) + Fraction(1, 10**12)),
        step("intercept", 3, rules=("ODD", "AMT-001"), p_value=Fraction(1, 10**6), amount="500.00"),
        step("pass", 4, rules=()),
        step("pass", 5, rules=(), p_value=Fraction(1)),
        rules=(ODD, LARGE),
    )


def test_a_rule_may_speak_where_the_p_value_is_missing() -> None:
    missing = make_rule("NONE", leaf(RARE, "is_missing", True), action="record", features={"p": RARE.feature})
    assert not failures(step("record"), step("pass", 1, rules=(), p_value=Fraction(1, 2)), rules=(missing,))


def test_no_model_judges_in_a_test() -> None:
    test = named("one is odd", step("warn", p_value=Fraction(1, 1000)), step("pass", 1))
    assert not run_tests(replace(set_of((ODD,), test), model=ModelBlock("TailSurprise", Fraction(1, 100))))


def test_a_failed_step_is_explained_with_its_p_value() -> None:
    (failure,) = run(set_of((ODD,), named("odd", step("pass", rules=(), p_value=Fraction(1, 250))))).failures
    assert failure.message == "expected pass [], found warn [ODD]"
    (explanation,) = failure.explanations
    assert [each.value and each.value.plain for each in explanation.features] == ["0.0040"]


# --- what people decide ---

DAILY = ref(aggregate("sum", "amount", "budget_unit", window_us=24 * HOUR))
MANY = make_rule("SUM", leaf(DAILY, "gt", yuan("600.00")), action="warn")


def test_what_is_decided_applies_where_its_step_stands() -> None:
    assert not failures(
        step("intercept", amount="600.00"),
        step("pass", 1),
        dispose("release", 1, 2),
        step("warn", 3, rules=("SUM",)),
        dispose("return", 1, 4),
        step("pass", 5),
        step("warn", 6, amount="301.00"),
        dispose("return", 7, 7),
        step("pass", 8),
        rules=(LARGE, MANY),
    )


def test_a_confirmation_changes_nothing_and_a_second_release_is_one_of_its_own() -> None:
    assert not failures(
        step("intercept", amount="600.00"),
        dispose("confirm", 1),
        step("pass", 1),
        dispose("release", 1, 2),
        dispose("release", 1, 2),
        dispose("confirm", 1, 2),
        step("warn", 3),
        rules=(LARGE, MANY),
    )


def test_what_is_released_counts_at_its_own_event_time() -> None:
    late = 24 - 1 / 3600
    released = (step("intercept", amount="600.00"), dispose("release", 1, 20))
    assert not failures(*released, step("warn", late, amount="1.00"), rules=(LARGE, MANY))
    assert not failures(*released, step("pass", 24, amount="1.00"), rules=(LARGE, MANY))


@pytest.mark.parametrize("kind", ["release", "return", "confirm"])
def test_there_is_nothing_to_decide_of_a_payment_that_passed(kind: Disposed) -> None:
    assert failures(step("record", amount="300.00"), dispose(kind, 1)) == [
        f"nothing to {kind}: step 1 passed, and only what is warned of, intercepted or prohibited opens a case"
    ]


def test_there_is_nothing_to_decide_of_a_step_that_has_no_verdict() -> None:
    assert failures(
        step("intercept", 24 * 40, amount="500.00"),
        step("pass"),
        dispose("release", 2, 24 * 41),
        step("pass", amount="1"),
        dispose("release", 4, 24 * 41),
        step("intercept", 24 * 40, amount="500.00", instruction_id="step-1"),
        dispose("release", 6, 24 * 41),
    )[1::2] == [f"nothing to release: step {number} has no verdict" for number in (2, 4, 6)]


def test_a_case_that_no_window_asks_for_any_more_is_told_so() -> None:
    days = 31 + 1  # max_lateness, and the window
    paid = step("intercept", amount="600.00")
    assert not failures(paid, step("pass", 24 * days), dispose("release", 1, 24 * days), rules=(LARGE, MANY))
    assert failures(
        paid, step("pass", 24 * days + 1 / 3600), dispose("release", 1, 24 * days + 1), rules=(LARGE, MANY)
    ) == ["nothing to release: step 1 is so old that no window asks for it, and its case is forgotten"]


def test_a_failed_expectation_can_be_disposed_of_by_the_verdict_that_was_found() -> None:
    assert failures(step("pass", amount="600.00"), dispose("release", 1), step("warn", 1), rules=(LARGE, MANY)) == [
        "expected pass, found intercept [AMT-001]"
    ]


def test_a_failure_says_where_the_disposition_stands() -> None:
    wrong = replace(dispose("return", 1), span=Span("a.yaml", 12, 5))
    (failure,) = run_tests(set_of((LARGE,), named("returned", step("pass"), wrong)))
    assert (failure.line, failure.column, failure.step, failure.differences) == (12, 5, 2, ())


# --- what a failure shows ---


def test_a_failure_says_what_differs() -> None:
    wrong = named(
        "wrong", step("warn", amount="500.00"), step("record", amount="300.00", reason_zh="金额1元", reason_en="CNY 1")
    )
    verdict, reasons = run_tests(set_of((LARGE, NOTED), wrong))
    assert verdict.differences == (Difference("verdict", "warn", "intercept [AMT-001, AMT-002]"),)
    assert reasons.differences == (
        Difference("reason_zh", '"金额1元"', '"金额300.00元"'),
        Difference("reason_en", '"CNY 1"', '"CNY 300.00"'),
    )


@pytest.mark.parametrize(
    ("wrong", "explained"),
    [
        (step("intercept", rules=("AMT-001",), amount="499.99"), {"AMT-001": False, "AMT-002": True}),
        (step("intercept", rules=("AMT-001",), amount="500.00"), {"AMT-002": True}),
        (step("pass", amount="500.00"), {"AMT-001": True, "AMT-002": True}),
        (step("intercept", amount="499.99"), {"AMT-001": False}),
        (step("record", amount="300.00", reason_en="-"), {}),
    ],
)
def test_a_failure_explains_the_rules_that_it_is_about(wrong: Step, explained: dict[str, bool]) -> None:
    (failure,) = run_tests(set_of((LARGE, NOTED), named("wrong", wrong)))
    assert {each.rule.id: each.node.truth for each in failure.explanations} == explained


def test_a_failure_is_explained_as_of_its_moment_and_what_follows_sees_it_once() -> None:
    total = aggregate("sum", "amount", "budget_unit", window_us=24 * HOUR)
    rule = make_rule("SUM", leaf(ref(total), "gte", yuan("300.00")), action="warn", features={"f": total})
    steps = (step("pass"), step("warn", 1, rules=("SUM",)), step("warn", 2, rules=("SUM",)))
    (failure,) = run_tests(set_of((rule,), named("three times a hundred", *steps)))
    assert failure.step == 2
    ((feature,),) = (each.features for each in failure.explanations)
    assert feature.value is not None
    assert feature.value.plain == "200.00"


# --- one rule's tests ---


def test_the_tests_of_a_rule_are_those_that_expect_it_name_it_or_make_it_hit() -> None:
    tests = (
        named("expects it", step("intercept", rules=("AMT-001", "AMT-002"), amount="500.00")),
        named("AMT-001 lets small amounts pass", step("pass", amount="1.00")),
        named("makes it hit", step("intercept", amount="500.00")),
        named("is about something else", step("record", amount="300.00")),
        named("expects it in vain", step("intercept", rules=("AMT-001",), amount="1.00")),
    )
    result = run(set_of((LARGE, NOTED), *tests), "AMT-001")
    assert [(each.name, each.failed) for each in result.tests] == [
        ("expects it", False),
        ("AMT-001 lets small amounts pass", False),
        ("makes it hit", False),
        ("expects it in vain", True),
    ]
    assert len(result.failures) == 1


def test_other_files_are_not_run_for_a_rule() -> None:
    ruleset = set_of((LARGE,), named("expects it", step("intercept", amount="500.00")))
    other = RuleFile("b.yaml", "b", "owner", (NOTED,), (named("names AMT-001 too", step("pass")),), BASE)
    result = run(replace(ruleset, files=(*ruleset.files, other)), "AMT-001")
    assert (result.files, [each.name for each in result.tests]) == (1, ["expects it"])


# --- how the conditions were exercised ---

CASH = leaf("settlement", "in", ("cash", "cash_cheque"))
BIG = leaf("amount", "gte", yuan("500.00"))


def gaps(when: Condition, *steps: Step, **rest: Any) -> list[tuple[str, tuple[str, ...]]]:
    """The conditions of a rule that a test leaves open."""
    result = run(set_of((make_rule("R", when, **rest),), named("a test", *steps)))
    assert not result.failures
    return [(each.condition, each.never) for each in result.exercise.gaps]


def test_a_condition_that_was_both_true_and_false_is_exercised() -> None:
    steps = (step("intercept", amount="500.00", settlement="cash"), step("pass", amount="499.99"))
    assert gaps(All((CASH, BIG)), *steps) == []


def test_a_condition_that_was_never_false_or_never_true_is_a_gap() -> None:
    when = All((CASH, BIG))
    assert gaps(when, step("pass", amount="500.00")) == [
        ("settlement in cash, cash_cheque", ("true",)),
        ("amount ≥ 500.00", ("false",)),
    ]
    # Both conditions are asked, even if the first one settles the rule.
    assert gaps(when, step("pass", amount="500.00"), step("pass", 1, amount="499.99")) == [
        ("settlement in cash, cash_cheque", ("true",))
    ]


def test_what_is_missing_is_neither_true_nor_false() -> None:
    assert gaps(leaf("cashier", "eq", "李"), step("pass")) == [("cashier = 李", ("true", "false"))]


def test_a_rule_that_is_not_in_effect_is_not_exercised() -> None:
    when, early = leaf("amount", "gte", yuan("500.00")), date(2025, 3, 6)
    steps = (step("pass", amount="500.00"), step("pass", 1, amount="1.00"))
    assert gaps(when, *steps, effective_from=early) == [("amount ≥ 500.00", ("true", "false"))]
    assert gaps(when, step("intercept", 24, amount="500.00"), step("pass", 25), effective_from=early) == []


def test_a_step_without_a_verdict_exercises_nothing() -> None:
    twice = (step("pass", instruction_id="A"), step("pass", instruction_id="A", amount="900.00"))
    result = run(set_of((LARGE,), named("the second is refused", *twice)))
    assert [each.never for each in result.exercise.gaps] == [("true",)]


def test_shadow_rules_are_exercised_only_by_tests_that_try_one_and_then_by_all_of_the_file() -> None:
    shadow = replace(LARGE, mode="shadow")
    small, large = named("small", step("pass", amount="1.00")), named("large", step("pass", amount="500.00"))
    assert run(set_of((shadow,), small, large)).exercise.conditions == 0
    tried = named("tried", step("intercept", rules=("AMT-001",), amount="500.00"))
    for draft_or_shadow, open_conditions in ((shadow, 0), (replace(LARGE, mode="draft"), 1)):
        exercise = run(set_of((draft_or_shadow,), small, tried)).exercise
        assert (exercise.conditions, len(exercise.gaps)) == (1, open_conditions)


def test_a_gap_is_shown_with_its_place() -> None:
    when = Any_((replace(BIG, span=Span("a.yaml", 5, 9)), CASH))
    rule = make_rule("R", when, span=Span("a.yaml", 3, 3))
    result = run(set_of((rule,), named("a test", step("intercept", amount="500.00"))))
    shown = [(each.file, each.line, each.column, each.rule, each.condition) for each in result.exercise.gaps]
    assert shown == [
        ("a.yaml", 5, 9, "R", "amount ≥ 500.00"),
        ("a.yaml", 3, 3, "R", "settlement in cash, cash_cheque"),
    ]
