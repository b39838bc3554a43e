"""One installation for a test: topics of its own on a broker, workers as processes, and what is on the topics."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.builders import make_instruction
from treasury_watch.adapters.embedded import free_port
from treasury_watch.adapters.kafka.publish import Message, payments_producer, send_payments
from treasury_watch.adapters.kafka.topics import create_topics, partitions_of
from treasury_watch.adapters.settings import PREFIX, Settings, load_settings
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.payment import Instruction

PACK = Path(__file__).parent / "pack"
JURISDICTIONS = [f"42{number:04d}" for number in range(100, 140)]  # over all four partitions
START_SECONDS = 40.0
STOP_SECONDS = 15.0


@dataclass
class Worker:
    """A worker process. Its log is in `log`."""

    process: subprocess.Popen[bytes]
    web: str
    log: Path

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page of its web server; status 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.web}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics: name with labels → value."""
        lines = (line for line in self.get("/metrics")[1].splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    async def ready(self) -> Worker:
        """Waits until it has taken over its partitions."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the worker ended: {self.text()}"
            status, _ = await asyncio.to_thread(self.get, "/readyz")
            if status == 200:
                return self
            await asyncio.sleep(0.1)
        raise AssertionError(f"the worker did not become ready: {self.text()}")

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit status."""
        self.process.send_signal(with_signal)
        return self.process.wait(STOP_SECONDS)

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")


@dataclass
class Installation:
    """`topics()` first; `close()` ends the workers that a test left running."""

    settings: Settings
    folder: Path
    workers: list[Worker] = field(default_factory=list)

    @classmethod
    def on(cls, broker: str, folder: Path, name: str, **overrides: Any) -> Installation:
        settings = load_settings(
            bootstrap_servers=broker, topic_prefix=f"{name}.", group=name, rules_dir=PACK, data_dir=folder, **overrides
        )
        return cls(settings, folder)

    async def topics(self) -> None:
        await create_topics(self.settings)

    def worker(self, command: Sequence[str] = ("-m", "treasury_watch", "worker"), **overrides: Any) -> Worker:
        """Starts one; `command` is what Python is given to run."""
        settings = self.settings.model_copy(update={"web_port": free_port(), **overrides})
        own = {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.model_dump(exclude_none=True).items()}
        log = self.folder / f"worker-{len(self.workers)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *command],
                env={**os.environ, **own},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.workers.append(Worker(process, f"http://127.0.0.1:{settings.web_port}", log))
        return self.workers[-1]

    def close(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()

    async def pay(self, instructions: Iterable[Instruction]) -> None:
        """Publishes instructions as a payment system does: keyed, partitioned, acknowledged by all replicas."""
        messages: list[Message] = [(each.jurisdiction.encode(), encode_instruction(each), []) for each in instructions]
        async with payments_producer(self.settings) as producer:
            for start in range(0, len(messages), 1000):
                await send_payments(self.settings, producer, messages[start : start + 1000])

    async def send(self, partition: int, key: bytes | None, value: bytes | None) -> int:
        """Publishes one message, however wrong it is; returns its offset."""
        async with payments_producer(self.settings) as producer:
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
            sent = await producer.send_batch(batch, self.settings.topic("payments"), partition=partition)
            return int((await sent).offset)

    async def read(self, *names: str, until: int = 0) -> list[Any]:
        """All records of topics of the contract; waits until there are so many, at most 60 s."""
        tps = self._partitions(names)
        records: list[Any] = []
        async with AIOKafkaConsumer(
            bootstrap_servers=self.settings.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False
        ) as consumer:
            consumer.assign(tps)
            deadline = time.monotonic() + 60
            while True:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    records += batch
                if await _read_to_the_end(consumer, tps) and len(records) >= until:
                    return records
                assert time.monotonic() < deadline, f"{len(records)} of {until} records on {names}"

    async def lag(self) -> int:
        """How many messages of the payments topic are not committed."""
        tps = self._partitions(["payments"])
        async with AIOKafkaConsumer(
            bootstrap_servers=self.settings.bootstrap_servers, group_id=self.settings.group, enable_auto_commit=False
        ) as consumer:
            consumer.assign(tps)
            await consumer.seek_to_beginning()
            while not await _read_to_the_end(consumer, tps):
                await consumer.getmany(timeout_ms=200)
            return sum([(consumer.highwater(tp) or 0) - (await consumer.committed(tp) or 0) for tp in tps])

    async def committed(self) -> None:
        """Waits until every message of the payments topic is committed."""

        async def all_of_it() -> bool:
            return await self.lag() == 0

        await until(all_of_it)

    def _partitions(self, names: Sequence[str]) -> list[TopicPartition]:
        return [
            TopicPartition(self.settings.topic(name), number)
            for name in names
            for number in range(partitions_of(name, self.settings))
        ]


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Waits until the condition holds; fails after a minute."""
    for _ in range(600):
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it did not come to pass within a minute")


async def _read_to_the_end(consumer: AIOKafkaConsumer, tps: Sequence[TopicPartition]) -> bool:
    ends = [consumer.highwater(tp) for tp in tps]  # of the last fetch: the embedded broker's ListOffsets is wrong
    return None not in ends and [await consumer.position(tp) for tp in tps] == ends


def payments(count: int, start: int = 0, **overrides: Any) -> list[Instruction]:
    """Instructions with ids P0000000 and so on, spread over the jurisdictions, one in 100 to be held and one warned."""
    return [
        make_instruction(
            **{
                "instruction_id": f"P{number:07d}",
                "jurisdiction": JURISDICTIONS[number % len(JURISDICTIONS)],
                "amount": {1: "60000.00", 2: "30000.00"}.get(number % 100, f"{number % 9000 + 1}.00"),
                **overrides,
            }
        )
        for number in range(start, start + count)
    ]


def value_of(record: Any) -> dict[str, Any]:
    return msgspec.json.decode(record.value, type=dict[str, Any])


def headers_of(record: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}
