"""What outcomes become on the output topics."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from tests.adapters.kafka.records import FakeRecord
from tests.builders import make_instruction
from tests.rulesets import leaf, make_rule, make_ruleset, yuan
from treasury_watch.adapters.kafka.publisher import Judged, Output, outputs_of
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Duplicate, Refusal
from treasury_watch.engine import Engine, Program

NOW = "2025-03-05T04:00:00.123Z"


def outputs(*instructions: Instruction) -> dict[str, list[Output]]:
    """Of instructions judged by three rules: from 10 yuan on warn, 20 intercept, 30 prohibit; offsets from 100 on."""
    rules = [
        make_rule(f"R-{action}", leaf("amount", "gte", yuan(limit)), action=action)
        for action, limit in (("warn", "10.00"), ("intercept", "20.00"), ("prohibit", "30.00"))
    ]
    engine = Engine(Program(make_ruleset(*rules), max_lateness=timedelta(days=31)))
    records = [FakeRecord(offset=100 + number) for number in range(len(instructions))]
    return outputs_of(Judged(records, instructions, engine.assess(instructions)), "treasury.payments", 2, NOW)


def payment(number: int, amount: str) -> Instruction:
    return make_instruction(instruction_id=f"P{number}", amount=amount)


def test_every_decision_goes_to_decisions_and_those_above_pass_to_their_case_topic() -> None:
    found = outputs(payment(0, "5.00"), payment(1, "10.00"), payment(2, "20.00"), payment(3, "30.00"))
    assert [key for key, _, _ in found["decisions"]] == [b"P0", b"P1", b"P2", b"P3"]
    assert [key for key, _, _ in found["warnings"]] == [b"P1"]
    assert [key for key, _, _ in found["intercepts"]] == [b"P2", b"P3"]
    assert found["dead-letters"] == []


def test_outputs_carry_where_their_message_stood() -> None:
    found = outputs(payment(0, "5.00"), payment(1, "20.00"))
    assert [headers for _, _, headers in found["decisions"]] == [
        [("source_partition", b"2"), ("source_offset", b"100")],
        [("source_partition", b"2"), ("source_offset", b"101")],
    ]
    assert found["intercepts"][0][2] == [("source_partition", b"2"), ("source_offset", b"101")]


def test_a_case_is_the_decision_with_the_instruction() -> None:
    found = outputs(payment(0, "20.00"))
    decision = msgspec.json.decode(found["decisions"][0][1] or b"")
    case = msgspec.json.decode(found["intercepts"][0][1] or b"")
    assert decision["decided_at"] == case["decided_at"] == NOW
    assert case.pop("instruction")["payee_name"] == "江汉办公用品有限公司"
    assert case == decision


def test_a_refused_message_becomes_a_dead_letter_with_its_own_key_and_bytes() -> None:
    refusal = Refusal("schema", "amount: 期望文本")
    judged = Judged([FakeRecord(value=b"\x00\xff", key=None, offset=7)], [refusal], [refusal])
    ((key, value, headers),) = outputs_of(judged, "treasury.payments", 2, NOW)["dead-letters"]
    assert (key, value) == (None, b"\x00\xff")
    assert headers == [
        ("reason", b"schema"),
        ("detail", "amount: 期望文本".encode()),
        ("source_topic", b"treasury.payments"),
        ("source_partition", b"2"),
        ("source_offset", b"7"),
        ("failed_at", NOW.encode()),
    ]


def test_a_duplicate_leaves_no_trace_on_any_topic() -> None:
    instruction = payment(0, "20.00")
    found = outputs_of(Judged([FakeRecord()], [instruction], [Duplicate("P0")]), "treasury.payments", 2, NOW)
    assert not any(found.values())
