"""One partition under control inputs: on record before they count, and applied again where they counted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import pytest
from faust.types import TP

from tests.adapters.kafka.control.test_applying import Inputs, Waiting, standing
from tests.adapters.kafka.records import FakeRecord
from tests.builders import make_instruction
from tests.rulesets import aggregate, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch.adapters.kafka.admission import Admission
from treasury_watch.adapters.kafka.control.applied import NOT_YET, Seen, decode
from treasury_watch.adapters.kafka.control.applying import Again, Applying
from treasury_watch.adapters.kafka.control.inputs import Ready
from treasury_watch.adapters.kafka.driver import Batch
from treasury_watch.adapters.kafka.partition import Partition
from treasury_watch.adapters.kafka.publisher import Judged, Output, Publisher, PublishError, Sent
from treasury_watch.adapters.metrics import Metrics
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.verdict import Decision
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.ids import fingerprint_of

COUNT = ref(aggregate("count", "instruction_id", "budget_unit", window_us=86_400_000_000))
HELD = make_rule("HELD", leaf("amount", "gt", yuan("99.00")))
OLD = Program(make_ruleset(make_rule("OLD", leaf(COUNT, "gt", 2), action="record"), HELD))
NEW = Program(make_ruleset(make_rule("NEW", leaf(COUNT, "gt", 4), action="record")))


class Outbox:
    """A publisher that keeps what it is given, in order; everything is acknowledged, but for a topic that fails."""

    def __init__(self) -> None:
        self.log: list[tuple[str, int]] = []  # topic, and the offset that it is about
        self.verdicts: list[tuple[int, str]] = []
        self.last_tail = NOT_YET
        self.fails: str | None = None

    async def send(self, judged: Judged) -> list[Sent]:
        for record, outcome in zip(judged.records, judged.outcomes, strict=True):
            assert isinstance(outcome, Decision)
            self.log.append(("decisions", record.offset))
            self.verdicts.append((record.offset, outcome.hits[0].rule if outcome.hits else "pass"))
        return []

    async def send_on(self, name: str, records: Sequence[Output]) -> list[Sent]:
        if records and self.fails == name:
            raise PublishError(name)
        for _, value, _ in records:
            self.log.append((name, decode(value).first if name == "applied" else 0))
        return []

    async def send_state(self, records: Sequence[Output]) -> list[Sent]:
        self.log.append(("state", len(records)))
        return []

    def unpublished(self, judged: Judged) -> Judged:
        return judged


class Setting:
    def __init__(self, *again: Again) -> None:
        self.outbox, self.inputs, self.dispositions = Outbox(), Inputs(), Waiting()
        self.failures: list[Exception] = []
        self.done: list[int] = []
        admission = Admission("jurisdiction", lambda key: 0, 0)
        self.metrics = Metrics(OLD.ruleset)
        self.partition = Partition(
            0, Engine(OLD), admission, self.metrics, 0, self.failures.append, cast(Publisher, self.outbox)
        )
        self.partition.applying = Applying(
            0, self.inputs, self.dispositions, lambda: "now", standing(0), Seen(0, -1, -1), again
        )

    def publish_new(self) -> None:
        found = standing(1)
        self.inputs.newest, self.inputs.seen = Ready(found.rules, found, NEW), (1, -1)

    async def judge(self, start: int, count: int, **overrides: Any) -> None:
        records = [
            FakeRecord(
                encode_instruction(make_instruction(**{"instruction_id": f"P{at}", "amount": "1.00", **overrides})),
                offset=at,
            )
            for at in range(start, start + count)
        ]
        await self.partition.judge(Batch(TP("payments", 0), records, lambda tp, offset: self.done.append(offset)))
        await self.partition.idle()


@pytest.fixture
def setting() -> Setting:
    return Setting()


async def test_new_rules_are_on_record_before_the_first_verdict_by_them_and_windows_go_on(setting: Setting) -> None:
    await setting.judge(0, 3)
    setting.publish_new()
    await setting.partition.apply()
    await setting.judge(3, 2)
    assert setting.outbox.verdicts == [(0, "pass"), (1, "pass"), (2, "OLD"), (3, "pass"), (4, "NEW")]
    assert setting.outbox.log[3] == ("applied", 3)
    await setting.partition.apply()
    assert [name for name, _ in setting.outbox.log].count("applied") == 1


async def test_an_idle_partition_switches_too(setting: Setting) -> None:
    setting.publish_new()
    await setting.partition.apply()
    assert setting.outbox.log == [("applied", 0)]
    assert setting.partition.program is NEW


async def test_a_change_waits_for_the_batch_in_hand(setting: Setting) -> None:
    setting.publish_new()
    await asyncio.gather(setting.judge(0, 600), setting.partition.apply())
    assert [name for name, _ in setting.outbox.log] == ["decisions"] * 600 + ["applied"]
    assert setting.outbox.log[-1] == ("applied", 600)


async def test_what_was_published_by_a_predecessor_is_judged_without_what_came_since(setting: Setting) -> None:
    setting.outbox.last_tail = 2
    setting.publish_new()
    setting.dispositions.decide(0, "release")
    await setting.judge(0, 2)
    await setting.partition.apply()
    assert [name for name, _ in setting.outbox.log] == ["decisions"] * 2
    await setting.judge(2, 1)
    await setting.partition.apply()
    assert setting.outbox.verdicts[2] == (2, "OLD")
    assert setting.partition.program is NEW


async def test_a_record_that_is_not_taken_stops_the_partition_and_the_rules_stay(setting: Setting) -> None:
    setting.outbox.fails = "applied"
    setting.publish_new()
    await setting.partition.apply()
    assert [str(each) for each in setting.failures] == ["applied"]
    assert setting.partition.program is OLD
    await setting.judge(0, 1)
    assert setting.outbox.verdicts == []


async def test_a_dead_letter_of_a_disposition_comes_after_its_record(setting: Setting) -> None:
    """Who takes the partition over in between takes what is on record, and not what it would find itself."""
    setting.dispositions.decide(0, "release", "NOBODY")
    await setting.partition.apply()
    assert [name for name, _ in setting.outbox.log] == ["applied", "dead-letters"]
    await setting.partition.apply()
    assert len(setting.outbox.log) == 2


async def test_dead_letters_that_a_predecessor_owed_are_sent_once_and_before_anything_is_judged_again() -> None:
    setting = Setting()
    applying = setting.partition.applying
    assert applying is not None
    applying.owed = [(b"420100", b"x", [("reason", b"schema")])]
    setting.outbox.last_tail = 5
    await setting.partition.apply()
    await setting.partition.apply()
    assert setting.outbox.log == [("dead-letters", 0)]
    assert 'treasury_watch_dead_letters_total{reason="schema"} 1.0' in setting.metrics.exposition().decode()


async def test_a_dead_letter_that_is_not_taken_stops_the_partition(setting: Setting) -> None:
    setting.outbox.fails = "dead-letters"
    setting.dispositions.decide(0, "release", "NOBODY")
    await setting.partition.apply()
    assert [str(each) for each in setting.failures] == ["dead-letters"]


async def test_rules_that_were_applied_are_applied_again_in_the_middle_of_a_batch() -> None:
    setting = Setting(Again(3, NEW))
    await setting.judge(0, 6)
    assert setting.outbox.verdicts == [
        (0, "pass"), (1, "pass"), (2, "OLD"), (3, "pass"), (4, "NEW"), (5, "NEW"),
    ]  # fmt: skip
    assert "applied" not in {name for name, _ in setting.outbox.log}
    assert setting.done == [3, 6]


async def test_rules_that_were_applied_at_the_end_of_the_topic_are_applied_again_without_a_payment() -> None:
    setting = Setting(Again(3, NEW))
    await setting.judge(0, 3)
    assert setting.partition.program is OLD
    await setting.partition.apply()
    assert setting.partition.program is NEW


async def test_a_payment_that_was_released_then_counts_again_in_windows_that_are_built_again(setting: Setting) -> None:
    paid = [
        make_instruction(instruction_id=f"P{at}", amount=amount)
        for at, amount in enumerate(["100.00", "1.00", "100.00"])
    ]
    setting.dispositions.decide(0, "release", "P0", fingerprint_of(paid[0]).hex())
    message = setting.dispositions.coming.pop().message
    again = deque([Again(2, None, "420100", cast(Any, message))])
    records = [FakeRecord(encode_instruction(each), offset=at) for at, each in enumerate(paid)]
    setting.partition.rebuild(records[:2], again)
    assert len(again) == 1
    setting.partition.rebuild(records[2:], again)
    assert (len(again), setting.partition.position) == (0, 3)
    await setting.judge(3, 1)  # P0, P1 and this one: P2 is held
    assert setting.outbox.verdicts == [(3, "OLD")]
