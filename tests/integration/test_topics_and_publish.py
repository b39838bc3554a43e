"""Creating topics and publishing files, on the embedded broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.installation import Installation, payments
from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.kafka.publish import publish
from treasury_watch.adapters.kafka.topics import TOPICS, Finding, check_topics, create_topics, partitions_of
from treasury_watch.adapters.settings import load_settings
from treasury_watch.adapters.wire import encode_instruction


def installation(broker: str, folder: Path, name: str, **overrides: object) -> Installation:
    return Installation.on(broker, folder, name, idempotence=False, **overrides)


async def test_topics_are_created_once(broker: str, tmp_path: Path) -> None:
    settings = installation(broker, tmp_path, "once", partitions=3).settings
    names = [f"once.{name}" for name in TOPICS]
    first, second = await create_topics(settings), await create_topics(settings)
    assert (first.created, first.existing, first.findings) == (names, [], [])
    assert (second.created, second.existing, second.findings) == ([], names, [])
    assert await check_topics(settings) == []


async def test_a_wrong_partition_count_is_found_and_missing_topics_are_created_all_the_same(
    broker: str, tmp_path: Path
) -> None:
    await create_topics(installation(broker, tmp_path, "count", partitions=3).settings)
    other = installation(broker, tmp_path, "count", partitions=4).settings
    report = await create_topics(other)
    assert report.created == []
    assert report.findings[0] == Finding("count.payments", "3 partitions", "4 partitions")
    assert str(report.findings[0]) == "count.payments: found 3 partitions, expected 4 partitions"
    of_one = {"rules", "reference"}
    assert [each.topic for each in report.findings] == [f"count.{name}" for name in TOPICS if name not in of_one]


async def test_rules_and_reference_data_have_one_partition_whatever_the_payments_have(
    broker: str, tmp_path: Path
) -> None:
    settings = installation(broker, tmp_path, "one", partitions=3).settings
    await create_topics(settings)
    names = {"payments": 3, "dispositions": 3, "applied": 3, "state": 3, "rules": 1, "reference": 1}
    assert {name: partitions_of(name, settings) for name in names} == names
    assert await check_topics(settings) == []


async def test_topics_that_are_missing_are_named(broker: str, tmp_path: Path) -> None:
    findings = await check_topics(installation(broker, tmp_path, "missing").settings)
    assert [str(each) for each in findings[:1]] == ["missing.payments: found no such topic, expected 4 partitions"]


async def test_no_broker_is_said_in_one_line() -> None:
    with pytest.raises(BrokerError, match=r"^no broker answers at 127\.0\.0\.1:1$"):
        await create_topics(load_settings(bootstrap_servers="127.0.0.1:1"))


@pytest.mark.parametrize("partitioner", ["murmur2", "crc32"])
async def test_a_file_is_published_whole_in_order_each_line_as_it_is_under_its_key(
    broker: str, tmp_path: Path, partitioner: str
) -> None:
    made = installation(broker, tmp_path, partitioner, partitioner=partitioner)
    await made.topics()
    lines = [encode_instruction(each)[:-1] + b', "new": 1}' for each in payments(2500)]
    file = tmp_path / "payments.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n\n")
    told: list[int] = []

    assert await publish(made.settings, file, "jurisdiction", progress=told.append) == 2500
    assert told == [1000, 2000, 2500]
    records = await made.read("payments", until=2500)
    assert sorted(each.value for each in records) == sorted(lines)
    partition_of = partitioner_of(made.settings.partitioner, 4)
    for number in range(4):
        here = [each for each in records if each.partition == number]
        assert [each.value for each in here] == [each for each in lines if each in {one.value for one in here}]
        assert {partition_of(each.key) for each in here} == {number}


async def test_a_rate_is_kept(broker: str, tmp_path: Path) -> None:
    import time

    made = installation(broker, tmp_path, "rate")
    await made.topics()
    file = tmp_path / "payments.jsonl"
    file.write_bytes(b"\n".join(encode_instruction(each) for each in payments(100)))
    started = time.monotonic()
    await publish(made.settings, file, "jurisdiction", rate=200)
    assert 0.4 < time.monotonic() - started < 2


async def test_an_empty_file_publishes_nothing(broker: str, tmp_path: Path) -> None:
    made = installation(broker, tmp_path, "empty")
    await made.topics()
    file = tmp_path / "payments.jsonl"
    file.touch()
    assert await publish(made.settings, file, "jurisdiction") == 0
