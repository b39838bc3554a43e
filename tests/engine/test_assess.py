"""Assessment: what becomes of each instruction of a batch, and what it leaves behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import make_instruction
from tests.engine.paying import BOUNDARY, LARGE, PAID, START, decision, engine_of, pay, said, shows, values_of, verdicts
from tests.rulesets import HOUR, aggregate, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch import __version__
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Duplicate, Excepted, Refusal, Text
from treasury_watch.engine import Engine, Program
from treasury_watch.rules.schema import Exception_, RuleFile, RuleSet

# --- the decision ---


def test_a_decision_says_what_was_judged_by_what_and_when() -> None:
    ruleset = replace(make_ruleset(LARGE), hash="sha256:" + "ab" * 32, reference="sha256:" + "cd" * 32)
    instruction = make_instruction(amount="5000.00", currency=None)
    found = decision(Engine(Program(ruleset)), instruction)
    assert (found.schema_version, found.instruction_id, found.jurisdiction) == (1, "PI-0001", "420100")
    assert (found.budget_unit, found.amount, found.currency) == ("101001", "5000.00", "CNY")
    assert found.event_time.isoformat() == "2025-03-05T10:15:00+08:00"
    assert (found.verdict, found.evidence_required, found.late) == ("intercept", False, False)
    assert (found.ruleset, found.reference, found.engine) == (ruleset.hash, ruleset.reference, __version__)
    (hit,) = found.hits
    assert (hit.rule, hit.revision, hit.action, hit.mode, hit.level) == ("LARGE", 1, "intercept", "live", "red")
    assert hit.reason == Text(zh="金额5000.00元", en="CNY 5000.00")


def test_one_fen_less_passes_without_a_hit() -> None:
    found = decision(engine_of(LARGE), make_instruction(amount="4999.99"))
    assert (found.verdict, found.hits) == ("pass", ())


@pytest.mark.parametrize(
    ("actions", "verdict"),
    [
        (["record"], "pass"),
        (["record", "warn"], "warn"),
        (["prohibit", "warn", "intercept"], "prohibit"),
        (["intercept", "intercept"], "intercept"),
    ],
)
def test_the_verdict_is_the_highest_action_and_the_hits_come_in_the_order_of_the_rules(
    actions: list[str], verdict: str
) -> None:
    rules = [replace(LARGE, id=f"R{n}", action=action) for n, action in enumerate(actions)]  # type: ignore[arg-type]
    found = decision(engine_of(*rules), make_instruction(amount="9000.00"))
    assert found.verdict == verdict
    assert [(hit.rule, hit.action) for hit in found.hits] == [(f"R{n}", each) for n, each in enumerate(actions)]


def test_rules_of_later_files_come_later() -> None:
    ruleset = make_ruleset(replace(LARGE, id="Z"))
    other = RuleFile("b.yaml", "b", "owner", (replace(LARGE, id="A"),), (), {})
    found = decision(
        Engine(Program(replace(ruleset, files=(*ruleset.files, other)))), make_instruction(amount="9000.00")
    )
    assert [hit.rule for hit in found.hits] == ["Z", "A"]


@pytest.mark.parametrize(("mode", "required"), [("live", True), ("shadow", False)])
def test_evidence_is_required_by_live_hits_only(mode: Any, required: bool) -> None:
    rule = replace(LARGE, action="warn", evidence_required=True, mode=mode)
    assert decision(engine_of(rule), make_instruction(amount="5000.00")).evidence_required is required
    assert decision(engine_of(rule), make_instruction(amount="4999.99")).evidence_required is False


def test_what_is_only_recorded_opens_no_case_and_needs_no_evidence() -> None:
    rule = replace(LARGE, action="record", evidence_required=True)
    found = decision(engine_of(rule), make_instruction(amount="5000.00"))
    assert (found.verdict, found.evidence_required, len(found.hits)) == ("pass", False, 1)


@pytest.mark.parametrize("mode", ["draft", "retired"])
def test_drafts_and_retired_rules_are_not_judged(mode: Any) -> None:
    assert decision(engine_of(replace(LARGE, mode=mode)), make_instruction(amount="9000.00")).hits == ()


def test_the_id_of_a_decision_is_one_for_each_instruction_and_rule_set() -> None:
    first = decision(engine_of(), make_instruction())
    assert decision(engine_of(LARGE), make_instruction()).decision_id == first.decision_id  # hashes are equal here
    assert decision(engine_of(), make_instruction(amount="1234.51")).decision_id != first.decision_id
    assert decision(engine_of(), make_instruction(instruction_id="PI-0002")).decision_id != first.decision_id
    other = Engine(Program(replace(make_ruleset(), hash="sha256:" + "1" * 64)))
    assert decision(other, make_instruction()).decision_id != first.decision_id


def test_the_id_of_a_decision_does_not_depend_on_how_one_instruction_is_written() -> None:
    first = decision(engine_of(), make_instruction(attributes={"x": 1}))
    again = make_instruction(event_time="2025-03-05T02:15:00+00:00", attributes={"x": 1.0})
    other = decision(engine_of(), again)
    assert (other.decision_id, other.event_time) == (first.decision_id, again.event_time)


# --- duplicates ---

MESSAGE = (
    '{"instruction_id":"PI-0001","event_time":"2025-03-05T10:15:00+08:00","jurisdiction":"420100","budget_unit":"101",'
    '"amount":"1.00","payment_mode":"direct","settlement":"cash","purpose":"办公","attributes":{"a":1,"b":true}}'
)
SAME = (
    '{ "attributes": {"b": true, "a": 1}, "purpose":"\\u529e\\u516c", "settlement":"cash","payment_mode":"direct",'
    '"amount":"1.00","budget_unit":"101","jurisdiction":"420100","project":null,"schema_version":1,"green_channel":false,'
    '"event_time":"2025-03-05T10:15:00.000000+08:00","instruction_id":"PI-0001"}'
)


def decoded(message: str) -> Instruction:
    return msgspec.json.decode(message, type=Instruction)


def test_the_same_content_written_otherwise_is_a_duplicate() -> None:
    engine = engine_of()
    first, again = engine.assess([decoded(MESSAGE), decoded(SAME)])
    assert isinstance(first, Decision)
    assert again == Duplicate("PI-0001")


@pytest.mark.parametrize("between", ["same batch", "next batch", "absorbed", "loaded"])
def test_an_instruction_is_judged_once_however_often_it_comes(between: str) -> None:
    engine = engine_of(shows(aggregate("count", "instruction_id", window_us=HOUR)))
    if between == "same batch":
        first, again = engine.assess([pay(1), pay(1)])
    else:
        (first,) = engine.assess([pay(1)])
        if between != "next batch":
            engine.absorb()
        if between == "loaded":
            engine = Engine.load(engine.program, engine.dump())
        (again,) = engine.assess([pay(1)])
    assert isinstance(first, Decision)
    assert again == Duplicate("I1")
    assert said(engine.assess([pay(2)])) == ["2"]  # the duplicate did not count


@pytest.mark.parametrize(
    "other",
    [
        {"amount": "1234.51"},
        {"purpose": None},
        {"event_time": "2025-03-05T10:00:00.000001+08:00"},
        {"attributes": {"x": 1}},
    ],
)
def test_other_content_under_a_known_id_is_refused(other: dict[str, Any]) -> None:
    engine = engine_of()
    engine.assess([pay(1)])
    engine.absorb()
    before = engine.dump()
    (refused,) = engine.assess([make_instruction(**{"instruction_id": "I1", "event_time": START} | other)])
    engine.absorb()
    assert isinstance(refused, Refusal)
    assert refused.reason == "conflicting_duplicate"
    assert engine.assess([pay(1)]) == [Duplicate("I1")]
    engine.absorb()
    assert engine.dump() == before


@pytest.mark.parametrize(
    "again", [{"event_time": "2025-03-05T02:15:00Z"}, {"attributes": {"x": 1.0}}, {"attributes": {"x": 1}}]
)
def test_the_same_instruction_in_other_words_is_a_duplicate(again: dict[str, Any]) -> None:
    engine = engine_of()
    decision(engine, make_instruction(attributes={"x": 1}))
    assert engine.assess([make_instruction(**{"attributes": {"x": 1}} | again)]) == [Duplicate("PI-0001")]


def test_ids_are_unique_within_one_value_of_the_partition_key_only() -> None:
    engine = engine_of()
    outcomes = engine.assess([pay(1), pay(1, jurisdiction="420200"), pay(1, jurisdiction="420200")])
    assert [type(each) for each in outcomes] == [Decision, Decision, Duplicate]


def test_an_id_is_free_again_once_its_instruction_would_be_too_late() -> None:
    engine = engine_of(max_lateness=timedelta(hours=1))
    other = pay(1, 1, amount="7.00")
    *_, known = engine.assess([pay(1), pay(2, 1), other])  # exactly max_lateness behind
    *_, free = engine.assess([pay(3, event_time=START + timedelta(hours=1, microseconds=1)), other])
    assert [type(known), type(free)] == [Refusal, Decision]
    assert engine.assess([other, pay(1)]) == [Duplicate("I1"), too_late(pay(1), "2025-03-05T03:00:00+00:00")]


def too_late(instruction: Instruction, newest: str) -> Refusal:
    sent = instruction.event_time.isoformat()
    return Refusal("too_late", f"event_time {sent} is too far behind the newest, {newest}")


# --- late and too late ---


def test_an_instruction_exactly_max_lateness_behind_is_late_and_one_microsecond_more_is_too_late() -> None:
    engine = engine_of(max_lateness=timedelta(hours=2))
    (newest,) = engine.assess([pay(1, 2)])
    engine.absorb()
    before = engine.dump()
    beyond = pay(3, event_time=START - timedelta(microseconds=1))
    (refused,) = engine.assess([beyond])
    assert refused == too_late(beyond, "2025-03-05T04:00:00+00:00")
    engine.absorb()
    assert engine.dump() == before
    (accepted,) = engine.assess([pay(2)])
    assert isinstance(accepted, Decision)
    assert (newest.late, accepted.late) == (False, True)  # type: ignore[union-attr]


def test_late_is_older_than_the_newest_and_not_as_old() -> None:
    outcomes = engine_of().assess([pay(1, 1), pay(2, 1), pay(3, 0.999), pay(4, 2)])
    assert [each.late for each in outcomes] == [False, False, True, False]  # type: ignore[union-attr]


def test_the_newest_is_that_of_the_own_partition_key_value() -> None:
    engine = engine_of(max_lateness=timedelta(0))
    outcomes = engine.assess([pay(1, 1), pay(2, 0, jurisdiction="420200"), pay(3, 0)])
    assert [type(each) for each in outcomes] == [Decision, Decision, Refusal]


@pytest.mark.parametrize(("age", "value"), [(timedelta(hours=1), "1"), (timedelta(hours=1, microseconds=-1), "2")])
def test_a_payment_of_exactly_the_length_of_the_window_ago_no_longer_counts(age: timedelta, value: str) -> None:
    payments = [pay(1, event_time=START - age), pay(2)]
    assert values_of(aggregate("count", "instruction_id", window_us=HOUR), payments) == ["1", value]


def test_a_late_instruction_counts_in_the_windows_of_its_own_time() -> None:
    payments = [
        pay(1, 5, amount="100.00"),
        pay(2, 0, amount="1.00"),
        pay(3, 0.5, amount="10.00"),  # late, sees what came before it
        pay(4, 5.5, amount="1000.00"),
        pay(5, 0.25, amount="0.10"),  # does not see what is newer
    ]
    paid = aggregate("sum", "amount", window_us=HOUR)
    assert values_of(paid, payments) == ["100.00", "1.00", "11.00", "1100.00", "1.10"]


def test_time_before_1970_is_time_like_any_other() -> None:
    old = datetime.fromisoformat("1900-01-01T00:00:00+08:00")
    payments = [pay(1, event_time=old, amount="1.00"), pay(2, event_time=old + timedelta(hours=23))]
    assert values_of(PAID, payments) == ["1.00", "1235.50"]


# --- shadow rules and exceptions ---


def excepting(**fields: Any) -> Exception_:
    usual = {
        "match": leaf("budget_unit", "eq", "101001"), "owner": "li@example.gov", "basis": "武财办[2025]7号",
        "expires": date(2025, 6, 30),
    }  # fmt: skip
    return Exception_(**usual | fields)


def test_an_exception_withholds_a_hit_and_is_shown_with_it() -> None:
    engine = engine_of(replace(LARGE, exceptions=(excepting(),), evidence_required=True), shows(PAID))
    excepted, other = engine.assess([pay(1, amount="5000.00"), pay(2, amount="5000.00", budget_unit="102")])
    assert isinstance(excepted, Decision)
    assert (excepted.verdict, excepted.evidence_required) == ("pass", False)
    assert excepted.hits[0].excepted == Excepted("li@example.gov", "武财办[2025]7号", "2025-06-30")
    assert verdicts([other]) == ["intercept"]
    assert said(engine.assess([pay(3, amount="1.00")])) == ["5001.00"]  # what was excepted was paid


def test_an_exception_holds_up_to_and_including_its_last_day() -> None:
    engine = engine_of(replace(LARGE, exceptions=(excepting(),)))
    payments = [pay(n, event_time=time, amount="9000.00") for n, time in enumerate(BOUNDARY)]
    assert verdicts(engine.assess(payments)) == ["pass", "intercept"]


def test_the_first_exception_that_matches_is_the_one_that_is_shown() -> None:
    missing = excepting(match=leaf("project", "eq", "P1"), owner="missing")
    other = excepting(match=leaf("budget_unit", "eq", "999"), owner="other")
    rule = replace(LARGE, exceptions=(missing, other, excepting(owner="first"), excepting(owner="second")))
    (hit,) = decision(engine_of(rule), pay(1, amount="5000.00")).hits
    assert hit.excepted is not None
    assert hit.excepted.owner == "first"


def test_an_exception_may_ask_for_a_window() -> None:
    match = leaf(ref(aggregate("count", "instruction_id", window_us=HOUR)), "lte", 1)
    engine = engine_of(replace(LARGE, exceptions=(excepting(match=match),)))
    payments = [pay(1, amount="9000.00"), pay(2, amount="9000.00"), pay(3, 2, amount="9000.00")]
    assert verdicts(engine.assess(payments)) == ["pass", "intercept", "pass"]


def test_a_hit_that_is_missing_something_can_be_excepted() -> None:
    rule = replace(LARGE, on_missing="intercept", exceptions=(excepting(),))
    found = decision(engine_of(rule), pay(1, currency="USD"))
    assert (found.verdict, found.hits[0].excepted is not None) == ("pass", True)


LIVE = [
    make_rule("SUM", leaf(ref(PAID), "gt", yuan("20.00"))),
    make_rule("WARN", leaf("purpose", "contains", "烟"), action="warn", on_missing="warn"),
]
SHADOW = [
    make_rule("S-ALL", leaf("amount", "gte", yuan("-99.00")), mode="shadow", action="prohibit", evidence_required=True),
    make_rule("S-SUM", leaf(ref(PAID), "gt", yuan("5.00")), mode="shadow"),
    make_rule("S-MISSING", leaf("project", "eq", "P"), mode="shadow", on_missing="intercept"),
]
PAYMENTS = st.lists(
    st.builds(
        pay,
        number=st.integers(0, 8),
        hours=st.integers(0, 50),
        amount=st.sampled_from(["-5.00", "3.00", "9.00", "21.00"]),
        purpose=st.sampled_from([None, "香烟", "办公"]),
        project=st.sampled_from([None, "P"]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(payments=PAYMENTS)
def test_shadow_rules_never_change_a_verdict_or_what_counts(payments: list[Instruction]) -> None:
    live, both = engine_of(*LIVE), engine_of(SHADOW[0], *LIVE, *SHADOW[1:])
    for alone, beside in zip(live.assess(payments), both.assess(payments), strict=True):
        if not isinstance(alone, Decision):
            assert alone == beside
            continue
        assert isinstance(beside, Decision)
        shadows = [hit for hit in beside.hits if hit.mode == "shadow"]
        assert shadows
        assert all(hit.rule.startswith("S-") for hit in shadows)
        assert replace_hits(beside) == alone


def replace_hits(decision: Decision) -> Decision:
    """The decision without its shadow hits."""
    return msgspec.structs.replace(decision, hits=tuple(hit for hit in decision.hits if hit.mode == "live"))


# --- absorb and discard ---


def test_assessing_twice_before_absorbing_sees_both_batches() -> None:
    engine = engine_of(shows(PAID))
    engine.assess([pay(1, amount="1.00")])
    engine.assess([pay(2, amount="2.00")])
    engine.absorb()
    assert said(engine.assess([pay(3, amount="4.00")])) == ["7.00"]


def test_discarding_drops_everything_since_the_last_absorb() -> None:
    engine = engine_of(shows(PAID), max_lateness=timedelta(hours=1))
    engine.assess([pay(1, amount="1.00")])
    engine.absorb()
    engine.assess([pay(2, amount="2.00")])
    engine.assess([pay(3, 8, amount="3.00")])
    engine.discard()
    first = engine.assess([pay(2, amount="2.00"), pay(4, 0.5, amount="4.00")])  # no duplicate, and not too late
    assert said(first) == ["3.00", "7.00"]
    engine.discard()
    assert engine.assess([pay(2, amount="2.00"), pay(4, 0.5, amount="4.00")]) == first


def test_an_empty_batch_has_no_outcomes() -> None:
    engine = engine_of(LARGE)
    before = engine.dump()
    assert engine.assess([]) == []
    engine.absorb()
    assert engine.dump() == before


# --- the program ---


def test_a_program_is_shared_by_engines_that_share_nothing_else() -> None:
    program = Program(make_ruleset(shows(PAID)))
    first, second = Engine(program), Engine(program)
    assert said(first.assess([pay(1, amount="1.00")])) == said(second.assess([pay(1, amount="1.00")])) == ["1.00"]


def test_the_generated_source_of_a_day_can_be_read() -> None:
    rule = replace(LARGE, effective_until=date(2025, 7, 1))
    program = Program(make_ruleset(rule))
    assert "# LARGE" in program.source(date(2025, 6, 30).toordinal())
    assert "# LARGE" not in program.source(date(2025, 7, 1).toordinal())


def test_a_negative_max_lateness_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Program(make_ruleset(), timedelta(microseconds=-1))


def test_an_empty_rule_set_passes_everything() -> None:
    ruleset = RuleSet(timezone="UTC", partition_by="jurisdiction", files=())
    assert verdicts(Engine(Program(ruleset)).assess([pay(1), pay(2)])) == ["pass", "pass"]
