"""Assessment: what becomes of each instruction of a batch, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import make_instruction
from tests.rulesets import DAY, HOUR, aggregate, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch import __version__
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Duplicate, Excepted, Refusal, Text
from treasury_watch.engine import Engine, Program
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.forms.lookup import Lookup
from treasury_watch.rules.schema import All, Dated, Exception_, Param, Rule, RuleFile, RuleSet, Table, WordList

START = datetime.fromisoformat("2025-03-05T10:00:00+08:00")


def engine_of(*rules: Rule, max_lateness: timedelta = timedelta(days=31), **rest: Any) -> Engine:
    return Engine(Program(make_ruleset(*rules, **rest), max_lateness))


def shows(feature: Aggregate | Lookup, **overrides: Any) -> Rule:
    """A rule that hits whatever is paid, and says the value of a feature."""
    text = Text(zh="{f}", en="{f}")
    fields = {"action": "record", "features": {"f": feature}, "reason": text} | overrides
    return make_rule("SHOWS", leaf("instruction_id", "is_missing", False), **fields)


def values_of(feature: Aggregate, payments: list[Instruction], *rules: Rule, **rest: Any) -> list[str | None]:
    """What a feature is for each payment, as it is shown, and as a compiled condition finds it."""
    texts = said(engine_of(*rules, shows(feature), **rest).assess(payments))
    tests = [
        make_rule(
            f"IS {text}",
            leaf(ref(feature), "is_missing", True) if text is None else leaf(ref(feature), "eq", Decimal(text)),
            action="record",
        )
        for text in dict.fromkeys(texts)
    ]
    for outcome, text in zip(engine_of(*rules, *tests, **rest).assess(payments), texts, strict=True):
        assert isinstance(outcome, Decision)
        assert [hit.rule for hit in outcome.hits if hit.rule.startswith("IS ")] == [f"IS {text}"]
    return texts


def pay(number: int, hours: float = 0, **fields: Any) -> Instruction:
    """Instruction number so-and-so, that many hours after the start."""
    return make_instruction(**{"instruction_id": f"I{number}", "event_time": START + timedelta(hours=hours)} | fields)


def said(outcomes: list[Any]) -> list[Any]:
    """The values that `shows` says, one for each decision."""
    return [outcome.hits[-1].evidence.get("f") for outcome in outcomes]


def verdicts(outcomes: list[Any]) -> list[str]:
    return [outcome.verdict for outcome in outcomes]


def decision(engine: Engine, instruction: Instruction) -> Decision:
    (outcome,) = engine.assess([instruction])
    assert isinstance(outcome, Decision)
    return outcome


PAID = aggregate("sum", "amount", "budget_unit", window_us=24 * HOUR)
LARGE = make_rule("LARGE", leaf("amount", "gte", yuan("5000.00")))

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


# --- what counts ---


def test_the_second_payment_of_a_batch_sees_the_first() -> None:
    engine = engine_of(make_rule("SUM", leaf(ref(PAID), "gt", yuan("100.00"))))
    assert verdicts(engine.assess([pay(1, amount="100.00"), pay(2, amount="0.01")])) == ["pass", "intercept"]


def test_an_intercepted_payment_counts_as_attempted_and_not_as_executed() -> None:
    executed = aggregate("count", "instruction_id", window_us=HOUR)
    attempted = aggregate("count", "instruction_id", window_us=HOUR, population="attempted")
    payments = [pay(1, amount="5000.00"), pay(2), pay(3, amount="6000.00"), pay(4)]
    assert values_of(executed, payments, LARGE) == ["1", "1", "2", "2"]
    assert values_of(attempted, payments, LARGE) == ["1", "2", "3", "4"]


@pytest.mark.parametrize(("action", "counts"), [("record", "2"), ("warn", "2"), ("intercept", "1"), ("prohibit", "1")])
def test_a_payment_that_was_warned_of_is_executed_and_a_held_one_is_not(action: Any, counts: str) -> None:
    counted = aggregate("count", "instruction_id", window_us=HOUR)
    payments = [pay(1, amount="5000.00"), pay(2)]
    assert values_of(counted, payments, replace(LARGE, action=action)) == ["1", counts]


def test_each_value_of_the_partition_key_has_its_own_windows() -> None:
    payments = [pay(1, amount="1.00"), pay(2, amount="2.00", jurisdiction="420200"), pay(3, amount="4.00")]
    assert values_of(PAID, payments) == ["1.00", "2.00", "5.00"]


@pytest.mark.parametrize(
    ("partition_by", "same"),
    [
        ("budget_unit", False),
        ("project", True),
        ("voucher_date", True),
        ("attributes.street", False),
    ],
)
def test_windows_are_kept_by_whatever_field_is_the_partition_key(partition_by: str, same: bool) -> None:
    """A missing one is a value of its own."""
    payments = [pay(1), pay(2, budget_unit="102", attributes={"street": "江汉"})]
    counted = aggregate("count", "instruction_id", window_us=HOUR)
    assert values_of(counted, payments, partition_by=partition_by) == ["1", "2" if same else "1"]


def test_refunds_and_corrections_reduce_sums() -> None:
    payments = [pay(1, amount="100.00"), pay(2, amount="-40.00"), pay(3, amount="-60.01")]
    assert values_of(PAID, payments) == ["100.00", "60.00", "-0.01"]


def test_keys_are_compared_in_normal_form_and_missing_ones_make_the_feature_missing() -> None:
    payments = [
        pay(1, payee_account="6222 01", payee_name="甲　公司"),
        pay(2, payee_account="6222-01", payee_name=" 甲 公司"),
        pay(3, payee_account=None, payee_name="甲 公司"),
        pay(4, payee_account="６２２２０１", payee_name="甲 公司"),
    ]
    counted = aggregate("count", "instruction_id", "payee_account", "payee_name", window_us=HOUR)
    assert values_of(counted, payments) == ["1", "2", None, "3"]


def test_keys_of_several_fields_do_not_run_into_each_other() -> None:
    pairs = [("1", "2|3"), ("1|2", "3"), ("1|1|2", "3"), ("", "1|2|3"), ("1", "2|3")]
    payments = [pay(n, voucher_no=a, project=b) for n, (a, b) in enumerate(pairs)]
    counted = aggregate("count", "instruction_id", "voucher_no", "project", window_us=HOUR)
    assert values_of(counted, payments) == ["1", "1", "1", "1", "2"]


def test_long_keys_are_told_apart_by_all_of_their_text() -> None:
    long = "办" * 200
    payments = [pay(1, purpose=long + "甲"), pay(2, purpose=long + "乙"), pay(3, purpose=long + "甲")]
    assert values_of(aggregate("count", "instruction_id", "purpose", window_us=HOUR), payments) == ["1", "1", "2"]


def test_a_window_asks_for_another_window_as_it_was_when_each_payment_was_judged() -> None:
    """Counts the payments that were the third of their hour, also those of which no rule asked it at the time."""
    hourly = aggregate("count", "instruction_id", window_us=HOUR)
    thirds = aggregate("count", "instruction_id", where=leaf(ref(hourly), "eq", 3), window_us=DAY)
    rule = make_rule("F", All((leaf("amount", "gt", yuan("1.00")), leaf(ref(thirds), "gte", 1))), action="warn")
    payments = [pay(n, n / 10, amount="1.00") for n in range(5)]
    engine = engine_of(rule)
    assert verdicts(engine.assess([*payments[:2], pay(8, 0.15)])) == ["pass", "pass", "warn"]
    assert verdicts(engine_of(rule).assess([*payments[:3], pay(9, 9)])) == ["pass", "pass", "pass", "warn"]
    assert verdicts(engine_of(rule).assess([*payments[:2], pay(9, 9)])) == ["pass", "pass", "pass"]


@pytest.mark.parametrize(
    ("field", "values", "distinct"),
    [
        ("attributes.x", ["甲", "乙", "甲"], ["1", "2", "2"]),
        ("attributes.x", [1, 1.0, "1"], ["1", "1", "1"]),
        ("attributes.x", [1, True, 0.1], ["1", "2", "3"]),
        ("attributes.x", [None, 2, None], ["0", "1", "1"]),
        ("payee_name", ["甲", " 甲 ", "乙"], ["1", "1", "2"]),
        ("green_channel", [True, False, True], ["1", "2", "2"]),
        ("voucher_date", [date(2025, 1, 1), None, date(2025, 1, 2)], ["1", "1", "2"]),
        ("event_time", ["2025-03-05T23:59:59+08:00", "2025-03-06T00:00:00+08:00"], ["1", "2"]),
        ("amount", ["1.00", "-1.00", "1.00"], ["1", "2", "2"]),
    ],
)
def test_different_values_are_counted_exactly(field: str, values: list[Any], distinct: list[str]) -> None:
    local = field.removeprefix("attributes.")
    payments = [
        pay(n, **({field: value} if local == field else {"attributes": {} if value is None else {local: value}}))
        for n, value in enumerate(values)
    ]
    assert values_of(aggregate("distinct", field, window_us=DAY), payments) == distinct


def test_numbers_and_truth_values_of_local_fields_do_not_mix() -> None:
    rule = make_rule(
        "X", leaf("instruction_id", "is_missing", False), action="record", reason=Text(zh="{least}", en="{channels}"),
        features={
            "channels": aggregate("distinct", "green_channel", window_us=DAY),
            "least": aggregate("min", "attributes.x", window_us=DAY),
            "total": aggregate("sum", "attributes.x", window_us=DAY),
        },
    )  # fmt: skip
    engine = engine_of(rule)
    payments = [
        pay(1, green_channel=True, attributes={"x": True}),
        pay(2, attributes={"x": 1}),
        pay(3, attributes={"x": 0.1}),
    ]
    evidence = [each.hits[0].evidence for each in engine.assess(payments)]  # type: ignore[union-attr]
    assert [each.get("least") for each in evidence] == [None, "1", "0.1000"]
    assert [each["total"] for each in evidence] == ["0", "1", "1.1000"]


def test_a_local_field_groups_by_its_value_whatever_its_type() -> None:
    counted = aggregate("count", "instruction_id", "attributes.x", window_us=HOUR)
    payments = [
        pay(n, attributes=x) for n, x in enumerate([{"x": 1}, {"x": "1"}, {"x": 2}, {"x": True}, None, {"x": 1.0}])
    ]
    assert values_of(counted, payments) == ["1", "2", "1", "1", None, "3"]


# --- days and years ---


def test_a_year_ends_at_midnight_of_the_rule_sets_zone() -> None:
    yearly = aggregate("sum", "amount", period="fiscal_year")
    monthly = aggregate("sum", "amount", period="month")
    at = ["2025-12-31T23:59:59.999999+08:00", "2026-01-01T00:00:00+08:00", "2026-01-01T08:00:00+08:00"]
    payments = [pay(n, event_time=time, amount="1.00") for n, time in enumerate(at)]
    assert values_of(yearly, payments) == ["1.00", "1.00", "2.00"]
    assert values_of(monthly, payments) == ["1.00", "1.00", "2.00"]
    assert values_of(yearly, payments, timezone="UTC") == ["1.00", "2.00", "1.00"]


def test_the_fiscal_year_is_the_one_given_or_that_of_the_local_day() -> None:
    payments = [
        pay(1, event_time="2025-12-31T23:00:00+08:00"),
        pay(2, event_time="2026-01-01T01:00:00+08:00", fiscal_year=2025),  # paid in January for December
        pay(3, event_time="2026-01-01T02:00:00+08:00"),
        pay(4, event_time="2026-01-01T03:00:00+08:00", fiscal_year=2025),
        pay(5, event_time="2026-01-01T03:00:00+08:00", fiscal_year=2026),
        pay(6, event_time="2026-01-01T04:00:00+08:00", fiscal_year=2027),
    ]
    counted = aggregate("count", "instruction_id", period="fiscal_year")
    assert values_of(counted, payments) == ["1", "2", "1", "3", "2", "1"]


@pytest.mark.parametrize(("year", "value"), [(2023, None), (2024, "1"), (2026, "1"), (2027, None)])
def test_a_fiscal_year_far_from_the_payment_has_no_total(year: int, value: str | None) -> None:
    counted = aggregate("count", "instruction_id", period="fiscal_year")
    assert values_of(counted, [pay(1, fiscal_year=year)]) == [value]


def test_a_late_payment_of_the_day_before_is_counted_in_its_own_day() -> None:
    at = ["2025-03-05T23:59:59+08:00", "2025-03-06T00:00:01+08:00", "2025-03-05T23:59:59+08:00"]
    payments = [pay(n, event_time=time, amount="1.00") for n, time in enumerate(at)]
    assert values_of(aggregate("sum", "amount", period="day"), payments) == ["1.00", "1.00", "2.00"]


@pytest.mark.parametrize(
    ("period", "first"),
    [
        ("day", "2025-03-05T00:00:00+08:00"),
        ("week", "2025-03-03T00:00:00+08:00"),
        ("month", "2025-03-01T00:00:00+08:00"),
        ("quarter", "2025-01-01T00:00:00+08:00"),
    ],
)
def test_a_period_begins_with_its_first_microsecond(period: Any, first: str) -> None:
    start = datetime.fromisoformat(first)
    before = pay(1, event_time=start - timedelta(microseconds=1), amount="1.00")
    payments = [before, pay(2, event_time=start, amount="2.00"), pay(3, amount="4.00")]
    assert values_of(aggregate("sum", "amount", period=period), payments) == ["1.00", "2.00", "6.00"]


BOUNDARY = ["2025-06-30T23:59:59.999999+08:00", "2025-07-01T00:00:00+08:00"]


def test_a_dated_param_changes_at_midnight_of_the_rule_sets_zone() -> None:
    limit = Param("limit", {None: (Dated(date(2025, 1, 1), yuan("100.00")), Dated(date(2025, 7, 1), yuan("200.00")))})
    rule = make_rule("DATED", leaf("amount", "gte", limit), params={"limit": limit}, reason=Text(zh="{limit}", en=""))
    payments = [pay(n, event_time=time, amount="199.99") for n, time in enumerate(BOUNDARY)]
    assert verdicts(engine_of(rule).assess(payments)) == ["intercept", "pass"]
    assert verdicts(engine_of(rule, timezone="UTC").assess(payments)) == ["intercept", "intercept"]


def test_a_late_instruction_is_judged_by_the_params_of_its_own_day() -> None:
    limit = Param("limit", {None: (Dated(date(2025, 1, 1), yuan("100.00")), Dated(date(2025, 7, 1), yuan("200.00")))})
    rule = make_rule("DATED", leaf("amount", "gte", limit), params={"limit": limit})
    late = [pay(n, event_time=time, amount="199.99") for n, time in enumerate(reversed(BOUNDARY))]
    assert verdicts(engine_of(rule).assess(late)) == ["pass", "intercept"]


@pytest.mark.parametrize(
    ("unit_level", "amount", "verdict"),
    [
        ("county", "50.00", "intercept"),
        ("county", "49.99", "pass"),
        ("city", "100.00", "intercept"),
        ("city", "99.99", "pass"),
        (None, "100.00", "intercept"),  # without a level the default holds
        ("town", "1.00", "warn"),  # the town's own value starts in 2026 only: until then there is none
    ],
)
def test_a_segmented_param_is_that_of_the_segment_or_the_default(
    unit_level: str | None, amount: str, verdict: str
) -> None:
    limit = Param(
        "limit",
        {
            None: (Dated(None, yuan("100.00")),),
            "county": (Dated(None, yuan("50.00")),),
            "town": (Dated(date(2026, 1, 1), yuan("1.00")),),
        },
        "unit_level",
    )
    rule = make_rule("SEG", leaf("amount", "gte", limit), params={"limit": limit}, on_missing="warn")
    assert decision(engine_of(rule), pay(1, unit_level=unit_level, amount=amount)).verdict == verdict


def test_a_rule_is_in_effect_from_its_first_day_and_until_before_its_last() -> None:
    rule = replace(LARGE, effective_from=date(2025, 7, 1), effective_until=date(2025, 7, 3))
    at = [*BOUNDARY, "2025-07-02T23:59:59.999999+08:00", "2025-07-03T00:00:00+08:00"]
    payments = [pay(n, event_time=time, amount="9000.00") for n, time in enumerate(at)]
    assert verdicts(engine_of(rule).assess(payments)) == ["pass", "intercept", "intercept", "pass"]


def test_windows_are_kept_before_a_rule_takes_effect() -> None:
    rule = make_rule("SUM", leaf(ref(PAID), "gte", yuan("2.00")), effective_from=date(2025, 7, 1))
    payments = [pay(n, event_time=time, amount="1.00") for n, time in enumerate(BOUNDARY)]
    assert verdicts(engine_of(rule).assess(payments)) == ["pass", "intercept"]


def test_an_entry_of_a_list_counts_up_to_and_including_its_last_day() -> None:
    rule = make_rule("LIST", leaf("payee_account", "in_list", WordList("debarred")))
    engine = engine_of(rule, lists={"debarred": {"6222 01": date(2025, 6, 30), "6222 02": None}})
    payments = [pay(n, event_time=time, payee_account="622201") for n, time in enumerate(BOUNDARY)]
    for_ever = pay(9, event_time=BOUNDARY[1], payee_account="６２２２-02")
    assert verdicts(engine.assess([*payments, for_ever])) == [
        "intercept",
        "pass",
        "intercept",
    ]


@pytest.mark.parametrize(
    "entries", [{"6222 01": None, "622201": date(2020, 1, 1)}, {"622201": date(2020, 1, 1), "6222 01": None}]
)
def test_of_two_entries_with_one_normal_form_the_longer_counts(entries: Mapping[str, date | None]) -> None:
    rule = make_rule("LIST", leaf("payee_account", "in_list", WordList("debarred")))
    engine = engine_of(rule, lists={"debarred": entries})
    assert decision(engine, pay(1, payee_account="622201")).verdict == "intercept"


# --- currencies ---

RATES = Table(
    "exchange_rates",
    ("currency",),
    {"currency": "text", "rate": "number"},
    {
        ("USD",): (
            (date(2025, 1, 1), {"rate": Decimal("7.3")}),
            (date(2025, 7, 1), {"rate": Decimal("7.005")}),
            (date(2026, 1, 1), {}),
        ),
        ("KWD",): ((date(2025, 1, 1), {"rate": Decimal("23.6")}),),
    },
)


@pytest.mark.parametrize(
    ("currency", "time", "amount", "value"),
    [
        ("USD", "2025-06-30T23:59:59+08:00", "100.00", "730.00"),
        ("USD", "2025-07-01T00:00:00+08:00", "100.00", "700.50"),
        ("USD", "2025-07-01T00:00:00+08:00", "0.02", "0.14"),  # 0.1401
        ("USD", "2025-07-01T00:00:00+08:00", "-1.00", "-7.00"),  # -7.005: to the even fen
        ("USD", "2025-07-01T00:00:00+08:00", "3.00", "21.02"),  # 21.015: to the even fen
        ("CNY", "2025-07-01T00:00:00+08:00", "100.00", "100.00"),
        (None, "2025-07-01T00:00:00+08:00", "100.00", "100.00"),
    ],
)
def test_an_amount_in_another_currency_is_converted_by_the_rate_of_its_day(
    currency: str | None, time: str, amount: str, value: str
) -> None:
    engine = engine_of(shows(PAID), tables={"exchange_rates": RATES})
    found = decision(engine, pay(1, currency=currency, event_time=time, amount=amount))
    assert found.hits[0].evidence["f"] == value
    assert (found.amount, found.currency) == (amount, currency or "CNY")  # as it was sent


@pytest.mark.parametrize(
    ("currency", "time"),
    [
        ("EUR", "2025-07-01T00:00:00+08:00"),  # no rate at all
        ("USD", "2024-12-31T23:59:59+08:00"),  # none yet
        ("USD", "2026-01-01T00:00:00+08:00"),  # a row without a rate ends the one before
        ("", "2025-07-01T00:00:00+08:00"),
    ],
)
def test_without_a_rate_the_amount_is_missing(currency: str, time: str) -> None:
    rule = replace(LARGE, on_missing="warn")
    engine = engine_of(rule, shows(PAID), tables={"exchange_rates": RATES})
    found = decision(engine, pay(1, currency=currency, event_time=time, amount="9000.00"))
    assert found.verdict == "warn"
    assert found.hits[0].missing == ("amount",)
    assert found.hits[1].evidence["f"] == "0.00"
    assert found.currency == currency


def test_an_amount_that_no_payment_can_have_is_missing() -> None:
    engine = engine_of(replace(LARGE, on_missing="warn"), tables={"exchange_rates": RATES})
    found = decision(engine, pay(1, currency="KWD", amount="9999999999999999.99"))
    assert found.hits[0].missing == ("amount",)
    assert decision(engine, pay(2, currency="KWD", amount="-9999999999999999.99")).hits[0].missing == ("amount",)


def test_without_a_table_of_rates_every_other_currency_is_missing() -> None:
    found = decision(engine_of(replace(LARGE, on_missing="intercept")), pay(1, currency="USD"))
    assert (found.verdict, found.hits[0].missing) == ("intercept", ("amount",))


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
