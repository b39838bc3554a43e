"""Dispositions: what a person decided moves an instruction into windows and out of them, at its own event time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.builders import make_instruction
from tests.rulesets import DAY, aggregate, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Text
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.state import MOST_DISPOSITIONS

SUM = ref(aggregate("sum", "amount", "budget_unit", window_us=30 * DAY), "total")
ATTEMPTS = ref(aggregate("count", "instruction_id", "budget_unit", window_us=30 * DAY, population="attempted"), "n")
RULES = (
    make_rule("HELD", leaf("amount", "gte", yuan("1000.00")), action="intercept"),
    make_rule("WARNED", leaf("amount", "between", (yuan("500.00"), yuan("999.99"))), action="warn"),
    make_rule(
        "SHOWN",
        leaf(SUM, "gt", yuan("0.00")),
        action="record",
        reason=Text(zh="{total} {n}", en="{total} {n}"),
        features={"total": SUM.feature, "n": ATTEMPTS.feature},
    ),
)
KEY = "420100"


@pytest.fixture
def engine() -> Engine:
    return Engine(Program(make_ruleset(*RULES)))


def pay(number: int, amount: str, day: int = 3) -> Instruction:
    return make_instruction(
        instruction_id=f"I{number}", amount=amount, jurisdiction=KEY, event_time=f"2025-03-{day:02}T10:00:00+08:00"
    )


def judge(engine: Engine, *instructions: Instruction) -> list[Decision]:
    outcomes: list[Any] = engine.assess(instructions)
    engine.absorb()
    return outcomes


def total(engine: Engine, day: int = 4) -> str:
    """What stands in the window, as the next payment of one yuan sees it; nothing of it is kept."""
    (outcome,) = engine.assess([pay(999, "1.00", day)])
    engine.discard()
    assert isinstance(outcome, Decision)
    hit = next(hit for hit in outcome.hits if hit.rule == "SHOWN")
    return hit.evidence["total"]


def dispose(engine: Engine, number: int, kind: Any, disposition: str = "") -> str:
    return engine.dispose(KEY, f"I{number}", disposition or f"D{number}-{kind}", kind)


def test_what_was_held_does_not_count_until_it_is_released(engine: Engine) -> None:
    judge(engine, pay(1, "2000.00"))
    assert total(engine) == "1.00"
    assert dispose(engine, 1, "release") == "applied"
    assert total(engine) == "2001.00"


def test_what_is_decided_of_a_payment_is_not_for_another_that_has_its_id_later(engine: Engine) -> None:
    (old,) = judge(engine, pay(1, "2000.00", day=1))
    judge(engine, make_instruction(instruction_id="I2", jurisdiction=KEY, event_time="2025-04-20T10:00:00+08:00"))
    again = make_instruction(
        instruction_id="I1", amount="3000.00", jurisdiction=KEY, event_time="2025-04-20T10:00:00+08:00"
    )
    (new,) = judge(engine, again)
    for each in (engine, Engine.load(engine.program, engine.dump())):
        assert each.dispose(KEY, "I1", "D1", "release", decision_id=old.decision_id) == "other"
        assert each.dispose(KEY, "I1", "D1", "release", decision_id=new.decision_id) == "applied"
        assert each.dispose(KEY, "I1", "D1", "release", decision_id=new.decision_id) == "repeated"


def test_it_counts_at_its_own_event_time(engine: Engine) -> None:
    judge(engine, pay(1, "2000.00", day=1))
    dispose(engine, 1, "release")
    assert total(engine, day=30) == "2001.00"
    assert total(engine, day=31) == "1.00"


def test_what_was_returned_does_not_count_any_more_whatever_its_verdict_was(engine: Engine) -> None:
    judge(engine, pay(1, "2000.00"), pay(2, "600.00"))
    assert total(engine) == "601.00"
    dispose(engine, 2, "return")
    assert total(engine) == "1.00"
    dispose(engine, 1, "release")
    dispose(engine, 1, "return")
    assert total(engine) == "1.00"
    dispose(engine, 1, "release", "D1-again")
    assert total(engine) == "2001.00"


def test_of_equal_payments_the_returned_one_is_taken_out(engine: Engine) -> None:
    judge(engine, pay(1, "600.00"), pay(2, "700.00"), pay(3, "600.00"))
    dispose(engine, 2, "return")
    assert total(engine) == "1201.00"


@pytest.mark.parametrize(("amount", "expected"), [("2000.00", "1.00"), ("600.00", "601.00")])
def test_a_confirmation_changes_nothing(engine: Engine, amount: str, expected: str) -> None:
    judge(engine, pay(1, amount))
    assert dispose(engine, 1, "confirm") == "applied"
    assert total(engine) == expected
    dispose(engine, 1, "release")
    dispose(engine, 1, "confirm", "again")
    assert total(engine) == f"{amount[:-3].replace('2000', '2001').replace('600', '601')}.00"


def test_the_same_disposition_twice_is_once(engine: Engine) -> None:
    judge(engine, pay(1, "2000.00"))
    assert dispose(engine, 1, "release", "D") == "applied"
    assert dispose(engine, 1, "return", "E") == "applied"
    assert dispose(engine, 1, "release", "D") == "repeated"
    assert total(engine) == "1.00"


def test_an_instruction_without_a_case_is_unknown(engine: Engine) -> None:
    judge(engine, pay(1, "1.00"))
    for number in (1, 2):
        assert dispose(engine, number, "return") == "unknown"
    assert engine.dispose("elsewhere", "I1", "D", "return") == "unknown"
    assert total(engine) == "2.00"


def test_a_case_is_known_until_no_window_can_ask_for_it(engine: Engine) -> None:
    last = timedelta(days=30) + engine.program.max_lateness_us * timedelta(microseconds=1)
    judge(engine, pay(1, "2000.00"))
    first = pay(1, "2000.00").event_time
    for later, known in ((timedelta(0), "applied"), (timedelta(microseconds=1), "unknown")):
        judge(
            engine,
            make_instruction(
                instruction_id=f"L{later}", amount="1.00", jurisdiction=KEY, event_time=str(first + last + later)
            ),
        )
        assert dispose(engine, 1, "release", f"D{later}") == known


def test_attempts_count_whatever_became_of_them(engine: Engine) -> None:
    judge(engine, pay(1, "2000.00"), pay(2, "600.00"))
    dispose(engine, 2, "return")
    (outcome,) = engine.assess([pay(3, "1.00")])
    assert isinstance(outcome, Decision)
    assert outcome.hits[-1].evidence["n"] == "3"


def test_cases_of_what_is_discarded_are_not_opened(engine: Engine) -> None:
    engine.assess([pay(1, "2000.00")])
    engine.discard()
    assert dispose(engine, 1, "release") == "unknown"


def test_a_case_of_an_id_that_came_again_is_back_when_that_is_discarded(engine: Engine) -> None:
    judge(engine, pay(1, "2000.00"))
    dispose(engine, 1, "release")
    before = engine.dump()
    late = make_instruction(instruction_id="L", amount="1.00", jurisdiction=KEY, event_time="2025-04-04T10:00:01+08:00")
    again = make_instruction(
        instruction_id="I1", amount="3000.00", jurisdiction=KEY, event_time="2025-04-04T10:00:02+08:00"
    )
    once_more = make_instruction(
        instruction_id="I1", amount="4000.00", jurisdiction=KEY, event_time="2025-05-06T10:00:00+08:00"
    )
    for batch in (
        [late, again],
        [
            late,
            again,
            make_instruction(
                instruction_id="M", amount="1.00", jurisdiction=KEY, event_time="2025-05-06T10:00:00+08:00"
            ),
            once_more,
        ],
    ):
        outcomes = engine.assess(batch)
        assert all(isinstance(each, Decision) for each in outcomes)
        engine.discard()
        assert engine.dump() == before
    assert dispose(engine, 1, "release") == "repeated"


def test_cases_and_what_was_decided_are_part_of_the_state(engine: Engine) -> None:
    judge(engine, pay(1, "2000.00"), pay(2, "600.00"), pay(3, "3000.00"))
    dispose(engine, 1, "release")
    loaded = Engine.load(engine.program, engine.dump())
    assert loaded.dump() == engine.dump()
    for each in (engine, loaded):
        assert dispose(each, 1, "release") == "repeated"
        dispose(each, 1, "return")
        dispose(each, 3, "release")
        assert total(each) == "3601.00"
    assert loaded.dump() == engine.dump()


def test_with_other_rules_a_case_counts_where_its_series_is_kept_still(engine: Engine) -> None:
    judge(engine, pay(1, "2000.00"))
    by_payee = ref(aggregate("sum", "amount", "payee_account", window_us=DAY), "other")
    other = make_rule("OTHER", leaf(by_payee, "gt", yuan("5.00")), action="record")
    engine.switch(Program(make_ruleset(other, *RULES)))
    dispose(engine, 1, "release")
    assert total(engine) == "2001.00"


def test_without_any_window_cases_are_known_as_long_as_ids() -> None:
    engine = Engine(Program(make_ruleset(RULES[0])))
    judge(engine, pay(1, "2000.00"))
    assert dispose(engine, 1, "release") == "applied"
    assert dispose(engine, 1, "release") == "repeated"


def test_what_was_decided_of_one_payment_has_an_end_since_its_case_is_one_record(engine: Engine) -> None:
    judge(engine, pay(1, "2000.00"))
    for number in range(MOST_DISPOSITIONS - 1):
        assert dispose(engine, 1, "confirm", f"C{number}") == "applied"
    assert dispose(engine, 1, "release") == "applied"
    assert dispose(engine, 1, "return") == "full"
    assert total(engine) == "2001.00"
    assert dispose(engine, 1, "release") == "repeated"
