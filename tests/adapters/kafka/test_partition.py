"""One partition: in order, all or nothing, and never judged behind a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import pytest
from faust.types import TP

from tests.adapters.kafka.records import FakeRecord
from tests.builders import make_instruction
from tests.rulesets import aggregate, leaf, make_rule, make_ruleset, ref
from treasury_watch.adapters.kafka.admission import Admission, Record
from treasury_watch.adapters.kafka.driver import Batch
from treasury_watch.adapters.kafka.partition import SLICE, Partition
from treasury_watch.adapters.kafka.publisher import Judged, Publisher, PublishError, Sent
from treasury_watch.adapters.metrics import Metrics
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision
from treasury_watch.engine import Engine, Program

TWICE = ref(aggregate("count", "instruction_id", "payee_account", window_us=86_400_000_000))
RULESET = make_ruleset(make_rule("TWICE", leaf(TWICE, "gt", 1)))
PROGRAM = Program(RULESET, max_lateness=timedelta(days=31))


class Outbox:
    """A publisher that keeps what it is given; `answers` are the brokers', one per send, None for acknowledged."""

    def __init__(self) -> None:
        self.sent: list[Judged] = []
        self.answers: list[asyncio.Future[None]] = []
        self.refuse: Exception | None = None
        self.acknowledge = True

    async def send(self, judged: Judged) -> list[Sent]:
        if self.refuse:
            raise self.refuse
        self.sent.append(judged)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.acknowledge:
            answer.set_result(None)
        self.answers.append(answer)
        return [Sent("decisions", 0, answer)]

    def unpublished(self, judged: Judged) -> Judged:
        return judged

    @property
    def verdicts(self) -> list[str]:
        return [each.verdict for judged in self.sent for each in judged.outcomes if isinstance(each, Decision)]


class Setting:
    """A partition with position 0, its outbox, and what came of it."""

    def __init__(self, program: Program = PROGRAM) -> None:
        self.outbox = Outbox()
        self.failures: list[Exception] = []
        self.done: list[int] = []
        engine = Engine(program)
        admission = Admission("jurisdiction", lambda key: 0, 0)
        self.partition = Partition(
            0, engine, admission, Metrics(RULESET), 0, self.failures.append, cast(Publisher, self.outbox)
        )

    async def judge(self, records: Sequence[Record]) -> None:
        batch = Batch(TP("payments", 0), list(records), lambda tp, offset: self.done.append(offset))
        await self.partition.judge(batch)


def records(start: int, count: int = 1, **overrides: Any) -> list[FakeRecord]:
    return [
        FakeRecord(
            encode_instruction(
                make_instruction(**{"instruction_id": f"P{offset}", "payee_account": str(offset), **overrides})
            ),
            offset=offset,
        )
        for offset in range(start, start + count)
    ]


async def test_a_batch_is_done_when_it_is_acknowledged_and_not_before() -> None:
    setting = Setting()
    setting.outbox.acknowledge = False
    await setting.judge(records(0, 3))
    await asyncio.sleep(0.01)
    assert (setting.done, setting.partition.position) == ([], 0)
    for answer in setting.outbox.answers:
        answer.set_result(None)
    await setting.partition.idle()
    assert (setting.done, setting.partition.position) == ([3], 3)


async def test_a_batch_that_is_acknowledged_after_its_partition_was_let_go_is_not_done() -> None:
    setting = Setting()
    setting.outbox.acknowledge = False
    await setting.judge(records(0, 3))
    await asyncio.sleep(0.01)
    setting.partition.let_go()
    for answer in setting.outbox.answers:
        answer.set_result(None)
    await setting.partition.idle()
    await setting.judge(records(3))
    await setting.partition.idle()
    assert (setting.done, setting.failures, len(setting.outbox.sent)) == ([], [], 1)


async def test_what_was_published_is_told_when_it_is_acknowledged_and_what_was_there_already_is_not() -> None:
    setting = Setting()
    told: list[Judged] = []
    setting.partition.on_published = told.append
    setting.outbox.acknowledge = False
    setting.outbox.unpublished = lambda judged: Judged(*(each[1:] for each in judged))  # type: ignore[method-assign]
    await setting.judge(records(0, 3))
    await asyncio.sleep(0.01)
    assert told == []
    setting.outbox.answers[0].set_result(None)
    await setting.partition.idle()
    assert [record.offset for each in told for record in each.records] == [1, 2]


async def test_the_next_batch_waits_for_the_one_before() -> None:
    setting = Setting()
    setting.outbox.acknowledge = False
    await setting.judge(records(0))
    second = asyncio.create_task(setting.judge(records(1)))
    await asyncio.sleep(0.01)
    assert len(setting.outbox.sent) == 1
    setting.outbox.acknowledge = True
    setting.outbox.answers[0].set_result(None)
    await second
    await setting.partition.idle()
    assert setting.done == [1, 2]


async def test_a_long_batch_is_judged_in_slices_in_order() -> None:
    setting = Setting()
    await setting.judge(records(0, SLICE + 1))
    await setting.partition.idle()
    assert [len(each.records) for each in setting.outbox.sent] == [SLICE, 1]
    assert [record.offset for each in setting.outbox.sent for record in each.records] == list(range(SLICE + 1))
    assert setting.done == [SLICE + 1]


async def test_what_was_judged_before_is_not_judged_again_when_it_is_fetched_again() -> None:
    setting = Setting()
    await setting.judge(records(0, 3))
    await setting.judge(records(1, 4))
    await setting.judge(records(0, 2))
    await setting.partition.idle()
    assert [record.offset for each in setting.outbox.sent for record in each.records] == [0, 1, 2, 3, 4]
    assert (setting.done, setting.partition.position) == ([3, 5], 5)


async def test_a_batch_that_the_brokers_refuse_is_not_done_and_nothing_behind_it_is_judged() -> None:
    setting = Setting()
    setting.outbox.acknowledge = False
    await setting.judge(records(0))
    behind = asyncio.create_task(setting.judge(records(1)))
    await asyncio.sleep(0.01)
    setting.outbox.answers[0].set_exception(RuntimeError("disk full"))
    await behind
    await setting.partition.idle()
    assert [str(each) for each in setting.failures] == [
        "decisions[0] did not take what was to be published: RuntimeError: disk full"
    ]
    assert (setting.done, setting.partition.position, len(setting.outbox.sent)) == ([], 0, 1)


class Broken(Program):
    """A program whose rules fail on the account 1."""

    def judge(self, *span: Any) -> Any:
        whole = super().judge(*span)

        def judge(instruction: Instruction, *rest: Any) -> Any:
            return {}[instruction.payee_name] if instruction.payee_account == "1" else whole(instruction, *rest)

        return judge


async def test_a_payment_that_judging_fails_on_gets_the_safe_verdict_and_is_told_without_its_data(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setting = Setting(Broken(RULESET, on_error="prohibit"))
    await setting.judge(records(0, 3))
    await setting.partition.idle()
    assert (setting.outbox.verdicts, setting.done, setting.failures) == (["pass", "prohibit", "pass"], [3], [])
    (line,) = caplog.messages
    assert line.startswith(
        "partition 0: judging instruction 'P1' of '420100' failed with KeyError at test_partition.py:"
    )
    assert line.endswith("its verdict is prohibit; please report this")
    assert str(make_instruction().payee_name) not in line


async def test_where_judging_fails_on_every_payment_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting(Broken(RULESET))
    await setting.judge(records(0, 3, payee_account="1"))
    await setting.judge(records(3, 3, payee_account="1"))
    await setting.partition.idle()
    assert (setting.outbox.verdicts, len(caplog.messages)) == (["intercept"] * 6, 1)


async def test_a_batch_that_the_producer_does_not_take_is_a_failure_and_not_the_end_of_the_agent() -> None:
    setting = Setting()
    setting.outbox.refuse = PublishError("no such partition")
    await setting.judge(records(0))
    await setting.judge(records(1))
    await asyncio.wait_for(setting.partition.idle(), 1)
    assert setting.failures == [setting.outbox.refuse]
    assert setting.done == []


async def test_rebuilt_windows_count_and_publish_nothing() -> None:
    setting = Setting()
    setting.partition.rebuild(records(0, payee_account="A"))
    assert (setting.partition.position, setting.outbox.sent, setting.done) == (1, [], [])
    await setting.judge(records(1, payee_account="A"))
    await setting.partition.idle()
    assert setting.outbox.verdicts == ["intercept"]


async def test_without_the_first_payment_the_second_passes() -> None:
    setting = Setting()
    await setting.judge(records(1, payee_account="A"))
    await setting.partition.idle()
    assert setting.outbox.verdicts == ["pass"]
