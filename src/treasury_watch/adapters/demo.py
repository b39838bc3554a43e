"""The demo (演示): a whole installation on one machine for as long as one looks at it, fed with a simulated treasury.

Broker and worker are child processes, as in earnest; only the payments are made up, and the broker keeps everything in
memory. Where Prometheus is on the machine, one looks on; where PostgreSQL is, a sink writes cases to one. Nothing
outlives `Demo`'s context, however it is left.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from treasury_watch.adapters.cases.database import DatabaseError
from treasury_watch.adapters.cases.migrating import migrate
from treasury_watch.adapters.embedded import embedded_broker, ended, free_port
from treasury_watch.adapters.kafka.connection import client_options
from treasury_watch.adapters.kafka.topics import create_topics
from treasury_watch.adapters.postgresql import NotInstalled, ServerError, postgresql
from treasury_watch.adapters.prometheus import prometheus
from treasury_watch.adapters.rulefiles import default_rules
from treasury_watch.adapters.settings import PREFIX, Settings, load_settings
from treasury_watch.adapters.simulate import simulate, write_city
from treasury_watch.adapters.simulation.workdays import next_working
from treasury_watch.adapters.wire import Published, decode_decision, encode_instruction
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import VERDICTS

RATE = 300  # instructions a second
PER_DAY = 60 * RATE  # a simulated day takes about a minute
DAYS = 56  # before today: none is so long that its last day comes too soon
SEED = 2096  # its first payments to be held come early
FIRST = RATE  # payments that already wait when the worker is ready

START_SECONDS = 30.0
STOP_SECONDS = 10.0
_TICK_SECONDS = 0.02
_SHOW_SECONDS = 0.2
_ANSWER_SECONDS = 30.0
_KEPT_LATENCIES = 10_000
_KEPT_CASES = 50
_RATE_SECONDS = 5.0


class DemoError(Exception):
    """The demo cannot start or go on: one line that says why."""


class NoCases(Exception):
    """There is no database for cases: one line that says why. The demo goes on without."""


@dataclass
class Scoreboard:
    """What has been seen so far. Times are seconds since the worker's first decision."""

    seconds: float = 0.0
    published: int = 0
    verdicts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(VERDICTS, 0)))
    refused: Counter[str] = field(default_factory=Counter)  # dead letters by reason
    cases: deque[Published] = field(default_factory=lambda: deque(maxlen=_KEPT_CASES))  # held payments, newest last
    held: int = 0  # intercepted or prohibited
    simulated: datetime | None = None  # event time of the newest decision
    latencies: deque[float] = field(
        default_factory=lambda: deque(maxlen=_KEPT_LATENCIES)
    )  # produce to decision, seconds
    recent: deque[float] = field(default_factory=deque)  # when the decisions of the last seconds were read

    @property
    def decisions(self) -> int:
        return self.verdicts.total()

    @property
    def unanswered(self) -> int:
        """Payments published whose decision or dead letter has not been read."""
        return max(self.published - self.decisions - self.refused.total(), 0)

    @property
    def per_second(self) -> float:
        """Decisions a second over the last five seconds."""
        while self.recent and self.recent[0] < self.seconds - _RATE_SECONDS:
            self.recent.popleft()
        span = min(self.seconds, _RATE_SECONDS)
        return len(self.recent) / span if span else 0.0

    def latency_ms(self, quantile: float) -> float | None:
        """A quantile of the last 10,000 latencies from producing a payment to reading its decision, in milliseconds."""
        if not self.latencies:
            return None
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * quantile), len(ordered) - 1)] * 1000


class Demo:
    """Starts broker, topics and worker on entering, ends them on leaving; `run` publishes and watches."""

    def __init__(self) -> None:
        self._children = ExitStack()
        self._sent: dict[str, float] = {}  # instruction id → when it was handed to the producer
        self._deciding = asyncio.Event()
        self.board = Scoreboard()
        self.settings: Settings
        self.web = ""  # where the worker answers: /status, /metrics
        self.prometheus: str | None = None  # the address of the one that looks on
        self.cases: Path | None = None  # a file that holds the address of the database with the cases
        self.no_cases = ""  # why there is none

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            folder = Path(starting.enter_context(tempfile.TemporaryDirectory(prefix="treasury-watch-demo-")))
            rules = _rules(folder / "rules")
            broker = starting.enter_context(embedded_broker())
            port = free_port()
            self.settings = load_settings(
                bootstrap_servers=broker, group="treasury-watch-demo", topic_prefix="treasury.", partitions=4,
                replication=1, web_host="127.0.0.1", web_port=port, data_dir=folder, idempotence=False,
                partitioner="murmur2", security_protocol="PLAINTEXT", rules_dir=rules, log_format="console",
                status_page=True,
            )  # fmt: skip
            self.web = f"http://127.0.0.1:{port}"
            asyncio.run(create_topics(self.settings))
            self._log = folder / "worker.log"
            self._worker = starting.enter_context(_child("worker", self.settings, self._log))
            try:
                self.cases = starting.enter_context(cases(self.settings, folder))
            except NoCases as why:
                self.no_cases = str(why)
            self.prometheus = starting.enter_context(prometheus(f"127.0.0.1:{port}", folder / "prometheus"))
            self._children = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._children.close()

    async def run(self, seconds: float, show: Callable[[Scoreboard], None]) -> None:
        """Publishes for so many seconds, or until it is cancelled or the simulated days are over; calls `show` often.

        Raises DemoError when the worker stops.
        """
        tasks = [asyncio.create_task(self._publish(seconds)), asyncio.create_task(self._read())]
        publishing = tasks[0]
        began, last_word = time.monotonic(), 0.0  # the latter: when the last payment was published
        try:
            while not publishing.done() or self.board.unanswered:
                self._check_worker()
                show(self.board)
                await asyncio.wait(tasks, timeout=_SHOW_SECONDS, return_when=asyncio.FIRST_EXCEPTION)
                for task in tasks:
                    if task.done():
                        task.result()
                if not self._deciding.is_set() and time.monotonic() - began > START_SECONDS:
                    raise DemoError(f"the worker decided nothing for {START_SECONDS:.0f} s{self._last_words()}")
                if publishing.done():
                    last_word = last_word or time.monotonic()
                    if time.monotonic() - last_word > _ANSWER_SECONDS:
                        raise DemoError(f"{self.board.unanswered} payments got no decision{self._last_words()}")
                    await asyncio.sleep(_TICK_SECONDS)
            show(self.board)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _publish(self, seconds: float) -> None:
        board, topic = self.board, self.settings.topic("payments")
        payments = _payments(datetime.now(UTC).date())
        async with AIOKafkaProducer(**client_options(self.settings), acks="all") as producer:

            async def publish(instruction: Instruction) -> None:
                key = instruction.jurisdiction.encode()
                await producer.send(topic, value=encode_instruction(instruction), key=key)
                board.published += 1

            for instruction in islice(payments, FIRST):
                await publish(instruction)
            await self._deciding.wait()
            started = time.perf_counter()
            while board.seconds < seconds:
                board.seconds = time.perf_counter() - started
                for instruction in islice(payments, FIRST + int(board.seconds * RATE) - board.published):
                    self._sent[instruction.instruction_id] = time.perf_counter()
                    await publish(instruction)
                if board.published == PER_DAY * DAYS:
                    return
                await asyncio.sleep(_TICK_SECONDS)

    async def _read(self) -> None:
        decisions, dead_letters = self.settings.topic("decisions"), self.settings.topic("dead-letters")
        intercepts = self.settings.topic("intercepts")
        async with AIOKafkaConsumer(
            **client_options(self.settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
        ) as consumer:
            topics = (decisions, intercepts, dead_letters)
            consumer.assign(
                [TopicPartition(topic, each) for topic in topics for each in range(self.settings.partitions)]
            )
            while True:
                for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        if partition.topic == decisions:
                            self._decided(decode_decision(record.value))
                        elif partition.topic == intercepts:
                            self.board.cases.append(decode_decision(record.value))
                            self.board.held += 1
                        else:
                            self.board.refused[dict(record.headers)["reason"].decode()] += 1

    def _decided(self, decision: Published) -> None:
        board, now = self.board, time.perf_counter()
        board.verdicts[decision.verdict] += 1
        self._deciding.set()
        if board.simulated is None or decision.event_time > board.simulated:
            board.simulated = decision.event_time
        sent = self._sent.pop(decision.instruction_id, None)
        if sent is not None:  # it did not have to wait for the worker to start
            board.recent.append(board.seconds)
            board.latencies.append(now - sent)

    def _check_worker(self) -> None:
        status = self._worker.poll()
        if status is not None:
            raise DemoError(f"the worker stopped with exit status {status}{self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""


def _payments(today: date) -> Iterator[Instruction]:
    return (each.instruction for each in simulate(SEED, PER_DAY * DAYS, DAYS, _start(today)))


def _start(today: date) -> date:
    return next_working(today - timedelta(days=DAYS + 10))


def _rules(directory: Path) -> Path:
    """The default rules, with the tables of the demo's own city in place of the example's."""
    shutil.copytree(default_rules(), directory)
    write_city(directory / "tables", PER_DAY * DAYS, DAYS, _start(datetime.now(UTC).date()))
    return directory


@contextmanager
def cases(settings: Settings, folder: Path) -> Iterator[Path]:
    """A sink that writes to a PostgreSQL of its own; yields a file with the address of its database.

    Raises NoCases where there is none on the machine, it does not start, or it refuses the database.
    """
    address = folder / "cases.txt"
    own = settings.model_copy(update={"database_url_file": address, "web_port": free_port()})
    with ExitStack() as running:
        try:
            server = running.enter_context(postgresql("fsync=off"))
            address.touch(mode=0o600)
            address.write_text(server.url(server.database()), encoding="utf-8")
            migrate(own)
        except (NotInstalled, ServerError, DatabaseError, OSError) as why:
            raise NoCases(str(why)) from why
        running.enter_context(_child("sink", own, folder / "sink.log"))
        yield address


@contextmanager
def _child(command: str, settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    own = {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.model_dump(exclude_none=True).items()}
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "treasury_watch", command],
            env=others | own,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # an interrupt from the terminal is for the demo, which then ends the child
        )
    with ended(child, STOP_SECONDS):
        yield child
