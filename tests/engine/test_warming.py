"""Warming: a window that begins before its history is missing, its rule without effect, until it is whole."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.builders import make_instruction
from tests.rulesets import DAY, HOUR, aggregate, always, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch.domain.calendar import Days
from treasury_watch.domain.payment import Instruction, microseconds
from treasury_watch.domain.verdict import Decision, Hit, Text
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.warming import ANCIENT, covered_from
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.schema import Exception_, Rule

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
LATENESS = timedelta(hours=6)
MICRO = timedelta(microseconds=1)
SUM_3H = aggregate("sum", "amount", "budget_unit", window_us=3 * HOUR)
SUM_9H = aggregate("sum", "amount", "budget_unit", window_us=9 * HOUR)


def shows(feature: Aggregate, **overrides: Any) -> Rule:
    """Always hits, and says the feature's value."""
    rest = {"action": "record", "features": {"f": feature}, "reason": Text(zh="{f}", en="{f}")} | overrides
    return make_rule("SHOWS", leaf("instruction_id", "is_missing", False), **rest)


def over(feature: Aggregate, limit: str, **overrides: Any) -> Rule:
    """Intercepts when the feature's value is at least that many yuan."""
    return make_rule("OVER", leaf(ref(feature), "gte", yuan(limit)), features={"f": feature}, **overrides)


def program_of(*rules: Rule, max_lateness: timedelta = LATENESS) -> Program:
    return Program(make_ruleset(*rules), max_lateness)


def pay(number: int, at: timedelta, **fields: Any) -> Instruction:
    usual = {"instruction_id": f"I{number}", "event_time": START + at, "amount": "1.00"}
    return make_instruction(**{**usual, **fields})


def judge(engine: Engine, *instructions: Instruction) -> list[Decision]:
    outcomes = engine.assess(instructions)
    engine.absorb()
    assert all(isinstance(outcome, Decision) for outcome in outcomes)
    return outcomes  # type: ignore[return-value]


def only_hit(engine: Engine, instruction: Instruction) -> Hit:
    (decision,) = judge(engine, instruction)
    (hit,) = decision.hits
    return hit


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def changed(old: Program, new: Program, *before: Instruction) -> Engine:
    """An engine of the new rules with the state that the old ones left."""
    engine = Engine(old)
    judge(engine, *before)
    return Engine.load(new, engine.dump())


# --- a rule change ---


def test_a_new_window_is_missing_up_to_its_length_after_the_change_and_then_counts() -> None:
    engine = changed(program_of(), program_of(shows(SUM_3H)), pay(1, hours(10), amount="5.00"))
    warming = only_hit(engine, pay(2, hours(13)))  # (10:00, 13:00] is known; what was paid at 10:00 is just outside
    assert (warming.mode, warming.evidence) == ("live", {"f": "1.00"})
    engine = changed(program_of(), program_of(shows(SUM_3H)), pay(1, hours(10), amount="5.00"))
    warming = only_hit(engine, pay(2, hours(13) - MICRO))
    assert (warming.mode, warming.evidence, warming.reason.en) == ("warming", {}, "(missing)")
    assert only_hit(engine, pay(3, hours(13))).evidence == {"f": "2.00"}


def test_a_hit_of_a_warming_rule_is_listed_and_has_no_effect() -> None:
    feature = over(SUM_9H, "0.00", on_missing="intercept", evidence_required=True)
    engine = changed(program_of(), program_of(feature), pay(1, hours(0)))
    (decision,) = judge(engine, pay(2, hours(1)))
    assert (decision.verdict, decision.evidence_required) == ("pass", False)
    assert [(hit.rule, hit.mode, hit.action, hit.missing) for hit in decision.hits] == [
        ("OVER", "warming", "intercept", ("f",))
    ]
    (decision,) = judge(engine, pay(3, hours(9)))
    assert (decision.verdict, decision.evidence_required, decision.hits[0].mode) == ("intercept", True, "live")


def test_what_a_warming_rule_would_have_held_counts_as_executed() -> None:
    engine = changed(program_of(), program_of(over(SUM_9H, "0.00", on_missing="intercept")), pay(1, hours(0)))
    judge(engine, pay(2, hours(1)))
    assert judge(engine, pay(3, hours(9)))[0].hits[0].evidence == {"amount": "1.00", "f": "2.00"}


def test_a_shadow_rule_warms_too() -> None:
    engine = changed(program_of(), program_of(shows(SUM_3H, mode="shadow")), pay(1, hours(0)))
    assert [only_hit(engine, pay(2, hours(1))).mode, only_hit(engine, pay(3, hours(3))).mode] == ["warming", "shadow"]


def test_what_is_assessed_in_two_parts_before_it_is_kept_warms_as_if_it_were_kept_in_between() -> None:
    there = make_rule("THERE", leaf(ref(SUM_9H), "is_missing", False), features={"f": SUM_9H}, on_missing="pass")
    parts = [pay(2, hours(1))], [pay(3, hours(2))]
    kept, not_kept = (changed(program_of(), program_of(there), pay(1, hours(0))) for _ in range(2))
    expected = [judge(kept, *part) for part in parts]
    assert [not_kept.assess(part) for part in parts] == expected


def test_a_rule_that_uses_nothing_warming_is_not_touched() -> None:
    other = make_rule("LARGE", leaf("amount", "gte", yuan("1.00")))
    engine = changed(program_of(other), program_of(other, shows(SUM_3H)), pay(1, hours(0)))
    (decision,) = judge(engine, pay(2, hours(1)))
    assert [(hit.rule, hit.mode) for hit in decision.hits] == [("LARGE", "live"), ("SHOWS", "warming")]
    assert decision.verdict == "intercept"


@pytest.mark.parametrize(
    "rule",
    [
        make_rule("R", leaf("amount", "gt", yuan("0.00")), features={"f": SUM_3H}),
        make_rule(
            "R",
            leaf("amount", "gt", yuan("0.00")),
            exceptions=(Exception_(leaf(ref(SUM_3H), "gt", yuan("9.00")), "owner", "basis", date(2030, 1, 1)),),
        ),
        make_rule(
            "R",
            leaf("amount", "gt", yuan("0.00")),
            features={"f": aggregate("count", "amount", window_us=HOUR, where=leaf(ref(SUM_3H), "gt", yuan("9.00")))},
        ),
    ],
    ids=["a feature for the reason", "an exception", "a feature's where"],
)
def test_whatever_a_rule_uses_may_make_it_warm(rule: Rule) -> None:
    engine = changed(program_of(), program_of(rule), pay(1, hours(0)))
    assert only_hit(engine, pay(2, hours(1))).mode == "warming"


def test_a_window_that_grows_warms_only_as_far_as_it_was_not_kept() -> None:
    """Kept were 3 h and the 6 h that an instruction may be late: from 9 h before the newest payment on, inclusive."""
    before = [pay(1, hours(0), amount="50.00"), pay(2, hours(12), amount="5.00"), pay(3, hours(20))]
    engine = changed(program_of(shows(SUM_3H)), program_of(shows(SUM_9H)), *before)
    assert only_hit(engine, pay(4, hours(20) - 2 * MICRO)).mode == "warming"
    assert only_hit(engine, pay(5, hours(20) - MICRO)).evidence == {"f": "7.00"}


def test_a_window_that_shrinks_or_stays_does_not_warm_and_judges_as_if_nothing_had_happened() -> None:
    before = [pay(1, hours(0), amount="5.00"), pay(2, hours(2))]
    for old in (SUM_9H, SUM_3H):
        engine = changed(program_of(shows(old)), program_of(shows(SUM_3H)), *before)
        assert not engine.state.warming
        assert only_hit(engine, pay(3, hours(2.5))).evidence == {"f": "7.00"}


def test_a_rule_that_goes_takes_its_entries_with_it() -> None:
    engine = changed(program_of(shows(SUM_3H)), program_of(), pay(1, hours(0)))
    assert engine.state.entries()["entries"] == 0
    assert engine.dump() == changed(program_of(), program_of(), pay(1, hours(0))).dump()


def test_what_is_covered_is_as_if_it_had_always_been_there() -> None:
    new = program_of(shows(SUM_3H))
    engine, whole = changed(program_of(), new, pay(1, hours(0))), Engine(new)
    judge(whole, pay(1, hours(0)))
    for number, at in enumerate((5, 9, 9.5)):  # 3 h and the 6 h that an instruction may be late
        judge(engine, pay(10 + number, hours(at)))
        judge(whole, pay(10 + number, hours(at)))
        assert (engine.dump() == whole.dump()) == bool(not engine.state.warming) == (at > 9)


def test_what_is_lacking_is_counted_for_payments_that_come_on_time() -> None:
    engine = changed(program_of(), program_of(shows(SUM_3H), over(SUM_9H, "99.00")), pay(1, hours(0)))
    assert (engine.state.lacking(), len(engine.state.warming)) == (1, 1)  # one series, with the longer reach
    judge(engine, pay(2, hours(9)))
    assert engine.state.lacking() == 1
    judge(engine, pay(3, hours(9) + 2 * MICRO))
    assert (engine.state.lacking(), len(engine.state.warming)) == (0, 1)  # one that is late could still lack something
    judge(engine, pay(4, hours(16)))
    assert (engine.state.lacking(), len(engine.state.warming)) == (0, 0)


def test_warming_outlives_a_dump_and_a_further_rule_change() -> None:
    engine = changed(program_of(), program_of(shows(SUM_9H)), pay(1, hours(0)))
    judge(engine, pay(2, hours(1)))
    engine = Engine.load(program_of(shows(SUM_9H)), engine.dump())
    assert only_hit(engine, pay(3, hours(9) - MICRO)).mode == "warming"
    engine = Engine.load(program_of(shows(SUM_9H), over(SUM_3H, "99.00")), engine.dump())
    assert only_hit(engine, pay(4, hours(9) - MICRO)).mode == "warming"
    assert only_hit(engine, pay(5, hours(9))).mode == "live"


def test_each_partition_key_value_warms_by_its_own_time_and_one_never_seen_does_not() -> None:
    before = [pay(1, hours(0)), pay(2, hours(4), jurisdiction="420200")]
    engine = changed(program_of(), program_of(shows(SUM_3H)), *before)
    decisions = judge(
        engine,
        pay(3, hours(3), jurisdiction="420300"),
        pay(4, hours(3)),
        pay(5, hours(4.5), jurisdiction="420200"),
        pay(6, hours(5), jurisdiction="420300"),
        pay(7, hours(7), jurisdiction="420200"),
    )
    assert [decision.hits[0].mode for decision in decisions] == ["live", "live", "warming", "live", "live"]


def test_a_where_that_is_not_answered_yet_leaves_its_window_unknown_for_as_long() -> None:
    """From 3 h on it is known which payments count, so the 9 h that count them are whole from 12 h on."""
    nested = aggregate("count", "amount", window_us=9 * HOUR, where=leaf(ref(SUM_3H), "gte", yuan("0.00")))
    engine = changed(program_of(), program_of(shows(nested)), pay(1, hours(0)))
    judge(engine, pay(2, hours(2)), pay(3, hours(4)))
    assert only_hit(engine, pay(4, hours(12) - MICRO)).mode == "warming"
    assert only_hit(engine, pay(5, hours(12))).evidence == {"f": "3"}


def test_a_rule_may_change_its_limit_without_warming() -> None:
    old = make_rule("R", leaf(ref(SUM_3H), "gte", always(yuan("9.00"))), features={"f": SUM_3H})
    new = make_rule("R", leaf(ref(SUM_3H), "gte", always(yuan("2.00"))), features={"f": SUM_3H})
    engine = changed(program_of(old), program_of(new), pay(1, hours(0)))
    assert only_hit(engine, pay(2, hours(1))).mode == "live"


# --- history that begins late ---


def test_before_the_start_of_history_windows_are_missing() -> None:
    engine = Engine(program_of(shows(SUM_3H)))
    engine.starts_at(microseconds(START + hours(1)) + 1)
    modes = [only_hit(engine, pay(number, at)).mode for number, at in enumerate((hours(3), hours(4), hours(4) - MICRO))]
    assert modes == ["warming", "live", "warming"]


def test_of_two_starts_the_later_one_holds() -> None:
    engine = Engine(program_of(shows(SUM_3H)))
    engine.starts_at(microseconds(START + hours(5)))
    engine.starts_at(microseconds(START))
    assert only_hit(engine, pay(1, hours(7))).mode == "warming"


def test_a_start_holds_for_partition_key_values_that_come_later_and_after_a_load() -> None:
    program = program_of(shows(SUM_3H))
    engine = Engine(program)
    engine.starts_at(microseconds(START))
    judge(engine, pay(1, hours(20)))
    assert not engine.state.warming
    engine = Engine.load(program, engine.dump())
    first, second = judge(engine, pay(2, hours(20)), pay(3, hours(2), jurisdiction="420200"))
    assert (first.hits[0].mode, second.hits[0].mode) == ("live", "warming")


def test_discarding_leaves_the_start_as_it_was() -> None:
    engine = Engine(program_of(shows(SUM_3H)))
    engine.starts_at(microseconds(START))
    before = engine.dump()
    engine.assess([pay(1, hours(20))])
    engine.discard()
    assert engine.dump() == before
    assert only_hit(engine, pay(1, hours(2))).mode == "warming"


def test_ids_of_history_come_again_as_new_ones() -> None:
    engine = Engine(program_of(shows(SUM_3H)))
    judge(engine, pay(1, hours(0)), pay(2, hours(7)), pay(3, hours(7), jurisdiction="420200"))
    at = microseconds(START + hours(7))
    assert engine.forget_ids() == {
        "420100": (frozenset({"I2"}), at),  # I1 is too old to be accepted
        "420200": (frozenset({"I3"}), at),
    }
    assert [engine.accepts("420100", us) for us in (at - 6 * HOUR, at - 6 * HOUR - 1)] == [True, False]
    assert engine.accepts("420300", 0)
    assert only_hit(engine, pay(2, hours(7))).evidence == {"f": "2.00"}


# --- until when ---


@pytest.mark.parametrize(
    ("feature", "since", "covered"),
    [
        (SUM_3H, "2026-03-04T10:00:00+08:00", "2026-03-04T13:00:00+08:00"),
        (aggregate("count", "amount", period="day"), "2026-03-04T00:00:00+08:00", "2026-03-04T00:00:00+08:00"),
        (aggregate("count", "amount", period="day"), "2026-03-04T00:00:01+08:00", "2026-03-05T00:00:00+08:00"),
        (aggregate("count", "amount", period="week"), "2026-03-04T00:00:00+08:00", "2026-03-09T00:00:00+08:00"),
        (aggregate("count", "amount", period="month"), "2026-03-04T00:00:00+08:00", "2026-04-01T00:00:00+08:00"),
        (aggregate("count", "amount", period="quarter"), "2025-12-31T00:00:00+08:00", "2026-01-01T00:00:00+08:00"),
        (aggregate("count", "amount", period="fiscal_year"), "2025-01-01T00:00:00+08:00", "2026-01-01T00:00:00+08:00"),
        (aggregate("count", "amount", period="fiscal_year"), "2025-01-02T00:00:00+08:00", "2027-01-01T00:00:00+08:00"),
        (
            aggregate("count", "amount", window_us=DAY, where=leaf(ref(SUM_3H), "gt", yuan("1.00"))),
            "2026-03-04T10:00:00+08:00",
            "2026-03-05T13:00:00+08:00",
        ),
    ],
    ids=["window", "day", "next day", "week", "month", "quarter", "fiscal year", "next fiscal year", "where"],
)  # fmt: skip
def test_from_when_on_a_rule_is_covered(feature: Aggregate, since: str, covered: str) -> None:
    start = microseconds(datetime.fromisoformat(since))
    found = covered_from(shows(feature), start, Days("Asia/Shanghai"))
    assert found == microseconds(datetime.fromisoformat(covered))


def test_a_rule_without_windows_is_always_covered() -> None:
    assert covered_from(make_rule("R", leaf("amount", "gt", yuan("1.00"))), 0, Days("Asia/Shanghai")) == ANCIENT
