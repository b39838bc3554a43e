"""The safe verdict: what becomes of an instruction on which the rules fail, and of those around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.paying import PAID, START, pay, said, shows, verdicts
from tests.rulesets import leaf, make_rule, make_ruleset, yuan
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Duplicate, Text
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.failsafe import SafeVerdict, must_stop, place_of, raise_failure
from treasury_watch.engine.journal import Journal, Restoring
from treasury_watch.rules.schema import RuleSet

LARGE = make_rule("LARGE-1", leaf("amount", "gte", yuan("5000.00")), action="warn")
RULES = make_ruleset(LARGE, shows(PAID, action="record"))
FAILING = "I2"


class Broken(Program):
    """A program whose rules fail on the instruction I2: before they say anything, or after having begun to add."""

    def __init__(self, ruleset: RuleSet = RULES, on_error: SafeVerdict = "intercept", error: Any = KeyError) -> None:
        super().__init__(ruleset, on_error=on_error)
        self.error = error

    def judge(self, *span: Any) -> Callable[..., Any]:
        whole = super().judge(*span)

        def judge(instruction: Instruction, *rest: Any) -> Any:
            if instruction.instruction_id == FAILING:
                raise self.error(instruction.payee_account)
            return whole(instruction, *rest)

        return judge


def failed(decision: Any) -> bool:
    return [hit.rule for hit in decision.hits] == ["ENGINE"]


def test_it_is_intercepted_with_one_hit_that_names_the_kind_of_error_and_no_data() -> None:
    first, broken, last = Engine(Broken()).assess([pay(1), pay(2), pay(3)])
    assert isinstance(broken, Decision)
    assert (broken.verdict, broken.evidence_required, broken.instruction_id) == ("intercept", False, FAILING)
    (hit,) = broken.hits
    assert (hit.rule, hit.revision, hit.action, hit.mode, hit.level) == ("ENGINE", 1, "intercept", "live", "red")
    assert hit.reason == Text(
        zh="系统内部错误（KeyError），无法判断该支付，按安全设置处理",
        en="This payment could not be judged: internal error (KeyError); it gets the verdict set for such cases",
    )
    assert hit.evidence == {"error": "KeyError"}
    assert not failed(first)
    assert not failed(last)


@pytest.mark.parametrize("chosen", ["warn", "intercept", "prohibit"])
def test_the_verdict_is_the_one_that_was_chosen(chosen: SafeVerdict) -> None:
    found = Engine(Broken(on_error=chosen)).assess([pay(1), pay(2), pay(3)])
    assert verdicts(found) == ["pass", chosen, "pass"]


def test_the_others_are_judged_as_if_it_were_in_no_window() -> None:
    outcomes = Engine(Broken()).assess([pay(1), pay(2), pay(3)])
    assert said([outcomes[0], outcomes[2]]) == said(Engine(Program(RULES)).assess([pay(1), pay(3)]))


def test_its_id_is_kept_so_that_it_is_judged_once() -> None:
    engine = Engine(Broken())
    engine.assess([pay(2)])
    engine.absorb()
    assert engine.assess([pay(2)]) == [Duplicate(FAILING)]


def test_its_event_time_counts_for_lateness() -> None:
    _, late = Engine(Broken()).assess([pay(2, hours=1), pay(3)])
    assert isinstance(late, Decision)
    assert late.late


def test_the_same_payments_get_the_same_decisions_again_in_any_batches() -> None:
    payments = [pay(1), pay(2), pay(3, amount="6000.00"), pay(2), pay(4)]
    at_once = Engine(Broken())
    one_by_one = Engine(Broken())
    decisions = at_once.assess(payments)
    at_once.absorb()
    found = []
    for payment in payments:
        found += one_by_one.assess([payment])
        one_by_one.absorb()
    assert found == decisions
    assert one_by_one.dump() == at_once.dump()


def test_what_was_not_published_is_undone_with_it() -> None:
    engine = Engine(Broken())
    before = engine.dump()
    engine.assess([pay(1), pay(2), pay(3)])
    engine.discard()
    assert engine.dump() == before


@pytest.mark.parametrize("ruleset", [RULES, make_ruleset(LARGE)], ids=["with windows", "without windows"])
def test_it_opens_a_case_that_a_person_decides_and_still_counts_nowhere(ruleset: RuleSet) -> None:
    engine = Engine(Broken(ruleset))
    engine.assess([pay(2)])
    engine.absorb()
    entries = engine.state.entries()["entries"]
    assert engine.dispose("420100", FAILING, "D1", "release") == "applied"
    assert engine.dispose("420100", FAILING, "D2", "return") == "applied"
    assert engine.state.entries()["entries"] == entries == 0


def test_it_is_in_the_journal_and_in_the_state_that_is_made_of_it() -> None:
    engine = Engine(Broken())
    journal = Journal(engine)
    records = journal.rotate()
    engine.assess([pay(1), pay(2), pay(3)])
    engine.absorb()
    restoring = Restoring(Broken())
    for record in [*records, *journal.effects(3)]:
        restoring.take(record.data)
    assert restoring.finished().dump() == engine.dump()
    assert Engine.load(Program(RULES), engine.dump()).dump() == engine.dump()


def test_its_case_goes_on_under_other_rules() -> None:
    engine = Engine(Broken())
    engine.assess([pay(2)])
    engine.absorb()
    engine.switch(Program(make_ruleset(LARGE)))
    assert engine.dispose("420100", FAILING, "D1", "release") == "applied"


def test_rules_that_cannot_be_compiled_for_a_day_are_a_failure_of_each_payment_of_that_day() -> None:
    class NoSuchDay(Program):
        def judge(self, *span: Any) -> Callable[..., Any]:
            if span[0].ordinal == START.toordinal():
                raise SyntaxError("generated")
            return super().judge(*span)

    outcomes = Engine(NoSuchDay(RULES)).assess([pay(1), pay(3, hours=24), pay(4)])
    assert [failed(each) for each in outcomes] == [True, False, True]


def test_it_is_told_where_it_failed_and_not_of_what() -> None:
    engine = Engine(Broken())
    told: list[tuple[str, str]] = []
    engine.on_failure = lambda instruction, error: told.append((instruction.instruction_id, place_of(error)))
    engine.assess([pay(1), pay(2)])
    ((instruction_id, place),) = told
    assert instruction_id == FAILING
    assert place.startswith("test_failsafe.py:")
    assert "(judge) < assess.py:" in place
    assert pay(2).payee_account not in place  # type: ignore[operator]


def test_a_failure_while_it_is_added_to_windows_stops_everything() -> None:
    class Torn(Program):
        def judge(self, *span: Any) -> Callable[..., Any]:
            def judge(*judged: Any) -> Any:
                mask = 0  # as the generated function names it
                return 1 // mask

            return judge

    with pytest.raises(ZeroDivisionError):
        Engine(Torn(RULES)).assess([pay(1)])


def test_the_generated_function_names_the_moment_from_which_on_it_adds() -> None:
    before, adding = Program(RULES).source(START.toordinal()).split("    mask = 0\n")
    assert "add_" not in before
    assert "beside" not in before
    assert "settle(" not in adding


def test_want_of_memory_is_no_failure_of_the_rules() -> None:
    assert must_stop(MemoryError())
    with pytest.raises(MemoryError):
        Engine(Broken(error=MemoryError)).assess([pay(2)])


def test_a_back_test_ends_instead_of_counting_what_no_rule_said() -> None:
    engine = Engine(Broken())
    engine.on_failure = raise_failure
    with pytest.raises(KeyError):
        engine.assess([pay(1), pay(2)])
