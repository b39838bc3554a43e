"""The worker on Apache Kafka: rebalances, restarts, crashes, refusals."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.builders import make_instruction
from tests.integration.installation import Installation, headers_of, payments, until, value_of
from treasury_watch.adapters.kafka.dead_letters import Selection, dead_letters, redrive
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.verdict import REASONS

pytestmark = pytest.mark.kafka

KEY = b"420100"
PARTITION = partitioner_of("murmur2", 4)(KEY)


def same_payment(instruction_id: str, **overrides: Any) -> Any:
    """Prohibited by rule INT-003 when there was one like it within 24 hours."""
    return make_instruction(instruction_id=instruction_id, purpose="差旅费", jurisdiction="420100", **overrides)


async def test_two_workers_and_two_rebalances_under_load_give_each_payment_exactly_one_decision(
    installation: Installation,
) -> None:
    await installation.worker().ready()
    stop, paid = asyncio.Event(), 0

    async def load() -> None:
        nonlocal paid
        while not stop.is_set():
            await installation.pay(payments(2000, start=paid))
            paid += 2000

    paying = asyncio.create_task(load())
    await installation.read("decisions", until=5_000)
    second = await installation.worker().ready()
    await until(lambda: second.metrics()["treasury_watch_decision_latency_seconds_count"] > 10_000)
    assert await asyncio.to_thread(second.stop) == 0
    stop.set()
    await paying
    decisions = await installation.read("decisions", until=paid)

    assert Counter(each.key for each in decisions).most_common(1)[0][1] == 1
    assert len(decisions) == paid
    sources = {
        (each.partition, each.offset): value_of(each)["instruction_id"] for each in await installation.read("payments")
    }
    for decision in decisions:
        headers = headers_of(decision)
        position = (int(headers["source_partition"]), int(headers["source_offset"]))
        assert position[0] == decision.partition
        assert sources[position] == decision.key.decode()
    intercepts = await installation.read("intercepts", until=paid // 100)
    assert Counter(value_of(each)["verdict"] for each in intercepts) == {"intercept": paid // 100}
    assert len(await installation.read("warnings", until=paid // 100)) == paid // 100
    assert await installation.read("dead-letters") == []
    await installation.committed()


async def test_a_window_goes_on_across_a_restart(installation: Installation) -> None:
    worker = await installation.worker().ready()
    await installation.pay([same_payment("FIRST")])
    await installation.read("decisions", until=1)
    assert worker.stop() == 0

    again = await installation.worker().ready()
    await installation.pay([same_payment("SECOND")])
    first, second = await installation.read("decisions", until=2)
    assert (value_of(first)["verdict"], value_of(second)["verdict"]) == ("pass", "prohibit")
    assert again.metrics()["treasury_watch_restored_partitions_total"] == 4
    assert again.metrics()["treasury_watch_rebuilt_instructions_total"] == 0
    assert again.metrics()["treasury_watch_decision_latency_seconds_count"] == 1


async def test_a_window_goes_on_in_another_worker(installation: Installation) -> None:
    first = await installation.worker().ready()
    await installation.pay([same_payment("FIRST")])
    await installation.read("decisions", until=1)
    await installation.worker().ready()
    assert first.stop() == 0
    await installation.pay([same_payment("SECOND")])
    assert value_of((await installation.read("decisions", until=2))[1])["verdict"] == "prohibit"


async def test_each_reason_gives_a_dead_letter_with_bytes_and_key_intact_and_blocks_nothing(
    installation: Installation,
) -> None:
    await installation.worker().ready()
    now = datetime.now(UTC)
    accepted = make_instruction(instruction_id="ACCEPTED", event_time=now, jurisdiction="420100")
    await installation.pay([accepted])

    def value(**overrides: Any) -> bytes:
        fields = {"instruction_id": "REFUSED", "event_time": now, "jurisdiction": "420100", **overrides}
        return encode_instruction(make_instruction(**fields))

    refused: dict[str, list[tuple[bytes | None, bytes | None]]] = {
        "malformed_json": [(KEY, b'{"instruction_id": "'), (KEY, None)],
        "schema": [(KEY, value().replace(b'"1234.50"', b"1234.50"))],
        "future_event_time": [(KEY, value(event_time=now + timedelta(minutes=6)))],
        "too_late": [(KEY, value(event_time=now - timedelta(days=31, seconds=1)))],
        "conflicting_duplicate": [(KEY, value(instruction_id="ACCEPTED", amount="1.00"))],
        "wrong_key": [(b"420200", value()), (None, value())],
        "too_large": [(KEY, value(purpose="用" * 349_000))],
    }
    assert set(refused) == set(REASONS)
    sent = {}
    for reason, messages in refused.items():
        for key, each in messages:
            sent[await installation.send(PARTITION, key, each)] = (reason, key, each)
    elsewhere = (PARTITION + 1) % 4
    await installation.send(elsewhere, KEY, value())
    await installation.pay([make_instruction(instruction_id="BEHIND", event_time=now, jurisdiction="420100")])

    decisions = await installation.read("decisions", until=2)
    assert [each.key for each in decisions] == [b"ACCEPTED", b"BEHIND"]
    letters = await installation.read("dead-letters", until=len(sent) + 1)
    assert len(letters) == len(sent) + 1
    here = [each for each in letters if each.partition == PARTITION]
    assert [(headers_of(each)["reason"], each.key, each.value) for each in here] == list(sent.values())
    assert [int(headers_of(each)["source_offset"]) for each in here] == list(sent)
    (misplaced,) = [each for each in letters if each.partition == elsewhere]
    assert headers_of(misplaced)["detail"] == f"the key belongs to partition {PARTITION}, found on {elsewhere}"
    assert all(headers_of(each)["failed_at"] and headers_of(each)["detail"] for each in letters)


async def test_a_redriven_message_gets_its_one_decision_however_often_it_is_redriven(
    installation: Installation,
) -> None:
    await installation.worker().ready()
    value = encode_instruction(make_instruction(instruction_id="MISKEYED", jurisdiction="420100"))
    await installation.send(PARTITION, b"misspelt", value)
    await installation.send(PARTITION, KEY, b"not JSON 6222021234567890123")
    await installation.read("dead-letters", until=2)

    listed = [each async for each in dead_letters(installation.settings)]
    assert [each.reason for each in listed] == ["wrong_key", "malformed_json"]
    assert listed[0].instruction_id == "MISKEYED"
    assert [
        each async for each in dead_letters(installation.settings, Selection(positions=[(PARTITION, listed[1].offset)]))
    ] == [listed[1]]

    done = await redrive(installation.settings, "jurisdiction", Selection(reasons=["wrong_key"]))
    assert (done.sent, done.still_refused) == (1, [])
    await installation.read("decisions", until=1)
    done = await redrive(installation.settings, "jurisdiction")
    assert (done.sent, [each[0].offset for each in done.still_refused]) == (1, [listed[1].offset])
    await installation.pay([make_instruction(instruction_id="BEHIND", jurisdiction="420100")])
    assert [each.key for each in await installation.read("decisions", until=2)] == [b"MISKEYED", b"BEHIND"]


async def test_sigterm_under_load_leaves_nothing_judged_and_uncommitted(installation: Installation) -> None:
    worker = await installation.worker().ready()
    load = asyncio.create_task(installation.pay(payments(60_000)))
    await installation.read("decisions", until=10_000)
    assert await asyncio.to_thread(worker.stop) == 0
    await load
    before = len(await installation.read("decisions"))
    assert await installation.lag() == 60_000 - before > 0

    await installation.worker().ready()
    decisions = await installation.read("decisions", until=60_000)
    assert len({each.key for each in decisions}) == len(decisions) == 60_000


async def test_a_worker_that_cannot_publish_stops_loudly_and_commits_nothing(installation: Installation) -> None:
    worker = await installation.worker().ready()
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.settings.bootstrap_servers)
    await admin.start()
    decisions = installation.settings.topic("decisions")
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, decisions, {"max.message.bytes": "200"})])
    await admin.close()
    await installation.pay([make_instruction(jurisdiction="420100")])

    status = await asyncio.to_thread(worker.process.wait, 20)
    assert status == 1
    assert f"{decisions}[{PARTITION}] did not take what was to be published" in worker.text().splitlines()[-1]
    assert "Traceback" not in worker.text()
    assert await installation.lag() == 1


async def test_a_worker_says_in_one_line_which_topics_are_missing(installation: Installation) -> None:
    worker = installation.worker(topic_prefix="elsewhere.")
    assert await asyncio.to_thread(worker.process.wait, 20) == 2
    assert "elsewhere.payments: found no such topic, expected 4 partitions" in worker.text()
    assert "Traceback" not in worker.text()


async def test_a_worker_says_in_one_line_that_its_web_port_is_taken(installation: Installation) -> None:
    first = await installation.worker().ready()
    port = int(first.web.rpartition(":")[2])
    second = installation.worker(web_port=port)
    assert await asyncio.to_thread(second.process.wait, 20) == 2
    assert f"TREASURY_WATCH_WEB_PORT: cannot listen on 127.0.0.1:{port}" in second.text()
    assert "Traceback" not in second.text()


async def test_a_payment_of_an_aborted_transaction_is_none_and_the_others_get_their_decisions(
    installation: Installation,
) -> None:
    await installation.worker().ready()
    topic = installation.settings.topic("payments")
    async with AIOKafkaProducer(
        bootstrap_servers=installation.settings.bootstrap_servers, transactional_id=topic
    ) as producer:
        for number, abort in enumerate([False, True, False]):
            await producer.begin_transaction()
            value = encode_instruction(make_instruction(instruction_id=f"T{number}", jurisdiction="420100"))
            await producer.send_and_wait(topic, value, key=KEY, partition=PARTITION)
            await (producer.abort_transaction() if abort else producer.commit_transaction())
    decisions = await installation.read("decisions", until=2)
    assert [each.key for each in decisions] == [b"T0", b"T2"]

    assert installation.workers[0].stop() == 0
    await installation.worker().ready()
    await installation.pay([make_instruction(instruction_id="BEHIND", jurisdiction="420100")])
    assert [each.key for each in await installation.read("decisions", until=3)] == [b"T0", b"T2", b"BEHIND"]


async def test_a_worker_does_not_start_when_there_are_more_partitions_than_it_knows_of(
    installation: Installation,
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.settings.bootstrap_servers)
    await admin.start()
    await admin.create_partitions({installation.settings.topic("payments"): NewPartitions(6)})
    await admin.close()
    worker = installation.worker()
    assert await asyncio.to_thread(worker.process.wait, 20) == 2
    assert "payments: found 6 partitions, expected 4 partitions" in worker.text()
