"""State: what is dumped is loaded, what has expired is forgotten, and neither changes what is judged."""

from __future__ import annotations

import gc
import sys
import weakref
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import make_instruction
from tests.rulesets import DAY, HOUR, aggregate, leaf, make_rule, make_ruleset, yuan
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Duplicate, Text
from treasury_watch.engine import Engine, Program, StateError, encoding
from treasury_watch.engine.blocks import BLOCK
from treasury_watch.rules.forms.aggregate import Aggregate

START = datetime(2025, 1, 6, tzinfo=UTC)


def program_of(*features: Aggregate, max_lateness: timedelta = timedelta(hours=6)) -> Program:
    """A program that says the value of every feature with every decision, and holds large payments."""
    names = [f"f{number}" for number in range(len(features))]
    rule = make_rule(
        "SHOWS", leaf("instruction_id", "is_missing", False), action="record",
        features=dict(zip(names, features, strict=True)), reason=Text(zh="", en=""),
    )  # fmt: skip
    return Program(make_ruleset(rule, make_rule("LARGE", leaf("amount", "gte", yuan("9.00")))), max_lateness)


def pay(number: int, hours: float = 0, **fields: Any) -> Instruction:
    usual = {"instruction_id": f"I{number}", "event_time": START + timedelta(hours=hours), "amount": "1.00"}
    return make_instruction(**usual | fields)


EVERYTHING = program_of(
    aggregate("sum", "amount", "budget_unit", window_us=HOUR),
    aggregate("count", "instruction_id", "payee_account", "purpose", window_us=DAY, population="attempted"),
    aggregate("distinct", "payee_name", window_us=DAY),
    aggregate("distinct", "attributes.x", "settlement", period="day"),
    aggregate("sum", "attributes.x", period="week"),
    aggregate("max", "attributes.x", period="month"),
    aggregate("min", "line_no", "budget_unit", window_us=DAY, where=leaf("settlement", "eq", "cash")),
    aggregate("distinct", "green_channel", window_us=DAY),
    aggregate("distinct", "voucher_date", window_us=DAY),
    aggregate("count", "instruction_id", period="fiscal_year"),
)

# --- dump and load ---


def assess(engine: Engine, *batch: Instruction) -> list[Any]:
    outcomes = engine.assess(batch)
    engine.absorb()
    return outcomes


def test_a_loaded_state_is_the_dumped_one() -> None:
    engine = Engine(EVERYTHING)
    assess(
        engine,
        pay(1, payee_name="甲公司", attributes={"x": "街道"}),
        pay(2, 1, payee_name="乙公司", attributes={"x": 1e300}, line_no=-(2**63), settlement="cash"),
        pay(3, 2, payee_name=None, attributes={"x": 0.1}, jurisdiction="420200", purpose="长" * 100),
        pay(4, 3, attributes={"x": True}, amount="9999999999999999.99", green_channel=True),
        pay(5, 4, attributes={"x": -(2**63)}, amount="-9999999999999999.99"),
    )
    data = engine.dump()
    loaded = Engine.load(EVERYTHING, data)
    assert loaded.dump() == data
    later = [pay(6, 5, attributes={"x": 0.2}, settlement="cash"), pay(7, 5, jurisdiction="420200"), pay(1)]
    assert assess(loaded, *later) == assess(engine, *later)
    assert loaded.dump() == engine.dump()


def test_an_id_is_known_after_a_load_as_long_as_before_it() -> None:
    program = program_of(max_lateness=timedelta(hours=6))
    engine = Engine(program)
    assess(engine, pay(1), pay(2, 6))  # exactly max_lateness behind
    assert Engine.load(program, engine.dump()).assess([pay(1)]) == [Duplicate("I1")]


def test_numbers_wider_than_64_bits_come_back_exactly() -> None:
    program = program_of(aggregate("sum", "attributes.x", window_us=DAY))
    engine = Engine(program)
    assess(engine, pay(1, attributes={"x": 1e25}), pay(2, attributes={"x": 0.1}), pay(3, attributes={"x": 2**62}))
    (outcome,) = Engine.load(program, engine.dump()).assess([pay(4, attributes={"x": -1e25})])
    assert outcome.hits[0].evidence["f0"] == f"{2**62}.1000"  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [1, 2, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_keys_of_every_size_come_back(size: int) -> None:
    program = program_of(
        aggregate("sum", "amount", window_us=DAY),
        aggregate("count", "instruction_id", window_us=DAY),
        aggregate("distinct", "payee_name", window_us=DAY),
    )
    engine = Engine(program)
    assess(engine, *(pay(number, number / size, amount="0.01", payee_name=f"公司{number}") for number in range(size)))
    loaded = Engine.load(program, engine.dump())
    assert loaded.dump() == engine.dump()
    (outcome,) = loaded.assess([pay(size, 1, amount="0.01", payee_name="公司0")])
    assert outcome.hits[0].evidence == {  # type: ignore[union-attr]
        "f0": f"{(size + 1) / 100:.2f}",
        "f1": str(size + 1),
        "f2": str(size),
    }


def test_an_engine_that_has_seen_nothing_has_a_state_too() -> None:
    assert Engine.load(EVERYTHING, Engine(EVERYTHING).dump()).dump() == Engine(EVERYTHING).dump()


def test_what_is_not_absorbed_cannot_be_dumped() -> None:
    engine = Engine(EVERYTHING)
    engine.assess([pay(1)])
    with pytest.raises(StateError, match="neither absorbed nor discarded"):
        engine.dump()


@pytest.mark.parametrize("data", [b"", b"no state", b"\xc1", msgspec.msgpack.encode(5), msgspec.msgpack.encode([1])])
def test_bytes_that_are_no_state_are_refused(data: bytes) -> None:
    with pytest.raises(StateError, match="not a state"):
        Engine.load(EVERYTHING, data)


def test_a_state_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Engine(EVERYTHING).dump()
    monkeypatch.setattr(encoding, "VERSION", 99)
    with pytest.raises(StateError, match="state of version 8; this engine reads version 99"):
        Engine.load(EVERYTHING, data)


SUM = aggregate("sum", "amount", "budget_unit", window_us=DAY)


def test_a_state_that_kept_ids_for_a_shorter_time_is_refused_and_for_a_longer_one_taken() -> None:
    data = Engine(program_of(SUM)).dump()
    with pytest.raises(StateError, match="state of a shorter max_lateness"):
        Engine.load(program_of(SUM, max_lateness=timedelta(hours=7)), data)
    Engine.load(program_of(SUM, max_lateness=timedelta(hours=5)), data)


def test_a_state_goes_on_under_other_rules_with_the_same_windows() -> None:
    """Sums, extremes and other names of the same entries: what is kept is the same."""
    engine = Engine(program_of(SUM))
    assess(engine, pay(1, amount="1.00"))
    other = program_of(aggregate("max", "amount", "budget_unit", window_us=DAY))
    (outcome,) = Engine.load(other, engine.dump()).assess([pay(2, amount="0.50")])
    assert outcome.hits[0].evidence == {"f0": "1.00"}  # type: ignore[union-attr]


def test_a_machine_of_the_other_byte_order_writes_the_same_kind_of_state(monkeypatch: pytest.MonkeyPatch) -> None:
    program = program_of(SUM, aggregate("count", "instruction_id", window_us=DAY))
    engine = Engine(program)
    assess(engine, pay(1, amount="1.00"), pay(2, 1, amount="2.00"))
    here = engine.dump()
    monkeypatch.setattr(encoding, "sys", SimpleNamespace(byteorder="little" if sys.byteorder == "big" else "big"))
    there = engine.dump()
    assert there != here  # each value is turned round before it is written, and again when it is read
    loaded = Engine.load(program, there)
    assert loaded.dump() == there
    (outcome,) = loaded.assess([pay(3, 2, amount="4.00")])
    assert outcome.hits[0].evidence == {"f0": "7.00", "f1": "3"}  # type: ignore[union-attr]


def test_discarding_brings_back_an_id_that_was_used_again() -> None:
    """An id that has expired and is not forgotten yet, since one with a later time came before it."""
    program = program_of(max_lateness=timedelta(hours=6))
    engine = Engine(program)
    assess(engine, pay(0, 10), pay(1, 4))
    assess(engine, pay(2, 11))
    before, ids = engine.dump(), engine.state.entries()["ids"]
    (again,) = engine.assess([pay(1, 11, amount="2.00")])
    assert isinstance(again, Decision)
    engine.discard()
    assert engine.dump() == before
    assert engine.state.entries()["ids"] == ids == 3


def test_discarding_frees_the_symbols_that_were_taken() -> None:
    engine = Engine(program_of(aggregate("distinct", "payee_name", window_us=DAY)))
    assess(engine, pay(1, payee_name="甲"))
    engine.assess([pay(2, payee_name="甲"), pay(3, payee_name="乙"), pay(4, payee_name="乙")])
    engine.discard()
    symbols = engine.state.scopes["420100"].symbols
    assert len(symbols) == 1
    symbols.release(symbols.take("甲"))
    assert len(symbols) == 1  # one use is left: that of the payment that was absorbed


# --- any batches, any forgetting ---

INSTRUCTIONS = st.lists(
    st.builds(
        pay,
        number=st.integers(0, 30),
        hours=st.sampled_from([0, 1, 2, 3, 5, 8, 30, 31, 60, 400, 800]),
        amount=st.sampled_from(["-1.00", "0.01", "5.00", "9.00"]),
        jurisdiction=st.sampled_from(["420100", "420200"]),
        budget_unit=st.sampled_from(["101", "102"]),
        payee_name=st.sampled_from([None, "甲", "乙"]),
        purpose=st.sampled_from(["办公", "长" * 80]),
        settlement=st.sampled_from(["cash", "transfer"]),
        line_no=st.sampled_from([None, 1, -1]),
        green_channel=st.booleans(),
        attributes=st.sampled_from([None, {"x": 1}, {"x": "1"}, {"x": True}, {"x": 0.5}, {"x": 1e30}]),
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None)
@given(instructions=INSTRUCTIONS, data=st.data())
def test_neither_batches_nor_discards_nor_loads_change_outcomes_or_state(
    instructions: list[Instruction], data: Any
) -> None:
    whole, engine = Engine(EVERYTHING), Engine(EVERYTHING)
    expected = assess(whole, *instructions)
    found: list[Any] = []
    while len(found) < len(instructions):
        size = data.draw(st.integers(1, 6))
        batch = instructions[len(found) : len(found) + size]
        match data.draw(st.sampled_from(["absorb", "absorb", "discard first", "load first"])):
            case "discard first":
                before = engine.dump()
                engine.assess(data.draw(INSTRUCTIONS))
                engine.discard()
                assert engine.dump() == before
            case "load first":
                engine = Engine.load(EVERYTHING, engine.dump())
        found += assess(engine, *batch)
    assert found == expected
    assert engine.dump() == whole.dump()


# --- forgetting ---


def test_what_has_expired_is_forgotten_under_keys_that_never_come_again() -> None:
    """400 days with new units, payees and ids every day: what is held stays bounded."""
    program = program_of(
        aggregate("sum", "amount", "budget_unit", window_us=3 * DAY),
        aggregate("distinct", "payee_name", "budget_unit", window_us=DAY),
        aggregate("count", "instruction_id", "purpose", period="day", where=leaf("amount", "gt", yuan("0.10"))),
        max_lateness=timedelta(days=2),
    )
    engine = Engine(program)
    sizes = []
    for day in range(400):
        assess(
            engine,
            *(
                pay(
                    day * 20 + number, day * 24 + number / 2, amount=f"0.{number:02}", purpose=f"用途{day}-{number}",
                    budget_unit=f"{day}-{number % 10}", payee_name=f"公司{day}-{number}",
                )
                for number in range(20)
            ),
        )  # fmt: skip
        sizes.append(engine.state.entries())
    assert all(size["scopes"] == 1 for size in sizes)
    for what, alive in (("ids", 20 * 3), ("keys", 10 * 6 + 10 * 4 + 20 * 4), ("entries", 20 * 6 + 20 * 4 + 20 * 4)):
        assert max(size[what] for size in sizes) <= 3 * alive, what
    symbols = engine.state.scopes["420100"].symbols
    assert len(symbols) <= 3 * 20 * 4
    assert len(symbols._values) <= 3 * 20 * 4  # places are used again


def test_memory_does_not_grow_where_every_payment_has_a_key_of_its_own() -> None:
    """Each payment pays for looking at one key: that must be one that has expired, if there are any."""
    program = program_of(aggregate("sum", "amount", "voucher_no", window_us=100 * HOUR), max_lateness=timedelta(0))
    engine = Engine(program)
    most = 0
    for batch in range(500):
        assess(engine, *(pay(number, number, voucher_no=str(number)) for number in range(batch * 10, batch * 10 + 10)))
        most = max(most, engine.state.entries()["keys"])
    assert most <= 300


def test_a_large_key_that_never_comes_again_is_forgotten() -> None:
    program = program_of(aggregate("sum", "amount", "budget_unit", window_us=HOUR))
    engine = Engine(program)
    assess(engine, *(pay(number, number / 3600, budget_unit="large") for number in range(BLOCK + 88)))
    for hour in range(200):
        assess(engine, pay(10_000 + hour, 20 + hour, budget_unit="small"))
    assert engine.state.entries()["keys"] == 1
    assert engine.state.entries()["entries"] <= 20


def test_one_busy_key_is_forgotten_block_by_block() -> None:
    program = program_of(aggregate("count", "instruction_id", "budget_unit", window_us=HOUR), max_lateness=timedelta(0))
    engine = Engine(program)
    most = 0
    for batch in range(100):
        assess(engine, *(pay(batch * 100 + n, (batch * 100 + n) / 600) for n in range(100)))
        most = max(most, engine.state.entries()["entries"])
    assert most <= 600 + 2 * BLOCK


def test_what_one_partition_key_value_holds_does_not_expire_by_the_time_of_another() -> None:
    engine = Engine(program_of(SUM, max_lateness=timedelta(0)))
    assess(engine, pay(1, amount="1.00", jurisdiction="420200"))
    for day in range(1, 50):
        assess(engine, pay(100 + day, day * 24))
    (outcome,) = engine.assess([pay(2, 23, amount="2.00", jurisdiction="420200")])
    assert outcome.hits[0].evidence == {"f0": "3.00"}  # type: ignore[union-attr]


def test_a_future_time_does_not_keep_ids_for_ever() -> None:
    """One id far ahead stands in the way of those behind it only until time has caught up with it."""
    engine = Engine(program_of(max_lateness=timedelta(days=31)))
    assess(engine, pay(0, 24 * 20))
    for hour in range(24 * 100):
        assess(engine, pay(1 + hour, hour))
    assert engine.state.entries()["ids"] <= 24 * (31 + 20) + 1


def test_what_may_still_be_asked_for_is_kept_to_the_microsecond() -> None:
    """An instruction as late as may be still finds the entry at the far end of its window."""
    program = program_of(aggregate("sum", "amount", window_us=24 * HOUR), max_lateness=timedelta(hours=6))
    engine = Engine(program)
    micro = timedelta(microseconds=1)
    assess(engine, pay(1, event_time=START + micro, amount="1.00"), pay(2, event_time=START, amount="5.00"))
    for number in range(50):
        assess(engine, pay(10 + number, 30, amount="0.00"))
    engine = Engine.load(program, engine.dump())
    (outcome,) = engine.assess([pay(3, 24, amount="2.00")])  # exactly max_lateness behind
    assert outcome.hits[0].evidence == {"f0": "3.00"}  # type: ignore[union-attr]


@pytest.mark.parametrize("period", ["day", "week", "month", "quarter", "fiscal_year"])
def test_a_period_is_kept_as_long_as_a_late_instruction_can_ask_for_it(period: Any) -> None:
    program = program_of(aggregate("count", "instruction_id", period=period), max_lateness=timedelta(days=31))
    engine = Engine(program)
    first = datetime.fromisoformat("2024-12-30T00:00:00+08:00") if period == "week" else None
    first = first or datetime.fromisoformat("2025-01-01T00:00:00+08:00")
    days = {"day": 1, "week": 7, "month": 31, "quarter": 90, "fiscal_year": 365}[period]
    last = first + timedelta(days=days) - timedelta(microseconds=1)
    assess(engine, pay(1, event_time=first), pay(2, event_time=last + timedelta(days=31)))
    for number in range(40):
        assess(engine, pay(10 + number, event_time=last + timedelta(days=31)))
    (outcome,) = Engine.load(program, engine.dump()).assess([pay(3, event_time=last)])
    assert outcome.hits[0].evidence == {"f0": "2"}  # type: ignore[union-attr]


def test_entries_are_counted_by_scope_id_key_and_entry() -> None:
    engine = Engine(program_of(SUM))
    assess(engine, pay(1), pay(2, budget_unit="102"), pay(3, budget_unit="102"), pay(4, jurisdiction="420200"))
    assert engine.state.entries() == {"scopes": 2, "cases": 0, "ids": 4, "keys": 3, "entities": 0, "entries": 4}


def test_a_damaged_body_under_a_good_header_is_refused_as_such() -> None:
    program = Program(make_ruleset())
    header = msgspec.msgpack.decode(Engine(program).dump())[:3]
    bodies = (None, {"420100": [1]}, {"420100": [1, [["I"]], [], []]}, {"420100": [1, [], 5]})
    for scopes in bodies:
        with pytest.raises(StateError, match="damaged"):
            Engine.load(program, msgspec.msgpack.encode([*header, scopes]))
    with pytest.raises(StateError, match="damaged"):
        Engine.load(program, msgspec.msgpack.encode([*header[:1], [0, ["no reach"]], header[2], {}]))


def test_what_the_rules_before_remembered_is_free_at_once() -> None:
    engine = Engine(EVERYTHING)
    engine.assess([pay(number) for number in range(10)])
    engine.absorb()
    state = weakref.ref(engine.state)
    gc.disable()
    try:
        engine.switch(program_of(max_lateness=timedelta(0)))
        assert state() is None
    finally:
        gc.enable()
