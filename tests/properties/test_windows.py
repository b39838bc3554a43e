"""Windows against a naive list of instructions: every aggregate, span, key and population, in any order of arrival."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import make_instruction
from tests.rulesets import DAY, HOUR, aggregate, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch.domain.payment import Instruction, account_form, fen_of, microseconds, name_form
from treasury_watch.domain.verdict import Decision, Text
from treasury_watch.engine import Engine, Program
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.values import money_text, number_text

CASH = leaf("settlement", "in", ("cash", "cash_cheque"))
SPANS: list[dict[str, Any]] = [
    {"window_us": HOUR},
    {"window_us": 72 * HOUR},
    {"window_us": 40 * DAY},
    *({"period": period} for period in ("day", "week", "month", "quarter", "fiscal_year")),
]
FEATURES: list[Aggregate] = [
    feature
    for span in SPANS
    for feature in (
        aggregate("sum", "amount", "budget_unit", **span),
        aggregate("count", "amount", "budget_unit", **span),
        aggregate("min", "amount", "budget_unit", where=CASH, **span),
        aggregate("max", "amount", "budget_unit", "payee_account", **span),
        aggregate("avg", "amount", population="attempted", **span),
        aggregate("distinct", "payee_name", "budget_unit", **span),
        aggregate("count", "instruction_id", "payee_account", "purpose", population="attempted", **span),
        aggregate("sum", "line_no", **span),
        aggregate("sum", "attributes.weight", "settlement", **span),
        aggregate("distinct", "attributes.weight", "budget_unit", **span),
    )
]
HELD = yuan("2.50")  # what is intercepted, so that executed and attempted differ


def program(zone: str) -> Program:
    probes = [
        make_rule(
            f"F{index}", leaf("amount", "gte", yuan("-9999.00")), action="record", features={"f": feature},
            reason=Text(zh="{f}", en="{f}"),
        )
        for index, feature in enumerate(FEATURES)
    ]  # fmt: skip
    tests = [
        make_rule(f"T{index}", leaf(ref(feature), "gte", 1), action="record") for index, feature in enumerate(FEATURES)
    ]
    return Program(make_ruleset(*probes, *tests, make_rule("HELD", leaf("amount", "gte", HELD)), timezone=zone))


ZONES = {zone: program(zone) for zone in ("Asia/Shanghai", "America/New_York", "Australia/Lord_Howe")}


@dataclass
class Naive:
    """What the windows mean: the whole list, gone through for every question."""

    zone: ZoneInfo
    past: list[tuple[Instruction, bool]]  # with whether it was executed

    def value(self, feature: Aggregate, judged: Instruction) -> Any:
        if any(self.key(name, judged) is None for name in feature.by):
            return None
        counted = [
            self.own(feature.kind, feature.field, each)
            for each, executed in [*self.past, (judged, True)]
            if (executed or feature.population == "attempted" or each is judged)
            and all(self.key(name, each) == self.key(name, judged) for name in feature.by)
            and (feature.where is None or each.settlement in ("cash", "cash_cheque"))
            and self.own(feature.kind, feature.field, each) is not None
            and self.in_span(feature, each, judged)
        ]
        match feature.kind:
            case "sum":
                return sum(counted)
            case "count":
                return len(counted)
            case "distinct":
                return len(set(counted))
            case "min":
                return min(counted, default=None)
            case "max":
                return max(counted, default=None)
            case "avg":
                return Fraction(sum(counted), len(counted)) if counted else None

    def key(self, name: str, each: Instruction) -> Any:
        value = getattr(each, name)
        if value is None:
            return None
        return account_form(value) if name == "payee_account" else name_form(value)

    def own(self, kind: str, field: str, each: Instruction) -> Any:
        if field == "amount":
            return fen_of(each.amount)
        if field == "attributes.weight":
            weight = (each.attributes or {}).get("weight")
            if isinstance(weight, str):
                return weight if kind == "distinct" else None
            return None if weight is None else Fraction(str(weight))
        value = getattr(each, field)
        return name_form(value) if field == "payee_name" and value is not None else value

    def in_span(self, feature: Aggregate, each: Instruction, judged: Instruction) -> bool:
        then, now = microseconds(each.event_time), microseconds(judged.event_time)
        if then > now:
            return False
        if feature.window_us is not None:
            return then > now - feature.window_us
        a, b = each.event_time.astimezone(self.zone).date(), judged.event_time.astimezone(self.zone).date()
        match feature.period:
            case "day":
                return a == b
            case "week":
                return a.isocalendar()[:2] == b.isocalendar()[:2]
            case "month":
                return (a.year, a.month) == (b.year, b.month)
            case "quarter":
                return (a.year, (a.month - 1) // 3) == (b.year, (b.month - 1) // 3)
            case _:
                return (each.fiscal_year or a.year) == (judged.fiscal_year or b.year)

    def text(self, feature: Aggregate, value: Any) -> str:
        money = feature.field == "amount" and feature.kind not in ("count", "distinct")
        if money:
            return money_text(value)
        exact = Fraction(value)
        return number_text(exact.numerator if exact.denominator == 1 else exact)

    def reaches_one(self, feature: Aggregate, value: Any) -> bool:
        """Whether the feature's value is at least 1: one yuan for money."""
        money = feature.field == "amount" and feature.kind not in ("count", "distinct")
        return value is not None and value >= (100 if money else 1)


# Moments at which calendars do something: turns of a year and a quarter, zone changes of New York and Lord Howe.
MOMENTS = [
    datetime(2025, 12, 31, 16, 0, tzinfo=UTC),
    datetime(2026, 1, 1, 5, 0, tzinfo=UTC),
    datetime(2026, 3, 8, 7, 0, tzinfo=UTC),
    datetime(2026, 3, 31, 13, 0, tzinfo=UTC),
    datetime(2026, 4, 4, 15, 0, tzinfo=UTC),
]
times = st.builds(
    lambda moment, hours, us: moment + timedelta(hours=hours, microseconds=us),
    st.sampled_from(MOMENTS),
    st.one_of(st.integers(-6, 6), st.sampled_from([-24, 24, -72, 72, 168, -1, 1])),
    st.sampled_from([0, 0, 1, -1]),
)
payments = st.lists(
    st.fixed_dictionaries(
        {
            "event_time": times,
            "budget_unit": st.sampled_from(["101001", "101002"]),
            "payee_account": st.sampled_from(["6222 01", "622201", "6222-02", None]),
            "payee_name": st.sampled_from(["甲公司", " 甲公司 ", "乙公司", None]),
            "purpose": st.sampled_from(["货款", "货|款", None]),
            "amount": st.sampled_from(["-3.00", "-0.01", "0.00", "0.01", "1.00", "1.00", "2.49", "2.50", "9.99"]),
            "settlement": st.sampled_from(["transfer", "cash", "cash_cheque"]),
            "line_no": st.sampled_from([None, 1, -7]),
            "fiscal_year": st.sampled_from([None, None, 2025, 2026]),
            "attributes": st.sampled_from([None, {}, {"weight": 0.1}, {"weight": 3}, {"weight": "重"}]),
        }
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(payments=payments, data=st.data())
def test_every_aggregate_equals_a_walk_over_the_whole_list(
    zone: str, payments: list[dict[str, Any]], data: Any
) -> None:
    compiled = ZONES[zone]
    engine, naive = Engine(compiled), Naive(ZoneInfo(zone), [])
    # 31 days of lateness: what is older than that is refused and belongs to another test.
    newest = max(each["event_time"] for each in payments)
    payments = [each for each in payments if newest - each["event_time"] < timedelta(days=31)]
    batch: list[Instruction] = []
    outcomes: list[Any] = []
    absorbed = True
    for number, fields in enumerate(payments):
        batch.append(make_instruction(instruction_id=f"I{number}", **fields))
        step = data.draw(st.sampled_from(["go on", "judge", "absorb", "absorb", "dump and load", "assess twice"]))
        if step == "go on" and number < len(payments) - 1:
            continue
        if step == "assess twice":
            first = engine.assess(batch)
            if absorbed:
                engine.discard()
                assert engine.assess(batch) == first
            outcomes += first
            absorbed = False
        else:
            outcomes += engine.assess(batch)
            absorbed = False
        batch = []
        if step in ("absorb", "dump and load"):
            engine.absorb()
            absorbed = True
        if step == "dump and load":
            engine = Engine.load(compiled, engine.dump())

    judged = [make_instruction(instruction_id=f"I{number}", **fields) for number, fields in enumerate(payments)]
    assert len(outcomes) == len(judged)
    for instruction, decision in zip(judged, outcomes, strict=True):
        assert isinstance(decision, Decision)
        hits = {hit.rule: hit for hit in decision.hits}
        for index, feature in enumerate(FEATURES):
            value = naive.value(feature, instruction)
            shown = hits[f"F{index}"].evidence.get("f")
            assert shown == (None if value is None else naive.text(feature, value)), feature
            assert (f"T{index}" in hits) == naive.reaches_one(feature, value), feature
        naive.past.append((instruction, decision.verdict in ("pass", "warn")))


@settings(max_examples=40, deadline=None)
@given(payments=payments, data=st.data())
def test_the_state_does_not_depend_on_how_the_instructions_were_split_into_batches(
    payments: list[dict[str, Any]], data: Any
) -> None:
    compiled = ZONES["Asia/Shanghai"]
    instructions = [make_instruction(instruction_id=f"I{number}", **fields) for number, fields in enumerate(payments)]
    whole, split = Engine(compiled), Engine(compiled)
    expected = whole.assess(instructions)
    whole.absorb()
    found: list[Any] = []
    while len(found) < len(instructions):
        size = data.draw(st.integers(1, 7))
        found += split.assess(instructions[len(found) : len(found) + size])
        split.absorb()
    assert found == expected
    assert split.dump() == whole.dump()
