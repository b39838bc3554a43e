"""One installation: a broker, topics, workers and commands, as their users run them. Each ends with its context."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from treasury_watch.adapters.embedded import ended, free_port
from treasury_watch.adapters.kafka.connection import client_options
from treasury_watch.adapters.kafka.reader import reader, until_now
from treasury_watch.adapters.settings import PREFIX, Settings

START_SECONDS = 90.0
STALL_SECONDS = 60.0
STOP_SECONDS = 30.0
SCRIPTS = Path(__file__).resolve().parents[1]


class Failed(Exception):
    """A sentence for the person at the terminal, and the exit status."""

    def __init__(self, sentence: str, status: int = 1) -> None:
        super().__init__(sentence)
        self.status = status


class Message(NamedTuple):
    """What is used of a record. `moment` is the record's timestamp in seconds."""

    moment: float
    value: bytes
    headers: dict[str, str]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "treasury_watch", *map(str, arguments)]


def run(*arguments: str | Path, env: dict[str, str] | None = None) -> None:
    """Runs a command of treasury-watch. Raises Failed if it does not end with exit status 0."""
    done = subprocess.run(command(*arguments), env=env, capture_output=True, text=True)
    if done.returncode:
        raise _failed(arguments, done)


def counted(*arguments: str | Path) -> dict[str, Any]:
    """The result of a command with --json that counts its findings, for which its exit status is 1."""
    done = subprocess.run(command(*arguments, "--json"), capture_output=True, text=True)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise _failed(arguments, done) from None
    return found


def _failed(arguments: Sequence[str | Path], done: subprocess.CompletedProcess[str]) -> Failed:
    told = (done.stderr or done.stdout).strip()
    return Failed(f"treasury-watch {arguments[0]} ended with {done.returncode}: {told}")


@contextmanager
def kafka(folder: Path) -> Iterator[str]:
    """A broker with nothing on it; yields its address. It is stopped, and its data are left to be looked at."""

    def script(action: str) -> str:
        line = [sys.executable, str(SCRIPTS / "kafka"), action, "--dir", str(folder)]
        done = subprocess.run(line, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise Failed(f"no Apache Kafka: scripts/kafka {action} ended with {done.returncode}", done.returncode)
        return done.stdout.strip()

    try:
        script("reset")
        yield script("start")
    finally:
        script("stop")


@dataclass
class Worker:
    """A worker process, its log, and where its web server listens."""

    process: subprocess.Popen[bytes]
    log: Path
    web: str

    def ready(self) -> bool:
        """Whether it has taken over its partitions."""
        return self._get("readyz") is not None

    def judged(self) -> int:
        """How many instructions it has published decisions on."""
        return int(self._sum(r"treasury_watch_instructions_total\{.*\}"))

    def restored(self) -> int:
        """How many partitions it has taken over with the state that was written of them."""
        return int(self._sum("treasury_watch_restored_partitions_total"))

    def cpu_seconds(self) -> float:
        """Processor time that it has used; unlike elapsed time it does not depend on who else is at work."""
        return self._sum("process_cpu_seconds_total")

    def check(self) -> None:
        """Raises Failed if it has ended."""
        if self.process.poll() is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
            raise Failed(f"a worker ended with status {self.process.returncode}; the end of {self.log}:\n{tail}")

    def stop(self) -> int:
        """Asks it to stop by SIGTERM; returns its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed(f"a worker did not stop within {STOP_SECONDS:.0f} s; see {self.log}") from None

    def _get(self, page: str) -> str | None:
        with suppress(OSError), urllib.request.urlopen(f"{self.web}/{page}", timeout=5) as answer:
            return str(answer.read().decode())
        return None

    def _sum(self, sample: str) -> float:
        return sum(map(float, re.findall(rf"^{sample} (\S+)$", self._get("metrics") or "", re.MULTILINE)))


@dataclass
class Installation:
    """Topics on a broker, and the workers on them; `children` ends what is still running."""

    settings: Settings
    folder: Path
    children: ExitStack

    def create_topics(self) -> None:
        run("topics", "create", env=self._environment(self.settings))

    def start_worker(self, number: int) -> Worker:
        """Starts a worker; it is not ready yet."""
        settings = self.settings.model_copy(update={"web_port": free_port(), "data_dir": self.folder / "faust"})
        log = self.folder / f"{settings.group}.worker-{number}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command("worker"),
                env=self._environment(settings),
                cwd=self.folder,  # by this `end_debris` knows it
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # an interrupt from the terminal is for the script, which then ends it
            )
        self.children.enter_context(ended(process, STOP_SECONDS))
        (self.folder / f"worker-{number}.pid").write_text(str(process.pid))
        return Worker(process, log, f"http://127.0.0.1:{settings.web_port}")

    @contextmanager
    def publishing(self, file: Path, rate: int | None = None) -> Iterator[None]:
        """Publishes a file meanwhile, and waits for the end of it. Raises Failed when that fails."""
        line = command("publish", file, *(() if rate is None else ("--rate", str(rate))))
        environment = self._environment(self.settings)
        publisher = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
        with ended(publisher, STOP_SECONDS):
            yield
            if publisher.wait():
                raise Failed(f"treasury-watch publish ended with {publisher.returncode}")

    def await_judged(self, count: int, *workers: Worker) -> None:
        """Waits until so many payments are on the topic and the committed offset of every partition is its end."""
        best, changed = -1, time.monotonic()
        while True:
            for worker in workers:
                worker.check()
            offsets = self.offsets()
            committed = sum(done for done, _ in offsets)
            if committed == sum(end for _, end in offsets) == count:
                return
            if committed > best:
                best, changed = committed, time.monotonic()
            if time.monotonic() - changed > STALL_SECONDS:
                raise Failed(f"{committed} of {count} payments are judged, and no more for {STALL_SECONDS:.0f} s")
            time.sleep(0.3)

    def offsets(self) -> list[tuple[int, int]]:
        """Committed offset and end of every partition of the payments topic."""

        async def ask() -> list[tuple[int, int]]:
            options = client_options(self.settings) | {"group_id": self.settings.group, "enable_auto_commit": False}
            async with AIOKafkaConsumer(**options) as consumer:
                consumer.assign(partitions := self._partitions("payments"))
                ends = await consumer.end_offsets(partitions)
                return [(await consumer.committed(each) or 0, ends[each]) for each in partitions]

        return asyncio.run(ask())

    def first_moment(self) -> float:
        """When the first payment came onto the topic, in seconds."""

        async def ask() -> float:
            partitions = self._partitions("payments")
            async with reader(self.settings, partitions) as consumer:
                found = await consumer.offsets_for_times(dict.fromkeys(partitions, 0))
                return float(min(each.timestamp for each in found.values() if each)) / 1000

        return asyncio.run(ask())

    def read(self, topic: str) -> list[Message]:
        """Everything on a topic, partition by partition."""

        async def read() -> list[Message]:
            messages: list[Message] = []
            for each in self._partitions(topic):
                async with reader(self.settings, [each]) as consumer:
                    async for record in until_now(consumer, each):
                        headers = {name: value.decode() for name, value in record.headers}
                        messages.append(Message(record.timestamp / 1000, record.value, headers))
            return messages

        return asyncio.run(read())

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(self.settings.topic(topic), number) for number in range(self.settings.partitions)]

    @staticmethod
    def _environment(settings: Settings) -> dict[str, str]:
        own = {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.model_dump(exclude_none=True).items()}
        return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | own


def await_that(condition: Callable[[], bool], otherwise: str, *workers: Worker) -> None:
    """Waits for a condition while the workers live. Raises Failed with `otherwise` when it takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        for worker in workers:
            worker.check()
        if time.monotonic() > deadline:
            raise Failed(f"{otherwise} after {START_SECONDS:.0f} s; see {workers[-1].log}")
        time.sleep(0.1)


def end_debris(folder: Path) -> None:
    """Ends workers that a run killed by SIGKILL has left in the folder; without /proc nothing proves that they are."""
    for file in folder.glob("worker-*.pid"):
        with suppress(OSError, ValueError):
            pid = int(file.read_text())
            if Path(f"/proc/{pid}/cwd").readlink() == folder:
                os.kill(pid, signal.SIGKILL)
