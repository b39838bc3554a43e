"""A whole site for dashboards to look at: workers on the embedded broker, a simulated treasury, the sink with its
PostgreSQL, and the real Prometheus with the real rules, all on loopback and gone in the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from msgspec.structs import replace
from psycopg.conninfo import make_conninfo

from tests.builders import make_instruction
from tests.conftest import ROOT
from tests.integration.installation import Installation, Worker, until
from tests.monitoring.tools import found
from treasury_watch.adapters.cases.migrating import migrate
from treasury_watch.adapters.cases.workdays import calendar_of, keep
from treasury_watch.adapters.embedded import embedded_broker, free_port
from treasury_watch.adapters.kafka.control.topic import send
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.kafka.publish import payments_producer, send_payments
from treasury_watch.adapters.kafka.topics import create_topics
from treasury_watch.adapters.postgresql import postgresql
from treasury_watch.adapters.rulefiles import default_rules, load
from treasury_watch.adapters.settings import PREFIX, Settings, load_settings
from treasury_watch.adapters.simulate import simulate, write_city
from treasury_watch.adapters.simulation.workdays import next_working
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.payment import Instruction

SEED = 2096
DAYS = 4
WORKERS = 2
STOP_SECONDS = 20.0
VIEWER = "treasury_watch_viewer"
HELD_BACK = ("hours.yaml",)  # rules that would fire on all payments when the test runs at night


@dataclass
class Site:
    """Where everything is, and since when there are cases."""

    settings: Settings
    installation: Installation
    prometheus: str
    viewer: str  # the database, for those who may only look
    first_day: date
    sink: Worker

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a SELECT gives."""
        with psycopg.connect(self.viewer) as connection:
            return connection.execute(query.encode()).fetchall()

    async def seen(self) -> datetime:
        """Waits until Prometheus has reached all at once; the moment of that."""
        moments: list[float] = []

        def all_up() -> bool:
            query = urllib.parse.urlencode({"query": "count(up == 1)"})
            with urllib.request.urlopen(f"{self.prometheus}/api/v1/query?{query}", timeout=30) as answer:
                counted = json.load(answer)["data"]["result"]
            moments.extend(each["value"][0] for each in counted if each["value"][1] == str(WORKERS + 1))
            return bool(moments)

        await until(all_up)
        return datetime.fromtimestamp(moments[0], UTC)

    async def pay_the_past(self, payments: int) -> None:
        """Publishes so many payments of the days before today."""
        past = simulate(SEED, payments, DAYS, self.first_day)
        await self.installation.pay(each.instruction for each in past)

    async def pay_now(self, payments: Sequence[Instruction]) -> None:
        """Publishes payments as submitted a moment ago."""
        moment = datetime.now(UTC) - timedelta(seconds=1)
        await self.installation.pay(replace(each, event_time=moment) for each in payments)

    def todays(self, payments: int) -> Iterator[Instruction]:
        """Payments that are none of the past ones, with event times of their own."""
        return (each.instruction for each in islice(simulate(SEED + 1, payments, 1, self.first_day), payments))

    async def misbehave(self) -> None:
        """Sends what no payment system should: garbage, and a payment again, with a field that nobody knows."""
        await self.installation.send(0, b"420100", b"{")
        once = replace(make_instruction(instruction_id=str(uuid4())), event_time=datetime.now(UTC))
        again = encode_instruction(once).removesuffix(b"}") + b',"colour":"red"}'
        await self.installation.pay([once])
        async with payments_producer(self.settings) as producer:
            await send_payments(self.settings, producer, [(once.jurisdiction.encode(), again, [])])

    async def decide(self, cases: int) -> None:
        """People decide about so many cases, and say of each whether the machine was right."""
        found_cases = self.rows(
            "SELECT instruction_id, jurisdiction, decision_id, decided_at FROM cases.open_cases"
            f" ORDER BY instruction_id LIMIT {cases}"
        )
        partition_of = partitioner_of(self.settings.partitioner, self.settings.partitions)
        answers = (("release", "false_alarm"), ("confirm", "true_alarm"), ("return", "true_alarm"), ("release", None))
        for number, (instruction, jurisdiction, decision, decided_at) in enumerate(found_cases):
            answer, label = answers[number % len(answers)]
            message = {
                "schema_version": 1,
                "disposition_id": str(uuid4()),
                "instruction_id": instruction,
                "jurisdiction": jurisdiction,
                "decision_id": decision,
                "disposition": answer,
                "decided_by": "王敏",
                "decided_at": (decided_at + timedelta(minutes=7 * number % 600 + 5)).isoformat(),
                "reason": "资料齐全",
                "label": label,
            }
            key = jurisdiction.encode()
            await send(self.settings, "dispositions", key, json.dumps(message).encode(), partition_of(key))


@contextmanager
def site(folder: Path, interval: str = "1s") -> Iterator[Site]:
    """A site without payments; Prometheus scrapes at this interval. Skips the test where a program is missing."""
    program = found("prometheus")
    first_day = next_working(datetime.now(UTC).date() - timedelta(days=DAYS + 3))
    with ExitStack() as running:
        server = running.enter_context(postgresql())
        broker = running.enter_context(embedded_broker())
        rules = folder / "rules"
        shutil.copytree(default_rules(), rules, ignore=shutil.ignore_patterns(*HELD_BACK))
        write_city(rules / "tables", 20_000, DAYS, first_day)
        settings = load_settings(
            bootstrap_servers=broker,
            topic_prefix="treasury.",
            group="dashboards",
            data_dir=folder,
            rules_dir=rules,
            idempotence=False,
            database_url=server.url(server.database()),
        )
        asyncio.run(create_topics(settings))
        migrate(settings)
        calendar = calendar_of(load(rules))
        assert calendar
        keep(settings, calendar)
        installation = Installation(settings.model_copy(update={"database_url": None}), folder)
        running.callback(installation.close)
        for _ in range(WORKERS):
            asyncio.run(installation.worker().ready())
        sink = running.enter_context(_sink(settings, folder))
        at = running.enter_context(_prometheus(program, folder, interval, installation.workers, sink))
        yield Site(settings, installation, at, _viewer(settings), first_day, sink)


def _viewer(settings: Settings) -> str:
    """Where every session reads as Grafana does: views only."""
    return make_conninfo(settings.database(), options=f"-c role={VIEWER} -c default_transaction_read_only=on")


@contextmanager
def _sink(settings: Settings, folder: Path) -> Iterator[Worker]:
    secret = folder / "database-url"
    secret.write_text(settings.database())
    secret.chmod(0o600)
    port = free_port()
    own = {
        "BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "GROUP": settings.group,
        "WEB_PORT": str(port),
        "DATABASE_URL_FILE": str(secret),
    }
    log = folder / "sink.log"
    environment = {**os.environ, **{f"{PREFIX}{name}": value for name, value in own.items()}}
    with _process(log, [sys.executable, "-m", "treasury_watch", "sink"], environment) as process:
        sink = Worker(process, f"http://127.0.0.1:{port}", log)
        asyncio.run(sink.ready())
        yield sink


@contextmanager
def _prometheus(program: str, folder: Path, interval: str, workers: Sequence[Worker], sink: Worker) -> Iterator[str]:
    at = f"127.0.0.1:{free_port()}"
    jobs = {"treasury-watch": workers, "treasury-watch-sink": [sink]}
    configuration = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [str(ROOT / "prometheus" / "rules" / "*.yml")],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [{"targets": [each.web.removeprefix("http://") for each in members]}],
            }
            for job, members in jobs.items()
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(configuration), encoding="utf-8")  # JSON is YAML
    command = [
        program,
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={at}",
    ]
    with _process(folder / "prometheus.log", command, dict(os.environ)):
        asyncio.run(until(lambda: _answers(f"http://{at}/-/ready")))
        yield f"http://{at}"


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def _process(log: Path, command: Sequence[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
