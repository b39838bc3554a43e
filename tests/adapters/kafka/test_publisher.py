"""What outcomes become on the output topics."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, cast

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, ProducerFenced

from tests.adapters.kafka.records import FakeRecord
from tests.builders import make_instruction
from tests.rulesets import leaf, make_rule, make_ruleset, yuan
from treasury_watch.adapters.kafka.fencing import Fenced, Identity
from treasury_watch.adapters.kafka.publisher import Judged, Output, Publisher, PublishError, acknowledged, outputs_of
from treasury_watch.adapters.kafka.tails import NOTHING, OUTCOMES, source_offset
from treasury_watch.adapters.metrics import Metrics
from treasury_watch.adapters.settings import load_settings
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Duplicate, Refusal
from treasury_watch.engine import Engine, Program

NOW = "2025-03-05T04:00:00.123Z"
RULESET = make_ruleset(
    *(
        make_rule(f"R-{action}", leaf("amount", "gte", yuan(limit)), action=action)
        for action, limit in (("warn", "10.00"), ("intercept", "20.00"), ("prohibit", "30.00"))
    )
)


def outputs(*instructions: Instruction) -> dict[str, list[Output]]:
    """Of instructions judged by three rules: from 10 yuan on warn, 20 intercept, 30 prohibit; offsets from 100 on."""
    engine = Engine(Program(RULESET, max_lateness=timedelta(days=31)))
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


class Brokers:
    """An aiokafka producer whose batches are lists of records; `sent` is what was handed over, by topic."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.sent: dict[str, list[int | None]] = {}
        self.signed: list[str] = []
        self._failure = failure

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[Any]:
        assert partition == 2
        self.sent.setdefault(topic.removeprefix("treasury."), []).extend(batch.offsets)
        self.signed += [topic.removeprefix("treasury.")] * batch.signed
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._failure:
            answer.set_exception(self._failure)
        else:
            answer.set_result(None)
        return answer


class Batch:
    def __init__(self) -> None:
        self.offsets: list[int | None] = []
        self.signed = False

    def append(self, headers: Any, **_: Any) -> bool:
        self.offsets.append(source_offset(headers))
        return True

    def record_count(self) -> int:
        return len(self.offsets)

    def _set_producer_state(self, *_: int) -> None:
        self.signed = True


class Setting:
    """A publisher with tails, and messages of offsets 100 to 104: pass, warn, a refusal, intercept, warn."""

    def __init__(self, identity: Identity | None = None, failure: Exception | None = None, **tails: int) -> None:
        self.brokers = Brokers(failure)
        self.metrics = Metrics(RULESET)
        found = {**dict.fromkeys(OUTCOMES, NOTHING), **{name.replace("_", "-"): at for name, at in tails.items()}}
        client = cast(AIOKafkaProducer, self.brokers)
        self.publisher = Publisher(load_settings(), client, self.metrics, 2, identity, found)
        payments = [payment(n, amount) for n, amount in enumerate(["5.00", "10.00", "0.00", "20.00", "10.00"])]
        engine = Engine(Program(RULESET, max_lateness=timedelta(days=31)))
        self.judged = Judged([FakeRecord(offset=100 + n) for n in range(5)], payments, engine.assess(payments))
        self.judged.outcomes[2] = Refusal("schema", "no amount")

    async def publish(self) -> dict[str, list[int | None]]:
        await acknowledged(await self.publisher.send(self.judged))
        return self.brokers.sent

    @property
    def suppressed(self) -> int:
        lines = self.metrics.exposition().decode().splitlines()
        return int(float(next(each for each in lines if each.startswith("treasury_watch_suppressed")).split()[1]))

    @property
    def unpublished(self) -> list[int]:
        return [each.offset for each in self.publisher.unpublished(self.judged).records]


async def test_what_lies_behind_all_tails_is_published_and_counted() -> None:
    setting = Setting(decisions=99, warnings=98)
    expected = {"decisions": [100, 101, 103, 104], "intercepts": [103], "warnings": [101, 104], "dead-letters": [102]}
    assert await setting.publish() == expected
    assert (setting.suppressed, setting.unpublished) == (0, [100, 101, 102, 103, 104])


async def test_of_each_topic_only_what_lies_behind_its_own_tail_is_published() -> None:
    setting = Setting(decisions=101, intercepts=103, warnings=50)
    expected = {"decisions": [103, 104], "warnings": [101, 104], "dead-letters": [102]}
    assert await setting.publish() == expected
    assert (setting.suppressed, setting.unpublished) == (3, [102, 103, 104])


async def test_what_is_there_already_is_neither_published_nor_counted() -> None:
    setting = Setting(decisions=104, intercepts=103, warnings=104, dead_letters=102)
    assert await setting.publish() == {}
    assert (setting.suppressed, setting.unpublished) == (8, [])


async def test_every_batch_is_signed_where_there_is_an_identity() -> None:
    setting = Setting(Identity(2, 7, 3))
    await setting.publish()
    assert setting.brokers.signed == ["decisions", "intercepts", "warnings", "dead-letters"]


async def test_without_an_identity_nothing_is_signed_and_nothing_is_sent_behind_what_failed() -> None:
    assert Setting().brokers.signed == []
    setting = Setting(failure=MessageSizeTooLargeError())
    with pytest.raises(PublishError, match=r"^treasury.decisions\[2\] did not take"):
        await setting.publish()
    assert list(setting.brokers.sent) == ["decisions"]


async def test_a_batch_that_is_refused_as_old_means_that_the_partition_is_another_workers_now() -> None:
    setting = Setting(Identity(2, 7, 3), failure=ProducerFenced())
    with pytest.raises(Fenced, match=r"^partition 2 was taken over"):
        await setting.publish()
