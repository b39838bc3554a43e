"""A rule change in mid-stream: every verdict is that of the new rules over the whole stream, or says that it warms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import make_instruction
from tests.rulesets import DAY, HOUR, aggregate, leaf, make_rule, make_ruleset, ref
from treasury_watch.domain.payment import Instruction, microseconds
from treasury_watch.domain.verdict import Decision, Text
from treasury_watch.engine import Engine, Program
from treasury_watch.rules.forms.first_seen import FirstSeen
from treasury_watch.rules.plan import needed_by
from treasury_watch.rules.schema import Rule

START = datetime(2025, 12, 29, tzinfo=UTC)
BUSY = aggregate("count", "instruction_id", "budget_unit", window_us=5 * HOUR, population="attempted")
WHERE = leaf(ref(BUSY), "gte", 2)
FEATURES: list[Any] = [
    *(aggregate("sum", "amount", "budget_unit", window_us=window * HOUR) for window in (1, 5, 30)),
    aggregate("count", "instruction_id", "budget_unit", window_us=30 * HOUR),
    aggregate("count", "amount", "budget_unit", window_us=30 * HOUR),
    aggregate("max", "line_no", window_us=DAY),
    aggregate("count", "line_no", period="month"),
    aggregate("distinct", "payee_name", "budget_unit", window_us=DAY),
    aggregate("distinct", "payee_name", "budget_unit", period="week"),
    aggregate("sum", "amount", "budget_unit", window_us=5 * HOUR, where=leaf("settlement", "eq", "cash")),
    aggregate("count", "instruction_id", window_us=DAY, where=WHERE),
    aggregate("sum", "amount", period="day"),
    aggregate("sum", "amount", period="month"),
    aggregate("sum", "amount", "budget_unit", period="fiscal_year"),
    FirstSeen("payee_name", ("budget_unit",), 2 * DAY),
]
RULES = [
    make_rule(
        f"R{number}", leaf("instruction_id", "is_missing", False), action="record", features={"f": feature},
        reason=Text(zh="", en=""),
    )
    for number, feature in enumerate(FEATURES)
]  # fmt: skip


def pay(number: int, hours: float, **fields: Any) -> Instruction:
    return make_instruction(instruction_id=f"I{number}", event_time=START + timedelta(hours=hours), **fields)


RULE_SETS = st.lists(st.sampled_from(RULES), unique_by=lambda rule: rule.id, max_size=5)
INSTRUCTIONS = st.lists(
    st.builds(
        pay,
        number=st.integers(0, 60),
        hours=st.sampled_from([0, 1, 2, 3, 5, 6, 8, 29, 30, 31, 36, 60, 61, 90, 200, 500, 1000, 20_000]),
        amount=st.sampled_from(["-1.00", "0.01", "5.00"]),
        jurisdiction=st.sampled_from(["420100", "420200"]),
        budget_unit=st.sampled_from(["101", "102"]),
        payee_name=st.sampled_from([None, "甲", "乙"]),
        settlement=st.sampled_from(["cash", "transfer"]),
        line_no=st.sampled_from([None, 1, -1]),
    ),
    max_size=30,
)


def judge(engine: Engine, instructions: list[Instruction]) -> list[Any]:
    outcomes = engine.assess(instructions)
    engine.absorb()
    return outcomes


def asks_back(rule: Rule) -> int:
    """The farthest that a rule can ask back, through `where` of a feature too."""
    return sum(each.reach_us for each in set(needed_by(rule))) + DAY


@settings(max_examples=150, deadline=None)
@given(old=RULE_SETS, new=RULE_SETS, before=INSTRUCTIONS, after=INSTRUCTIONS, split=st.integers(0, 30))
def test_after_a_rule_change_hits_are_those_of_the_whole_stream_or_warming(
    old: list[Rule], new: list[Rule], before: list[Instruction], after: list[Instruction], split: int
) -> None:
    lateness = timedelta(hours=6)
    first, then = Program(make_ruleset(*old), lateness), Program(make_ruleset(*new), lateness)
    engine, whole = Engine(first), Engine(then)
    judge(engine, before)
    judge(whole, before)
    changed_at = {key: scope.watermark for key, scope in engine.state.scopes.items()}
    engine = Engine.load(then, engine.dump())
    found = judge(engine, after[:split])
    engine = Engine.load(then, engine.dump())
    found += judge(engine, after[split:])
    by_id = {rule.id: rule for rule in new}
    expected = judge(whole, after)
    for instruction, got, wanted in zip(after, found, expected, strict=True):
        if not isinstance(wanted, Decision):
            assert got == wanted
            continue
        assert isinstance(got, Decision)
        assert got.verdict == wanted.verdict == "pass"
        for hit, true_hit in zip(got.hits, wanted.hits, strict=True):
            if hit.mode == "live":
                assert hit == true_hit
                continue
            assert (hit.rule, hit.mode, hit.evidence) == (true_hit.rule, "warming", {})
            began = microseconds(instruction.event_time) - asks_back(by_id[hit.rule])
            assert began <= changed_at[instruction.jurisdiction]
    if not engine.state.warming:
        assert engine.dump() == whole.dump()


@settings(max_examples=150, deadline=None)
@given(rules=RULE_SETS, parts=st.tuples(INSTRUCTIONS, INSTRUCTIONS, INSTRUCTIONS))
def test_rules_that_come_and_go_change_nothing_of_those_that_stay(
    rules: list[Rule], parts: tuple[list[Instruction], list[Instruction], list[Instruction]]
) -> None:
    staying = {rule.id for rule in rules}
    joined = make_ruleset(*rules, *(rule for rule in RULES if rule.id not in staying))
    lateness = timedelta(hours=6)
    alone, beside = Program(make_ruleset(*rules), lateness), Program(joined, lateness)
    undisturbed, engine = Engine(alone), Engine(alone)
    for program, part in zip((alone, beside, alone), parts, strict=True):
        engine.switch(program)
        for got, wanted in zip(judge(engine, part), judge(undisturbed, part), strict=True):
            if isinstance(wanted, Decision):
                assert isinstance(got, Decision)
                assert tuple(hit for hit in got.hits if hit.rule in staying) == wanted.hits
            else:
                assert got == wanted
    assert engine.dump() == undisturbed.dump()


@settings(max_examples=80, deadline=None)
@given(rules=RULE_SETS, gone=INSTRUCTIONS, kept=INSTRUCTIONS)
def test_where_the_beginning_is_gone_hits_are_those_of_the_whole_stream_or_warming(
    rules: list[Rule], gone: list[Instruction], kept: list[Instruction]
) -> None:
    program = Program(make_ruleset(*rules), timedelta(hours=6))
    engine, whole = Engine(program), Engine(program)
    judge(whole, gone)
    kept = [msgspec.structs.replace(each, instruction_id=f"K{each.instruction_id}") for each in kept]
    engine.starts_at(max((microseconds(each.event_time) for each in gone), default=-(2**62)) + 1)
    for got, wanted in zip(judge(engine, kept), judge(whole, kept), strict=True):
        if not (isinstance(got, Decision) and isinstance(wanted, Decision)):
            continue  # ids and the newest time are gone, too
        for hit, true_hit in zip(got.hits, wanted.hits, strict=True):
            assert hit == true_hit or (hit.rule, hit.mode, hit.evidence) == (true_hit.rule, "warming", {})
