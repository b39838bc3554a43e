"""The real Prometheus and Alertmanager on a copy of their configuration: alerts arrive, and end.

In the copy every interval and every time that an alert must last is a second, and addresses are those of the test.
"""

from __future__ import annotations

import asyncio
import json
import queue
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.integration.installation import Installation
from tests.monitoring.tools import FOLDER, found
from treasury_watch.adapters.embedded import EmbeddedBrokerError, embedded_broker, free_port

LIMIT_SECONDS = 300.0  # of a machine that does much else; it takes a few seconds
RUNBOOKS = "https://site.example/runbooks"
WORKER = """\
# TYPE treasury_watch_ready gauge
treasury_watch_ready 1
# TYPE treasury_watch_lag gauge
treasury_watch_lag{{partition="{partition}"}} 0
# TYPE treasury_watch_ruleset_info gauge
treasury_watch_ruleset_info{{hash="{hash}"}} 1
"""


class Alert(NamedTuple):
    """What arrived of an alert, and on which path."""

    path: str
    name: str
    status: str
    labels: dict[str, str]
    runbook: str


class Server:
    """An HTTP server on loopback that can be stopped, and started again on its port."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._handler = handler
        self.port = 0
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def worker(text: Callable[[], str]) -> Server:
    """Something that looks like a worker to Prometheus."""

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text().encode())

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Server(Metrics)


def receiver(arrived: queue.Queue[Alert]) -> Server:
    """Takes what Alertmanager sends."""

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for alert in message["alerts"]:
                labels = alert["labels"]
                runbook = alert["annotations"]["runbook_url"]
                arrived.put(Alert(self.path, labels.pop("alertname"), alert["status"], labels, runbook))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Server(Webhook)


@contextmanager
def running(log: Path, *command: str) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield
        assert process.poll() is None, log.read_text(encoding="utf-8")
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def hurried(folder: Path, workers: list[str], alertmanager: str, webhook: str) -> None:
    """A copy of the configuration in which everything takes a second, with addresses of this test and no sink."""
    shutil.copytree(FOLDER, folder)
    for path in folder.rglob("*.yml"):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"\b(for|\w+_interval|interval|group_wait): \d+[smh]$", r"\1: 1s", text, flags=re.MULTILINE)
        text = text.replace("127.0.0.1:9095", webhook).replace("runbooks: docs/runbooks", f"runbooks: {RUNBOOKS}")
        path.write_text(text, encoding="utf-8")
    for name in ("sinks", "nodes"):
        (folder / "targets" / f"{name}.yml").write_text("", encoding="utf-8")
    (folder / "targets" / "workers.yml").write_text(json.dumps([{"targets": workers}]), encoding="utf-8")
    (folder / "targets" / "alertmanagers.yml").write_text(json.dumps([{"targets": [alertmanager]}]), encoding="utf-8")


def await_alert(arrived: queue.Queue[Alert], *expected: str) -> Alert:
    """Waits until an alert of this path, name and status arrives; others may come before it."""
    until = time.monotonic() + LIMIT_SECONDS
    others = set()
    while time.monotonic() < until:
        try:
            message = arrived.get(timeout=1)
        except queue.Empty:
            continue
        if message[:3] == expected:
            return message
        others.add(message[:3])
    pytest.fail(f"{expected} did not arrive; {others}")


@contextmanager
def watched(folder: Path, workers: list[str]) -> Iterator[queue.Queue[Alert]]:
    """Prometheus and Alertmanager look after workers; what they tell arrives."""
    prometheus, alertmanager = found("prometheus"), found("prometheus-alertmanager")
    arrived: queue.Queue[Alert] = queue.Queue()
    webhook = receiver(arrived)
    at, manager = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    config = folder / "config"
    hurried(config, workers, manager, webhook.address)
    with (
        running(
            folder / "alertmanager.log",
            alertmanager,
            f"--config.file={config / 'alertmanager.yml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={manager}",
            "--cluster.listen-address=",
        ),
        running(
            folder / "prometheus.log",
            prometheus,
            f"--config.file={config / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address={at}",
            "--rules.alert.resend-delay=1s",
        ),
    ):
        yield arrived
    webhook.stop()


@pytest.mark.slow
def test_a_worker_that_stops_and_rules_that_differ_are_told_of_until_it_is_over(tmp_path: Path) -> None:
    hashes = ["one", "one"]
    workers = [worker(lambda n=n: WORKER.format(partition=n, hash=hashes[n])) for n in range(2)]  # type: ignore[misc]
    with watched(tmp_path, [each.address for each in workers]) as arrived:
        hashes[1] = "another"
        await_alert(arrived, "/critical", "TreasuryWatchRuleSetsDiffer", "firing")
        hashes[1] = "one"
        await_alert(arrived, "/critical", "TreasuryWatchRuleSetsDiffer", "resolved")

        workers[0].stop()
        await_alert(arrived, "/warning", "TreasuryWatchWorkerDown", "firing")
        workers[0].start()
        await_alert(arrived, "/warning", "TreasuryWatchWorkerDown", "resolved")
    for server in workers:
        server.stop()


@pytest.fixture
def broker() -> Iterator[str]:
    try:
        with embedded_broker() as address:
            yield address
    except EmbeddedBrokerError as error:
        pytest.skip(str(error))


@pytest.mark.slow
async def test_when_the_only_worker_is_stopped_somebody_is_called_until_it_is_started_again(
    broker: str, tmp_path: Path
) -> None:
    installation = Installation.on(broker, tmp_path, "watched", idempotence=False, web_port=free_port())
    await installation.topics()
    same_port = {"web_port": installation.settings.web_port}
    running_worker = await installation.worker(**same_port).ready()
    with watched(tmp_path, [running_worker.web.removeprefix("http://")]) as arrived:
        assert (
            await asyncio.to_thread(await_alert, arrived, "/watchdog", "TreasuryWatchWatchdog", "firing")
        ).labels == {"severity": "none"}
        called = ("/critical", "TreasuryWatchNoWorker")
        assert running_worker.stop() == 0
        fired = await asyncio.to_thread(await_alert, arrived, *called, "firing")
        await installation.worker(**same_port).ready()
        resolved = await asyncio.to_thread(await_alert, arrived, *called, "resolved")
    installation.close()
    for alert in (fired, resolved):
        assert alert.labels == {"job": "treasury-watch", "severity": "critical"}
        assert alert.runbook == f"{RUNBOOKS}/no-worker.md"
