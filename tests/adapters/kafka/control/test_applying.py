"""Control inputs on their way into one partition: what is due, what is on record, what is applied again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from tests.builders import SHANGHAI, make_instruction
from tests.rulesets import leaf, make_rule, make_ruleset, yuan
from treasury_watch.adapters.kafka.control.applied import Disposed, Place, Seen, Standing, Switched, Unused
from treasury_watch.adapters.kafka.control.applying import Again, Applying
from treasury_watch.adapters.kafka.control.dispositions import Coming
from treasury_watch.adapters.kafka.control.inputs import Ready, Refused
from treasury_watch.adapters.messages import DispositionMessage
from treasury_watch.domain.verdict import Refusal
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.ids import fingerprint_of
from treasury_watch.engine.state import MOST_DISPOSITIONS

PROGRAM = Program(make_ruleset(make_rule("HELD", leaf("amount", "gte", yuan("1000.00")))))
KEY = "420100"
HELD = make_instruction(instruction_id="P1", jurisdiction=KEY)
DECISION = fingerprint_of(HELD).hex() + "-of-some-rules"


def place(topic: str, offset: int) -> Place:
    return Place(f"treasury.{topic}", 0, offset, f"sha256:{offset}")


def standing(rules: int, reference: int | None = None, ruleset: str = "") -> Standing:
    tables = None if reference is None else place("reference", reference)
    name = ruleset or f"R{rules}T{reference}"
    return Standing(place("rules", rules), rules, tables, f"R{rules}", name, f"T{reference}")


class Inputs:
    """What is on the topics, as far as it was read."""

    def __init__(self) -> None:
        self.newest: Ready | None = None
        self.refused: list[Refused] = []
        self.seen = (-1, -1)

    def publish(self, found: Standing) -> None:
        self.newest = Ready(found.rules, found, PROGRAM)
        self.seen = (found.rules.offset, found.reference.offset if found.reference else -1)

    def refuse(self, topic: str, offset: int, reason: str) -> None:
        self.refused.append(Refused(place(topic, offset), reason))
        self.seen = (offset, self.seen[1]) if topic == "rules" else (self.seen[0], offset)


class Waiting:
    def __init__(self) -> None:
        self.coming: list[Coming] = []

    def waiting(self, partition: int) -> Sequence[Coming]:
        return self.coming

    def done(self, partition: int, count: int) -> None:
        del self.coming[:count]

    def decide(self, offset: int, word: Any, instruction: str = "P1", decision: str = "") -> None:
        message = DispositionMessage(
            disposition_id=f"D{offset}", instruction_id=instruction, jurisdiction=KEY, decision_id=decision or DECISION,
            disposition=word, decided_by="王芳", decided_at=datetime(2025, 3, 6, tzinfo=SHANGHAI), reason="核实无误",
        )  # fmt: skip
        self.coming.append(Coming(place("dispositions", offset), KEY, message, KEY.encode(), b"{}"))


class Setting:
    def __init__(self) -> None:
        self.inputs, self.dispositions = Inputs(), Waiting()
        self.engine = Engine(PROGRAM)
        self.engine.assess([HELD])
        self.engine.absorb()

    def applying(self, found: Standing | None = None, seen: Seen | None = None, **rest: Any) -> Applying:
        return Applying(0, self.inputs, self.dispositions, lambda: "now", found, seen or Seen(), **rest)

    def go(self, applying: Applying, position: int = 7) -> list[tuple[str, int, int]]:
        """Does what is due; the records as kind, offset of the input, first payment."""
        due = applying.take(self.engine, position)
        applying.done(due)
        return [(type(each).__name__, each.input.offset, each.first) for each in due.records]


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_a_partition_to_which_nothing_was_applied_gets_the_newest_rules_on_record_first(setting: Setting) -> None:
    setting.inputs.publish(standing(0))
    applying = setting.applying()
    assert applying.is_due
    assert setting.go(applying, 0) == [("Switched", 0, 0)]
    assert not applying.is_due
    assert (applying.standing, applying.seen) == (standing(0), Seen(0, -1, -1))


def test_a_partition_that_has_the_newest_rules_has_nothing_to_do(setting: Setting) -> None:
    setting.inputs.publish(standing(0))
    assert not setting.applying(standing(0)).is_due


def test_a_set_that_judges_the_same_is_no_change(setting: Setting) -> None:
    setting.inputs.publish(standing(3, ruleset="R0TNone"))
    assert not setting.applying(standing(0)).is_due


def test_what_is_older_than_what_was_applied_is_never_applied(setting: Setting) -> None:
    setting.inputs.publish(standing(1, 5))
    assert not setting.applying(standing(2, 5)).is_due
    assert not setting.applying(standing(1, 6)).is_due
    assert setting.applying(standing(1, 4)).is_due


def test_a_refusal_is_on_record_once_and_what_is_in_force_stays(setting: Setting) -> None:
    setting.inputs.publish(standing(0))
    setting.inputs.refuse("rules", 1, "the author has not signed")
    applying = setting.applying(standing(0), Seen(0, -1, -1))
    due = applying.take(setting.engine, 7)
    (record,) = due.records
    assert isinstance(record, Unused)
    assert (record.reason, record.standing, due.program) == ("the author has not signed", standing(0), None)
    assert due.counts() == [("rules", "refused")]
    applying.done(due)
    assert not applying.is_due
    assert not setting.applying(standing(0), Seen(1, -1, -1)).is_due


def test_refusals_of_reference_data_are_counted_by_their_own_offsets(setting: Setting) -> None:
    setting.inputs.refuse("reference", 3, "no table")
    assert setting.applying(standing(5), Seen(5, 2, -1)).is_due
    assert not setting.applying(standing(5), Seen(5, 3, -1)).is_due


def test_dispositions_are_applied_in_order_and_each_is_on_record(setting: Setting) -> None:
    setting.dispositions.decide(4, "release")
    setting.dispositions.decide(5, "return")
    applying = setting.applying(standing(0), Seen(0, -1, 3))
    assert setting.go(applying) == [("Disposed", 4, 7), ("Disposed", 5, 7)]
    assert applying.seen.dispositions == 5
    assert setting.dispositions.coming == []
    assert setting.engine.dispose(KEY, "P1", "D5", "return") == "repeated"


def test_a_disposition_of_a_payment_that_takes_no_more_is_a_dead_letter(setting: Setting) -> None:
    for number in range(MOST_DISPOSITIONS):
        setting.engine.dispose(KEY, "P1", f"C{number}", "confirm")
    setting.dispositions.decide(4, "release")
    due = setting.applying(standing(0)).take(setting.engine, 7)
    ((_, _, headers),) = due.letters
    assert dict(headers)["reason"] == b"too_large"
    assert dict(headers)["detail"] == b"there are 1,000 dispositions of this instruction already"


def test_a_disposition_of_another_payment_with_the_same_id_is_a_dead_letter(setting: Setting) -> None:
    setting.dispositions.decide(4, "release", decision="0" * 32 + DECISION[32:])
    due = setting.applying(standing(0)).take(setting.engine, 7)
    ((_, _, headers),) = due.letters
    assert dict(headers)["reason"] == b"unknown_instruction"
    assert b"of another payment" in dict(headers)["detail"]
    assert setting.engine.dispose(KEY, "P1", "D4", "release", decision_id=DECISION) == "applied"


def test_a_disposition_of_an_unknown_instruction_is_a_dead_letter_and_on_record(setting: Setting) -> None:
    setting.dispositions.decide(4, "release", "NOBODY")
    applying = setting.applying(standing(0))
    due = applying.take(setting.engine, 7)
    ((key, value, headers),) = due.letters
    assert (key, value) == (KEY.encode(), b"{}")
    assert dict(headers)["reason"] == b"unknown_instruction"
    assert dict(headers)["source_topic"] == b"treasury.dispositions"
    assert dict(headers)["source_offset"] == b"4"
    (record,) = due.records
    assert isinstance(record, Unused)
    assert record.reason.startswith("unknown_instruction: ")


def test_a_message_that_is_no_disposition_is_a_dead_letter_with_its_reason(setting: Setting) -> None:
    refusal = Refusal("schema", "label: nonsense")
    setting.dispositions.coming.append(Coming(place("dispositions", 0), KEY, refusal, None, b"x"))
    due = setting.applying(standing(0)).take(setting.engine, 7)
    assert dict(due.letters[0][2])["reason"] == b"schema"


def test_a_disposition_that_is_on_record_is_passed_over_when_it_is_read_again(setting: Setting) -> None:
    """What waited for a partition that another worker had meanwhile, and has applied or refused it."""
    setting.dispositions.decide(4, "release", "NOBODY")
    setting.dispositions.decide(5, "release", "NOBODY")
    applying = setting.applying(standing(0), Seen(0, -1, 4))
    due = applying.take(setting.engine, 7)
    assert [each.input.offset for each in due.records] == [5]
    assert len(due.letters) == 1
    applying.done(due)
    assert setting.dispositions.coming == []


def test_of_rules_and_dispositions_that_come_together_the_rules_are_first(setting: Setting) -> None:
    """On record and in force: whether a case is known still depends on the rules."""
    setting.inputs.publish(standing(1))
    setting.inputs.refuse("rules", 2, "broken")
    setting.dispositions.decide(0, "confirm")
    applying = setting.applying(standing(0), Seen(0, -1, -1))
    assert setting.go(applying) == [("Switched", 1, 7), ("Unused", 2, 7)]
    assert applying.is_due
    assert setting.go(applying) == [("Disposed", 0, 7)]
    assert (applying.standing, applying.seen) == (standing(1), Seen(2, -1, 0))


def test_nothing_new_is_applied_before_what_was_applied_is_applied_again(setting: Setting) -> None:
    setting.inputs.publish(standing(2))
    applying = setting.applying(standing(1), again=[Again(10, PROGRAM), Again(12, PROGRAM), Again(12)])
    assert applying.next_again == 10
    assert applying.firsts_before(12) == [10]
    assert applying.firsts_before(13) == [10, 12]
    assert applying.redo(9) == []
    assert applying.redo(10) == [Again(10, PROGRAM)]
    assert not applying.is_due
    assert len(applying.redo(12)) == 2
    assert applying.is_due


def test_a_record_says_what_judges_behind_it_and_what_was_looked_at(setting: Setting) -> None:
    setting.inputs.publish(standing(0, 2))
    due = setting.applying().take(setting.engine, 0)
    assert isinstance(due.records[0], Switched)
    assert due.program is PROGRAM
    assert isinstance(due.records[0].standing.reference, Place)
    assert due.records[0].seen == Seen(0, 2, -1)
    assert [key for key, _, _ in due.outputs()] == [b"0"]
    assert not isinstance(due.records[0], Disposed)
