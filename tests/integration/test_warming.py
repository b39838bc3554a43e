"""A payments topic that has lost its beginning, on Apache Kafka: rules warm, and history brings them back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from tests.builders import make_instruction
from tests.integration.installation import PACK, Installation, value_of
from treasury_watch.adapters.history import feed
from treasury_watch.adapters.jsonl import Line
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.kafka.stateadmin import reset_states
from treasury_watch.adapters.rulefiles import load
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.calendar import Days

pytestmark = pytest.mark.kafka

PARTITION = partitioner_of("murmur2", 4)(b"420100")
WARMING = f'treasury_watch_warming_windows{{partition="{PARTITION}"}}'
START = datetime.now(UTC) - timedelta(hours=2)


def same_payment(instruction_id: str, hours: float = 0) -> Any:
    """Prohibited by rule INT-003 when there was one like it within 24 hours."""
    at = START + timedelta(hours=hours)
    return make_instruction(
        instruction_id=instruction_id, purpose="差旅费", jurisdiction="420100", event_time=at, amount="7.00"
    )


async def verdicts(installation: Installation, count: int) -> dict[str, str]:
    decisions = [value_of(each) for each in await installation.read("decisions", until=count)]
    assert len(decisions) == count
    return {each["instruction_id"]: each["verdict"] for each in decisions}


async def test_a_topic_without_its_beginning_warms_until_history_is_fed(installation: Installation) -> None:
    worker = await installation.worker().ready()
    assert worker.metrics()[WARMING] == 0
    await installation.pay([same_payment("GONE")])
    await verdicts(installation, 1)
    assert worker.stop() == 0
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.settings.bootstrap_servers)
    await admin.start()
    topic = TopicPartition(installation.settings.topic("payments"), PARTITION)
    await admin.delete_records({topic: RecordsToDelete(before_offset=1)})
    await admin.close()
    await reset_states(installation.settings, [PARTITION])  # the state knows it still

    worker = await installation.worker().ready()
    await installation.pay([same_payment("WARMING-1", 0.1), same_payment("WARMING-2", 0.2)])
    assert await verdicts(installation, 3) == {"GONE": "pass", "WARMING-1": "pass", "WARMING-2": "pass"}
    assert worker.metrics()[WARMING] == 1
    assert worker.stop() == 0

    history = [
        same_payment("OLD", -40),
        same_payment("GONE"),
        same_payment("WARMING-1", 0.1),
        same_payment("MISSED", 1),
    ]
    lines = [Line(number, encode_instruction(each)) for number, each in enumerate(history)]
    days, today = Days("Asia/Shanghai"), (datetime.now(UTC) + timedelta(hours=8)).date()
    feed(lines, installation.settings, load(PACK).partition_by, days, last=today + timedelta(days=1))
    worker = await installation.worker().ready()
    assert worker.metrics()[WARMING] == 0
    assert "3 payments taken from history" in worker.text()  # all but WARMING-1, which is on the topic
    await installation.pay([same_payment("FIFTH", 1.1)])
    assert (await verdicts(installation, 4))["FIFTH"] == "prohibit"

    await installation.pay([same_payment("MISSED", 1)])  # counted as history: judged, and the windows without it before
    assert (await verdicts(installation, 5))["MISSED"] == "prohibit"
    assert "1 payments that were counted as history are on the topic" in worker.text()
    assert worker.text().count("2 payments taken from history") == 1
    decision = next(value_of(each) for each in await installation.read("intercepts") if each.key == b"MISSED")
    # GONE and itself: with history the two in between would have been held, so they do not count as executed.
    assert decision["hits"][0]["evidence"]["same"] == "2"
    assert worker.stop() == 0


async def test_a_worker_says_in_one_line_that_history_is_for_other_partitions(installation: Installation) -> None:
    line = Line(1, encode_instruction(same_payment("OLD")))
    settings = installation.settings.model_copy(update={"partitions": 8})
    feed([line], settings, "jurisdiction", Days("Asia/Shanghai"))
    worker = installation.worker()
    assert worker.process.wait(30) == 2
    *_, complaint = worker.text().splitlines()
    assert complaint.startswith("error: ")
    assert "made for 8 partitions by jurisdiction (murmur2), expected 4" in complaint
