"""On Apache Kafka: who was replaced publishes nothing more, and nothing that is there is published again."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from time import monotonic

import pytest
from aiokafka import AIOKafkaProducer

from tests.builders import make_instruction
from tests.integration.installation import JURISDICTIONS, Installation, Worker, headers_of, payments, until
from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.fencing import OUTPUTS, Fenced, Identity, fence, keep_alive
from treasury_watch.adapters.kafka.publisher import Output, acknowledged, send
from treasury_watch.adapters.kafka.tails import NOTHING, read_tails
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import VERDICTS

pytestmark = pytest.mark.kafka

COUNT = 20_000  # payments: enough for some to be under way when a worker is stopped
OVERDUE_SECONDS = 30.0  # a request may take 40, and may have been under way before the worker was stopped
NONE = {"decisions": NOTHING, "intercepts": NOTHING, "warnings": NOTHING, "dead-letters": NOTHING}


@pytest.fixture
async def producer(installation: Installation) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=installation.settings.bootstrap_servers, acks="all") as producer:
        yield producer


def outcome(offset: int) -> Output:
    return b"P", b"{}", [("source_partition", b"0"), ("source_offset", str(offset).encode())]


async def publish(
    installation: Installation, producer: AIOKafkaProducer, name: str, identity: Identity, *outputs: Output
) -> None:
    topic = installation.settings.topic(name)
    await acknowledged(await send(producer, topic, identity.partition, outputs or [outcome(0)], identity))


async def test_an_old_identity_is_refused_on_every_output_also_where_the_new_one_has_written_nothing(
    installation: Installation, producer: AIOKafkaProducer
) -> None:
    settings = installation.settings
    beside, old = await fence(producer, settings, 1), await fence(producer, settings, 0)
    for name in OUTPUTS:
        await publish(installation, producer, name, old)
    new = await fence(producer, settings, 0)
    assert (new.producer_id, new.epoch) == (old.producer_id, old.epoch + 1)
    for name in OUTPUTS:
        with pytest.raises(Fenced, match=r"^partition 0 was taken over by another worker"):
            await publish(installation, producer, name, old)
    with pytest.raises(Fenced):
        await keep_alive(producer, settings, old)
    for name in OUTPUTS:
        await publish(installation, producer, name, new)
    await keep_alive(producer, settings, new)
    await publish(installation, producer, "decisions", new)
    await publish(installation, producer, "decisions", beside)
    assert len(await installation.read(*OUTPUTS, until=14)) == 14


async def test_a_tail_is_found_behind_whatever_lies_there(
    installation: Installation, producer: AIOKafkaProducer
) -> None:
    settings = installation.settings
    await installation.pay([make_instruction(instruction_id=f"P{n}", jurisdiction="420100") for n in range(10)])
    assert await read_tails(settings, []) == {}
    assert await read_tails(settings, range(4)) == dict.fromkeys(range(4), NONE)

    identity = await fence(producer, settings, 3)
    await publish(installation, producer, "decisions", identity, outcome(4), outcome(7))
    await publish(installation, producer, "decisions", identity, outcome(9))
    await publish(installation, producer, "warnings", identity, outcome(7), (b"by hand", b"{}", []))
    await publish(installation, producer, "intercepts", identity, (b"by hand", b"{}", [("source_offset", b"?")]))
    for _ in range(6):
        await keep_alive(producer, settings, identity)
    expected = {**NONE, "decisions": 9, "warnings": 7}
    assert await read_tails(settings, [2, 3]) == {2: NONE, 3: expected}

    await publish(installation, producer, "dead-letters", identity, outcome(10))
    with pytest.raises(
        BrokerError, match=r"dead-letters\[3\] ends with the outcome of offset 10, but .*payments\[3\] "
    ):
        await read_tails(settings, [2, 3])


async def test_what_a_predecessor_published_and_did_not_commit_is_not_published_again(
    installation: Installation, producer: AIOKafkaProducer
) -> None:
    amounts = ["30000.00", "60000.00", "1.00", "30000.00"]  # warn, intercept, pass, warn
    await installation.pay(
        [
            make_instruction(instruction_id=f"P{number}", jurisdiction="420100", amount=amount)
            for number, amount in enumerate(amounts)
        ]
    )
    identity = await fence(producer, installation.settings, 3)
    await publish(installation, producer, "decisions", identity, outcome(0), outcome(1), outcome(2))
    await publish(installation, producer, "warnings", identity, outcome(0))

    worker = await installation.worker().ready()
    assert await offsets(installation, "decisions", 4) == [0, 1, 2, 3]
    assert await offsets(installation, "warnings", 2) == [0, 3]
    assert await offsets(installation, "intercepts", 1) == [1]
    await installation.committed()
    metrics = worker.metrics()
    assert metrics["treasury_watch_suppressed_outputs_total"] == 4
    verdicts = {verdict: metrics[f'treasury_watch_instructions_total{{verdict="{verdict}"}}'] for verdict in VERDICTS}
    assert verdicts == {"pass": 0, "warn": 1, "intercept": 0, "prohibit": 0}


async def test_a_worker_that_was_stopped_and_replaced_publishes_nothing_more_and_says_so(
    installation: Installation,
) -> None:
    stopped = await installation.worker().ready()
    load = asyncio.create_task(installation.pay(mixed(COUNT)))
    await judged(stopped, COUNT // 10)
    stopped.process.send_signal(signal.SIGSTOP)
    since = monotonic()
    await load
    await installation.worker().ready()
    await installation.committed()
    before = len(await installation.read("decisions"))

    slept = monotonic() - since
    stopped.process.send_signal(signal.SIGCONT)
    assert await asyncio.to_thread(stopped.process.wait, 20) == 1
    said = ["was taken over by another worker, and this one is fenced: it publishes nothing more"]
    if slept > OVERDUE_SECONDS:  # then the request that was under way may say so first
        said.append("did not take what was to be published: RequestTimedOutError")
    assert any(each in stopped.text() for each in said)
    assert "Traceback" not in stopped.text()
    assert len(await installation.read("decisions")) == before
    await everything_is_there_once(installation)


async def test_after_a_kill_nothing_is_missing_and_nothing_is_there_twice(installation: Installation) -> None:
    worker = await installation.worker().ready()
    load = asyncio.create_task(installation.pay(mixed(COUNT)))
    await judged(worker, COUNT // 10)
    assert worker.stop(signal.SIGKILL) == -signal.SIGKILL
    await load
    await installation.worker().ready()
    await installation.committed()
    await everything_is_there_once(installation)


def mixed(count: int) -> list[Instruction]:
    """Payments of which one in 100 is to be held and one warned, and one in 50 is an id again with other content."""
    instructions = payments(count)
    for number in range(49, count, 50):
        (instructions[number],) = payments(1, start=number - len(JURISDICTIONS), amount="0.01")
    return instructions


async def judged(worker: Worker, count: int) -> None:
    await until(lambda: worker.metrics()["treasury_watch_decision_latency_seconds_count"] >= count)


async def offsets(installation: Installation, name: str, count: int) -> list[int]:
    records = await installation.read(name, until=count)
    return [int(headers_of(each)["source_offset"]) for each in records]


async def everything_is_there_once(installation: Installation) -> None:
    """One decision for each payment that is accepted, one case where it is earned, one dead letter for each refusal."""
    refused = set(range(49, COUNT, 50))
    expected = {
        "decisions": {f"P{number:07d}" for number in range(COUNT) if number not in refused},
        "intercepts": {f"P{number:07d}" for number in range(1, COUNT, 100)},
        "warnings": {f"P{number:07d}" for number in range(2, COUNT, 100)},
    }
    for name, ids in expected.items():
        found = Counter(each.key.decode() for each in await installation.read(name, until=len(ids)))
        assert found == Counter(ids), name
    letters = await installation.read("dead-letters", until=len(refused))
    assert (
        len({(each.partition, headers_of(each)["source_offset"]) for each in letters}) == len(letters) == len(refused)
    )
