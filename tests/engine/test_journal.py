"""The journal: its records make the state again that they were written of, wherever they end, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import make_instruction
from tests.rulesets import DAY, HOUR, aggregate, leaf, make_rule, make_ruleset, modelled, ref, yuan
from treasury_watch.domain.payment import Instruction, microseconds
from treasury_watch.domain.verdict import Decision
from treasury_watch.engine import Engine, Program, StateError, encoding, journal
from treasury_watch.engine.journal import BEGIN, POSITION, WHOLE, Journal, Record, Restoring, kind_of
from treasury_watch.rules.schema import FeatureRef

START = datetime.fromisoformat("2025-01-06T00:00:00+08:00")
SUM = ref(aggregate("sum", "amount", "budget_unit", window_us=3 * DAY), "total")
COUNT = ref(aggregate("count", "instruction_id", "payee_account", window_us=2 * HOUR, population="attempted"), "n")
PAYEES = ref(aggregate("distinct", "payee_account", "budget_unit", window_us=DAY), "payees")
LOCAL = ref(aggregate("max", "attributes.x", "budget_unit", window_us=DAY), "greatest")
NESTED = ref(aggregate("count", "amount", "budget_unit", where=leaf(SUM, "gt", yuan("700.00")), window_us=DAY), "large")
HELD = make_rule("HELD", leaf("amount", "gte", yuan("500.00")), action="intercept")
WARNED = make_rule("WARNED", leaf("amount", "lt", yuan("0.00")), action="warn")
MANY = tuple(
    make_rule(f"R{at}", leaf(feature, "gt", 10**6), action="warn")
    for at, feature in enumerate((SUM, COUNT, PAYEES, LOCAL, NESTED))
)
PROGRAM = Program(modelled(make_ruleset(HELD, WARNED, *MANY), "1/100"), max_lateness=timedelta(hours=6))
OTHER = Program(modelled(make_ruleset(MANY[4], MANY[1], HELD), "3/100"), max_lateness=timedelta(hours=6))

BRIEF = Program(  # asks for some of the same, five hours back
    modelled(
        make_ruleset(
            HELD,
            *(
                make_rule(f"R{at}", leaf(ref(aggregate(*asked, "budget_unit", window_us=5 * HOUR)), "gt", 10**6))
                for at, asked in enumerate([("sum", "amount"), ("distinct", "payee_account")])
            ),
        ),
        "1/100",
    ),
    max_lateness=timedelta(hours=6),
)
CHANGING = (PROGRAM, OTHER, BRIEF)


def large(limit: int) -> FeatureRef:
    where = leaf("amount", "gt", yuan(f"{limit}.00"))
    return ref(aggregate("sum", "amount", "budget_unit", where=where, window_us=DAY))


WIDE = Program(
    make_ruleset(HELD, *(make_rule(f"W{limit}", leaf(large(limit), "gt", yuan("1.00"))) for limit in range(1, 71))),
    max_lateness=timedelta(hours=6),
)


class Life:
    """An engine that lives, with its journal, and what its state was after each writing."""

    def __init__(self, program: Program = PROGRAM) -> None:
        self.engine = Engine(program)
        self.journal = Journal(self.engine)
        self.records: list[Record] = []
        self.dumps: dict[int, bytes] = {}
        self.positions: dict[int, int] = {}
        self.position = 0
        self.held: list[str] = []
        self.changed = 0  # records from this one on are of other rules

    def pay(self, *instructions: Instruction) -> list[Any]:
        outcomes = self.engine.assess(instructions)
        self.held += [each.instruction_id for each in outcomes if isinstance(each, Decision) and each.verdict != "pass"]
        self.engine.absorb()
        self.position += len(instructions)
        return outcomes

    def go(self, kind: str, *rest: Any) -> list[Any]:
        """One of `STEPS`, and what came of it if it is a payment or a disposition."""
        if kind in ("write", "stretch"):
            self.write()
            if kind == "stretch":
                self.records += self.journal.checkpoint(rest[0])
            return []
        if kind == "pay":
            number, hours, amount, unit, account, jurisdiction, attributes = rest
            return self.pay(
                pay(
                    number,
                    hours,
                    amount,
                    budget_unit=unit,
                    payee_account=account,
                    jurisdiction=jurisdiction,
                    attributes=attributes,
                )
            )
        at, disposition, name = rest
        held = self.held[at % len(self.held)] if self.held else "none"
        return [self.engine.dispose(key, held, f"D{name}", disposition) for key in ("420100", "420200")]

    def write(self) -> None:
        self.records += self.journal.effects(self.position)
        self.dumps[len(self.records)] = self.engine.dump()
        self.positions[len(self.records)] = self.position

    def rotate(self) -> None:
        self.write()
        self.records += self.journal.rotate()

    def since_whole(self) -> list[Record]:
        """The records from the begin of the last whole rotation on."""
        kinds = [record.kind for record in self.records]
        whole = len(kinds) - 1 - kinds[::-1].index(WHOLE)
        return self.records[whole - kinds[whole::-1].index(BEGIN) :]

    def restart(self) -> None:
        """Goes on with an engine that is made of the records."""
        self.engine = restored(self.since_whole(), self.engine.program).finished()
        self.journal = Journal(self.engine, self.position, len(self.records))

    def switch(self, program: Program) -> None:
        self.write()
        self.engine.switch(program)
        self.changed = len(self.records) + 1
        self.write()


def restored(records: list[Record], program: Program = PROGRAM) -> Restoring:
    restoring = Restoring(program)
    for record in records:
        restoring.take(record.data)
    return restoring


def take_all(restoring: Restoring, records: list[bytes]) -> None:
    for record in records:
        restoring.take(record)


def pay(number: int, hours: float = 0, amount: str = "100.00", **fields: Any) -> Instruction:
    at = START + timedelta(hours=hours)
    return make_instruction(instruction_id=f"I{number}", event_time=at.isoformat(), amount=amount, **fields)


STEPS = (
    st.tuples(
        st.just("pay"),
        st.integers(0, 60),
        st.integers(0, 90),
        st.sampled_from(["100.00", "700.00", "-5.00", "0.00"]),
        st.sampled_from(["101", "102", "一〇三"]),
        st.sampled_from(["6222021234567890123", "6222 0212 3456 7890 999", None]),
        st.sampled_from(["420100", "420200"]),
        st.sampled_from([None, {"x": 5}, {"x": -1e25}, {"x": "5"}]),
    ),
    st.tuples(
        st.just("dispose"), st.integers(0, 50), st.sampled_from(["release", "return", "confirm"]), st.integers(0, 9)
    ),
    st.tuples(st.just("write")),
    st.tuples(st.just("stretch"), st.integers(1, 40)),
)


def lives(payments: int = 30) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.one_of(*STEPS), max_size=payments)


def lived(steps: list[Any]) -> Life:
    life = Life()
    life.records += life.journal.checkpoint(1)
    for step in steps:
        life.go(*step)
    return life


@settings(max_examples=60, deadline=None)
@given(before=lives(), after=lives())
def test_from_a_whole_rotation_on_the_records_make_the_state_of_every_position(
    before: list[Any], after: list[Any]
) -> None:
    """Also while stretches are written between effects, and whatever is cut off at the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "_STRETCH", 2)
        life = lived(before)
        life.write()
        while WHOLE not in [record.kind for record in life.records]:
            life.pay(pay(1000 + life.position, 40 + life.position / 10, "3.00"))
            life.write()
            life.records += life.journal.checkpoint(3)
        for kind, *rest in after:
            if kind == "pay":
                life.pay(pay(2000 + rest[0], rest[1], rest[2], budget_unit=rest[3]))
            elif kind != "dispose":
                life.go(kind, *rest)
        life.write()
    whole = [record.kind for record in life.records].index(WHOLE) + 1
    restoring = Restoring(PROGRAM)
    for at, record in enumerate(life.records, 1):
        restoring.take(record.data)
        if at > whole and record.kind == POSITION:
            assert restored(life.records[:at]).finished().dump() == life.dumps[at]
    assert restoring.finished().dump() == life.engine.dump()


CHANGES = (
    st.tuples(st.just("switch"), st.integers(0, 2)),
    st.tuples(st.just("restart"), st.booleans()),
)


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(st.one_of(*STEPS, *CHANGES), max_size=40))
def test_whatever_rules_change_in_between_a_restart_forgets_as_much_as_who_was_never_disturbed(
    steps: list[Any],
) -> None:
    life, undisturbed = Life(), Life()
    life.rotate()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "_STRETCH", 2)
        for kind, *rest in steps:
            match kind:
                case "write" | "stretch":
                    life.go(kind, *rest)
                case "restart":
                    life.write()
                    if rest[0]:
                        life.rotate()
                    life.restart()
                case "switch":
                    life.switch(CHANGING[rest[0]])
                    undisturbed.switch(CHANGING[rest[0]])
                case _:
                    assert life.go(kind, *rest) == undisturbed.go(kind, *rest)
        life.write()
    again = restored(life.since_whole(), life.engine.program).finished()
    assert life.engine.dump() == again.dump() == undisturbed.engine.dump()


@pytest.mark.parametrize("last", ["before", "after"])
@pytest.mark.parametrize("whole_again", [True, False])
def test_what_shorter_windows_forgot_does_not_come_back_with_longer_ones(whole_again: bool, last: str) -> None:
    """Neither for who restarted nor for who did not: what is over was forgotten by one and not yet by the other."""
    life, undisturbed = Life(), Life()
    for each in (life, undisturbed):
        each.pay(pay(1, 0, "600.00"), pay(2, 1, budget_unit="103"), pay(3, 12, "600.00"))
        each.rotate()
        for step in ("before", "switch", "after"):
            if step == "switch":
                each.switch(BRIEF)
            elif step == last:
                each.pay(pay(4, 20, "100.00", budget_unit="102"))
                each.write()
    if whole_again:
        life.rotate()
    life.restart()
    for each in (life, undisturbed):
        each.switch(PROGRAM)
        assert each.engine.dispose("420100", "I1", "D1", "release") == "unknown"
        assert each.engine.dispose("420100", "I3", "D2", "release") == "applied"
        each.write()
    life.rotate()
    life.restart()
    assert life.engine.dump() == undisturbed.engine.dump()


def test_a_restored_engine_goes_on_as_the_one_that_was_never_disturbed() -> None:
    life = Life()
    life.pay(*(pay(number, number / 2, f"{number * 40}.00") for number in range(20)))
    life.rotate()
    life.pay(pay(20, 11, "900.00"), pay(21, 12, "-1.00"))
    life.write()
    again = restored(life.records)
    assert again.position == 22
    engine = again.finished()
    later = [pay(number, number / 2) for number in (20, 3, 30, 31)]
    assert engine.assess(later) == life.engine.assess(later)


def test_after_a_restart_records_follow_those_of_before() -> None:
    life = Life()
    life.pay(pay(1), pay(2, 1, "600.00"))
    life.rotate()
    again = restored(life.records)
    second = Life()
    second.engine = again.finished()
    assert again.number is not None
    second.journal = Journal(second.engine, 2, again.number + 1)
    second.position = 2
    second.pay(pay(3, 2))
    second.write()
    assert second.records[0].kind == BEGIN
    assert restored(life.records + second.records).finished().dump() == second.engine.dump()  # from the first rotation
    second.records += second.journal.rotate()
    assert restored(second.records).finished().dump() == second.engine.dump()


@pytest.mark.parametrize("whole_again", [False, True])
def test_rules_that_changed_at_a_restart_are_in_the_records_that_follow(whole_again: bool) -> None:
    life = Life()
    life.pay(*(pay(number, number, f"{number * 50}.00", payee_account=f"622{number % 3}") for number in range(20)))
    life.rotate()
    again = restored(life.records, OTHER)
    second = Life(OTHER)
    second.engine = again.finished()
    assert again.number is not None
    second.journal = Journal(second.engine, 20, again.number + 1)
    second.position = 20
    for number in range(20, 30):
        second.pay(pay(number, number, f"{number * 50}.00", payee_account=f"622{number % 3}"))
        second.write()
        second.records += second.journal.checkpoint(7)
    if whole_again:
        second.records += second.journal.rotate()
    assert restored(life.records + second.records, OTHER).finished().dump() == second.engine.dump()


def test_effects_whose_position_never_came_do_not_keep_a_successor_from_writing() -> None:
    life = Life()
    life.rotate()
    life.pay(pay(1))
    life.write()
    torn = life.records[:-1]
    again = restored(torn)
    second = Life()
    second.engine = again.finished()
    assert again.number is not None
    second.journal = Journal(second.engine, 0, again.number + 1)
    second.pay(pay(1), pay(2, 1))
    second.write()
    assert restored(torn + second.records).finished().dump() == second.engine.dump()


def test_wherever_the_records_end_they_make_the_state_of_the_last_position(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also between records of one key's entries, of one scope's cases, and of other rules and since when they count:
    a worker is killed when some of what it writes is there.
    """
    monkeypatch.setattr(journal, "_MOST_BYTES", 60)
    monkeypatch.setattr(encoding, "_PIECE", 3)
    life = Life()
    life.pay(*(pay(number, number / 4, f"{number * 60}.00") for number in range(20)))
    life.rotate()
    whole = len(life.records)
    life.pay(pay(20, 5, "900.00"), pay(21, 6, jurisdiction="420200"))
    life.rotate()
    life.switch(OTHER)
    life.pay(pay(22, 7, jurisdiction="420200"))
    life.rotate()
    for end in range(whole, len(life.records) + 1):
        said = max(at for at in life.dumps if at <= end)
        found = restored(life.records[:end], PROGRAM if said < life.changed else OTHER)
        assert found.finished().dump() == life.dumps[said], end
        assert found.position == life.positions[said]


@pytest.mark.parametrize("whole_again", [False, True])
def test_from_when_on_everything_is_known_is_known_after_a_restart(whole_again: bool) -> None:
    """Said when the first payment behind what was deleted is seen: a rotation has begun by then, or is whole."""
    life = Life()
    life.pay(pay(1, 1), pay(2, 2))
    life.rotate()
    life.records += life.journal.checkpoint(1)
    life.engine.starts_at(microseconds(START + timedelta(hours=30)))
    life.pay(pay(3, 30), pay(4, 31, jurisdiction="420200"))
    life.rotate() if whole_again else life.write()
    assert life.engine.state.warming
    assert restored(life.records).finished().dump() == life.engine.dump()


def test_a_scope_that_came_after_a_rotation_began_warms_as_it_did() -> None:
    """What is counted where a window says so is whole only from when on that window was."""
    life = Life()
    life.engine.starts_at(microseconds(START))
    life.rotate()
    life.pay(pay(1, 1), pay(2, 80), pay(3, 85))  # the sum over three days is whole; a day of what it lets count is not
    life.write()
    assert life.engine.state.warming
    assert restored(life.records).finished().dump() == life.engine.dump()


def test_a_rotation_that_did_not_become_whole_changes_nothing_whoever_wrote_it() -> None:
    life = Life()
    life.pay(*(pay(number, number) for number in range(20)))
    life.rotate()
    life.pay(pay(20, 20))
    life.write()
    other = Engine(PROGRAM)
    other.assess([pay(number, number / 2, "9.00") for number in range(30)])
    other.absorb()
    records = Journal(other, life.position, len(life.records)).rotate()[:-1]
    assert len(records) > 5
    assert restored(life.records + records).finished().dump() == life.engine.dump()


def test_before_its_rotation_is_whole_there_is_no_state() -> None:
    life = Life()
    life.pay(*(pay(number, number) for number in range(20)))
    life.rotate()
    for upto in (1, len(life.records) - 1):
        with pytest.raises(StateError, match="end before the state is whole"):
            restored(life.records[:upto]).finished()
    with pytest.raises(StateError, match="no begin"):
        restored(life.records[1:])


def test_effects_without_their_position_count_nothing() -> None:
    life = Life()
    life.rotate()
    life.pay(pay(1))
    before = life.engine.dump()
    life.write()
    assert [record.kind for record in life.records][-1] == POSITION
    assert restored(life.records[:-1]).finished().dump() != before
    assert restored(life.records[:-1]).position == 0
    assert restored(life.records).finished().dump() == before


@pytest.mark.parametrize("harm", ["missing", "turned round", "changed", "cut short", "of another"])
def test_what_is_torn_missing_or_out_of_place_is_noticed(harm: str) -> None:
    life = Life()
    life.pay(*(pay(number, number) for number in range(20)))
    life.rotate()
    life.pay(pay(50, 30))
    life.write()
    records = [record.data for record in life.records]
    at = len(records) // 2
    match harm:
        case "missing":
            del records[at]
        case "turned round":
            records[at : at + 2] = records[at + 1], records[at]
        case "changed":
            records[at] = records[at][:-1] + bytes([records[at][-1] ^ 1])
        case "cut short":
            records[at] = records[at][:-1]
        case "of another":
            other = Life()
            other.pay(*(pay(number, number, "101.00") for number in range(20)))
            other.rotate()
            records[at] = other.records[at].data
    restoring = Restoring(PROGRAM)
    for record in records[:at]:
        restoring.take(record)
    with pytest.raises(StateError, match=r"missing|not what was written|not a record"):
        take_all(restoring, records[at : at + 2])


@pytest.mark.parametrize(
    "data", [b"", b"x", b"x" * 24, b"x" * 30, b"\0" * 24 + msgspec.msgpack.encode([]), b"\0" * 24 + b"\x05"]
)
def test_bytes_that_are_no_record_are_refused(data: bytes) -> None:
    with pytest.raises(StateError):
        Restoring(PROGRAM).take(data)
    with pytest.raises(StateError):
        kind_of(data)


def test_a_journal_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life()
    life.rotate()
    monkeypatch.setattr(journal, "VERSION", 99)
    with pytest.raises(StateError, match="journal of version 8; this engine reads version 99"):
        restored(life.records)


def test_a_state_that_forgot_ids_too_early_is_refused() -> None:
    life = Life()
    life.rotate()
    with pytest.raises(StateError, match="shorter max_lateness"):
        restored(life.records, Program(PROGRAM.ruleset, max_lateness=timedelta(hours=7)))


@pytest.mark.parametrize("whole_before", [True, False])
def test_a_change_of_rules_is_lived_through_again(whole_before: bool) -> None:
    life = Life()
    life.pay(*(pay(number, number, f"{number * 50}.00", payee_account=f"622{number % 3}") for number in range(20)))
    if whole_before:
        life.rotate()
    life.switch(OTHER)
    life.pay(*(pay(number, number, f"{number * 50}.00", payee_account=f"622{number % 3}") for number in range(20, 26)))
    life.write()
    if not whole_before:
        life.rotate()
    life.pay(pay(30, 30))
    life.write()
    assert restored(life.records, OTHER).finished().dump() == life.engine.dump()


def test_read_with_other_rules_it_is_what_they_would_have_taken_over() -> None:
    life = Life()
    life.pay(*(pay(number, number, f"{number * 50}.00", payee_account=f"622{number % 3}") for number in range(20)))
    life.rotate()
    assert restored(life.records, OTHER).finished().dump() == Engine.load(OTHER, life.engine.dump()).dump()


@pytest.mark.parametrize("written", ["in the first", "in the second", "in the third"])
def test_rules_that_came_back_have_lost_what_the_others_did_not_keep(written: str) -> None:
    life = Life()

    def pay_some(start: int, count: int, **fields: Any) -> None:
        for number in range(start, start + count):
            life.pay(pay(number, number / 3, f"{number % 9 * 70}.00", payee_account=f"622{number % 3}", **fields))
            life.write()

    pay_some(0, 20)
    if written == "in the first":
        life.rotate()
    pay_some(20, 3)
    life.switch(OTHER)
    if written == "in the second":
        life.rotate()
    pay_some(23, 4)
    pay_some(100, 4, jurisdiction="420300")
    life.switch(PROGRAM)
    if written == "in the third":
        life.rotate()
    pay_some(27, 9)
    for number in (8, 17, 26, 35):
        life.engine.dispose("420100", f"I{number}", f"D{number}", "release")
    life.write()
    assert restored(life.records).finished().dump() == life.engine.dump()


@pytest.mark.parametrize("done", [0, 1, 2])
@pytest.mark.parametrize("whole_again", [True, False])
def test_who_was_stopped_between_two_changes_of_rules_goes_through_both_again(done: int, whole_again: bool) -> None:
    changes = [OTHER, PROGRAM]
    life, undisturbed = Life(), Life()
    for each in (life, undisturbed):
        each.pay(*(pay(number, number, f"{number * 50}.00", payee_account=f"622{number % 3}") for number in range(20)))
        for scope in each.engine.state.scopes.values():
            assert scope.model is not None
            scope.model.core.calibration.level *= 0.7123  # one that 3 and ⅓ do not bring back to the bit
        each.rotate()
    for program in changes:
        undisturbed.switch(program)
    for program in changes[:done]:
        life.switch(program)
    if whole_again:
        life.rotate()
    found = restored(life.records, PROGRAM).finished()  # by the rules of before the changes
    for program in (PROGRAM, *changes):
        if program is not found.program:
            found.switch(program)
    assert found.dump() == undisturbed.engine.dump()


def test_rules_that_come_now_find_what_they_would_have_found_at_that_position() -> None:
    """Also of a scope that came, and with watermarks that went on, after the rotation was whole."""
    life = Life()
    life.pay(*(pay(number, number, f"{number * 50}.00") for number in range(20)))
    life.rotate()
    life.pay(pay(50, 40), pay(51, 41, jurisdiction="420300"), pay(52, 42, "600.00", jurisdiction="420300"))
    life.write()
    found = restored(life.records, OTHER).finished()
    life.engine.switch(OTHER)
    assert found.dump() == life.engine.dump()


def test_more_series_than_a_number_has_bits() -> None:
    life = Life(WIDE)
    life.pay(*(pay(number, number, f"{number * 4}.00") for number in range(20)))
    life.rotate()
    life.pay(pay(20, 20, "600.00"))
    life.engine.dispose("420100", "I20", "D", "release")
    life.write()
    assert restored(life.records, WIDE).finished().dump() == life.engine.dump()


@pytest.mark.no_cover
def test_no_record_is_larger_than_a_message_may_be() -> None:
    life = Life()
    long = "长" * 20_000
    life.pay(*(pay(number, 1, payee_account=f"{long}{number % 50}") for number in range(100)))
    sums = Life(Program(make_ruleset(make_rule("S", leaf(SUM, "gt", 10**15)))))
    sums.pay(*(pay(number, number / 10_000) for number in range(40_000)))
    for each in (life, sums):
        each.rotate()
        assert max(len(record.data) for record in each.records) < 1_000_000
        assert restored(each.records, each.engine.program).finished().dump() == each.engine.dump()
