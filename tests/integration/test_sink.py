"""The sink as a process, between a broker and PostgreSQL: it fills the tables, waits, goes on and stops."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from tests.adapters.cases.records import Made, case, decision, disposition, warning
from tests.integration.installation import Installation, Worker, payments, until
from treasury_watch.adapters.cases.migrating import migrate
from treasury_watch.adapters.embedded import free_port
from treasury_watch.adapters.kafka.topics import create_topics
from treasury_watch.adapters.postgresql import NotInstalled, Server, postgresql
from treasury_watch.adapters.settings import PREFIX, Settings, load_settings

pytestmark = pytest.mark.postgresql


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    try:
        with postgresql() as running:
            yield running
    except NotInstalled as why:
        pytest.skip(str(why))


async def on(bootstrap: str, server: Server, folder: Path, name: str) -> Settings:
    """Settings of an installation with topics of its own, and a database with tables."""
    settings = load_settings(
        bootstrap_servers=bootstrap,
        topic_prefix=f"{name}.",
        group=name,
        data_dir=folder,
        database_url=server.url(server.database()),
    )
    await create_topics(settings)
    await asyncio.to_thread(migrate, settings)
    return settings


def sink(settings: Settings, folder: Path) -> Worker:
    """A sink process."""
    port = free_port()
    secret = folder / "database-url"
    secret.write_text(settings.database())
    secret.chmod(0o600)
    own = {
        "BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "TOPIC_PREFIX": settings.topic_prefix,
        "GROUP": settings.group,
        "WEB_PORT": str(port),
        "DATABASE_URL_FILE": str(secret),
    }
    log = folder / "sink.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "treasury_watch", "sink"],
            env={**os.environ, **{f"{PREFIX}{name}": value for name, value in own.items()}},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Worker(process, f"http://127.0.0.1:{port}", log)


async def send(settings: Settings, *records: Made, idempotent: bool) -> None:
    """Publishes records, whose offsets the broker gives."""
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, enable_idempotence=idempotent
    ) as producer:
        for each in records:
            topic = settings.topic(each.topic.removeprefix("treasury."))
            await producer.send_and_wait(topic, each.value, key=each.key, partition=each.partition)


def statuses(settings: Settings) -> dict[str, str]:
    """The status of each case."""
    with psycopg.connect(settings.database()) as connection:
        return dict(connection.execute(b"SELECT instruction_id, status FROM cases.all_cases").fetchall())


async def fills_waits_and_goes_on(settings: Settings, server: Server, folder: Path, *, idempotent: bool) -> None:
    first = sink(settings, folder)
    try:
        await send(settings, decision(0), case(1), Made("treasury.warnings", 0, b"?"), idempotent=idempotent)
        await first.ready()
        await until(lambda: statuses(settings) == {"I-0-1": "open"})
        metrics = first.metrics()
        assert metrics['treasury_watch_sink_rows_total{table="payment_case"}'] == 1
        assert metrics['treasury_watch_sink_rows_total{table="unreadable"}'] == 1

        server.stop()
        await send(settings, warning(2, partition=3), disposition(0, "I-0-1"), idempotent=idempotent)
        await until(lambda: first.get("/readyz")[0] == 503)
        assert "treasury_watch_sink_ready 0.0" in first.get("/metrics")[1]
        assert first.metrics()["treasury_watch_sink_waiting"] == 1
        assert first.get("/healthz")[0] == 200
        server.start()
        await until(lambda: "treasury_watch_sink_ready 1.0" in first.get("/metrics")[1])
        await until(lambda: first.get("/readyz")[0] == 200 and len(statuses(settings)) == 2)
        await until(lambda: statuses(settings) == {"I-0-1": "release", "I-3-2": "open"})
        assert first.stop() == 0
        assert re.search(r"waiting for PostgreSQL: .*\n", first.text())
        assert "password" not in first.text()
    finally:
        first.process.kill()

    await send(settings, case(5, partition=1), idempotent=idempotent)
    second = sink(settings, folder)
    try:
        await until(lambda: len(statuses(settings)) == 3)
        lag = {name: value for name, value in second.metrics().items() if "sink_lag" in name}
        assert sum(lag.values()) == 0
        server.stop()
        await until(lambda: second.stop() == 0)  # also while there is no database
    finally:
        second.process.kill()
        server.start()
    with psycopg.connect(settings.database()) as connection:
        assert connection.execute(b"SELECT count(*) FROM cases.decision").fetchone() == (1,)


async def test_on_the_embedded_broker(broker: str, server: Server, tmp_path: Path) -> None:
    settings = await on(broker, server, tmp_path, "sink-embedded")
    await fills_waits_and_goes_on(settings, server, tmp_path, idempotent=False)


@pytest.mark.kafka
async def test_on_kafka(kafka: str, server: Server, tmp_path: Path) -> None:
    settings = await on(kafka, server, tmp_path, "sink-kafka")
    await fills_waits_and_goes_on(settings, server, tmp_path, idempotent=True)


@pytest.mark.kafka
async def test_what_a_worker_publishes_is_all_of_it_there(
    installation: Installation, server: Server, tmp_path: Path
) -> None:
    settings = installation.settings.model_copy(
        update={"database_url": load_settings(database_url=server.url(server.database())).database_url}
    )
    await asyncio.to_thread(migrate, settings)
    worker, writer = installation.worker(), sink(settings, tmp_path)
    try:
        await installation.pay(payments(1000))
        await worker.ready()
        await installation.read("decisions", until=1000)
        held, warned = len(await installation.read("intercepts")), len(await installation.read("warnings"))
        await until(lambda: len(statuses(settings)) == held + warned)
        assert held
        assert warned
        assert writer.stop() == 0
        assert worker.stop() == 0
    finally:
        writer.process.kill()
    with psycopg.connect(settings.database()) as connection:
        assert connection.execute(b"SELECT count(*) FROM cases.decision").fetchone() == (1000,)
        assert connection.execute(b"SELECT count(*) FROM cases.unreadable").fetchone() == (0,)


async def test_a_port_that_is_taken_is_one_line(broker: str, server: Server, tmp_path: Path) -> None:
    settings = await on(broker, server, tmp_path, "sink-port")
    first = sink(settings, tmp_path)
    try:
        await first.ready()
        port = first.web.rpartition(":")[2]
        second = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "treasury_watch", "sink"],
            env={
                **os.environ,
                f"{PREFIX}BOOTSTRAP_SERVERS": broker,
                f"{PREFIX}TOPIC_PREFIX": settings.topic_prefix,
                f"{PREFIX}GROUP": settings.group,
                f"{PREFIX}WEB_PORT": port,
                f"{PREFIX}DATABASE_URL": settings.database(),
            },
            capture_output=True,
            text=True,
        )
        assert second.returncode == 2
        assert "TREASURY_WATCH_WEB_PORT: cannot listen on" in second.stderr
        assert "Traceback" not in second.stderr
        assert first.stop() == 0
    finally:
        first.process.kill()
