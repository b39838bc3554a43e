"""What the source says it lacks, with a consumer that is none."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import TopicPartition

from treasury_watch.adapters.cases import source as source_module
from treasury_watch.adapters.cases.source import KafkaSource

HELD = TopicPartition("treasury.intercepts", 0)


class Consumer:
    """Has one partition, or none."""

    def __init__(self, *assigned: TopicPartition) -> None:
        self.assigned = set(assigned)
        self.polled: int | None = None
        self.records: dict[TopicPartition, list[Any]] = {}

    def assignment(self) -> set[TopicPartition]:
        return self.assigned

    def last_poll_timestamp(self, tp: TopicPartition) -> int | None:
        return self.polled

    async def beginning_offsets(self, tps: set[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, 0)

    end_offsets = beginning_offsets

    def seek(self, tp: TopicPartition, offset: int) -> None:
        pass

    async def getmany(self, **given: Any) -> dict[TopicPartition, list[Any]]:
        return self.records


async def started(consumer: Consumer) -> KafkaSource:
    source = KafkaSource(consumer)
    await source.on_partitions_revoked(set())
    await source.on_partitions_assigned(consumer.assigned)
    await source.start({})
    return source


async def test_it_lacks_partitions_until_it_reads_them_and_while_they_are_assigned_anew() -> None:
    consumer = Consumer(HELD)
    source = KafkaSource(consumer)
    assert source.lacks() == "partitions"
    await source.on_partitions_assigned({HELD})
    assert source.lacks() == "partitions"
    await source.start({})
    assert source.lacks() is None
    await source.on_partitions_revoked({HELD})
    assert source.lacks() == "partitions"


async def test_it_lacks_brokers_when_none_has_answered_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000
    monkeypatch.setattr(source_module, "_now_ms", lambda: now)
    consumer = Consumer(HELD)
    source = await started(consumer)
    now += 10_000
    assert source.lacks() is None
    now += 1
    assert source.lacks() == "brokers"

    consumer.polled = now  # an answer without records
    assert source.lacks() is None
    now += 20_000
    assert source.lacks() == "brokers"
    consumer.records = {HELD: ["a record"]}  # of what was fetched long before
    await source.fetch()
    assert source.lacks() is None


async def test_a_sink_in_reserve_has_no_partitions_and_lacks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = await started(Consumer())
    monkeypatch.setattr(source_module, "_now_ms", lambda: 10**15)
    assert source.lacks() is None
