"""The real Prometheus and Alertmanager on a copy of their configuration with short times: alerts arrive, and end."""

from __future__ import annotations

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

import pytest

from tests.monitoring.tools import FOLDER, found
from treasury_watch.adapters.embedded import free_port

LIMIT_SECONDS = 120.0  # of a machine that does much else; it takes a few seconds
WORKER = """\
# TYPE treasury_watch_lag gauge
treasury_watch_lag{{partition="{partition}"}} 0
# TYPE treasury_watch_ruleset_info gauge
treasury_watch_ruleset_info{{hash="{hash}"}} 1
"""


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


def receiver(arrived: queue.Queue[tuple[str, str, str]]) -> Server:
    """Takes what Alertmanager sends, as path, name and status of each alert."""

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for alert in message["alerts"]:
                arrived.put((self.path, alert["labels"]["alertname"], alert["status"]))
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
    """A copy of the configuration in which everything takes a second, with addresses of this test."""
    shutil.copytree(FOLDER, folder)
    for path in folder.rglob("*.yml"):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"\b(for|\w+_interval|interval|group_wait): \d+[smh]$", r"\1: 1s", text, flags=re.MULTILINE)
        path.write_text(text.replace("127.0.0.1:9095", webhook), encoding="utf-8")
    (folder / "targets" / "workers.yml").write_text(json.dumps([{"targets": workers}]), encoding="utf-8")
    (folder / "targets" / "alertmanagers.yml").write_text(json.dumps([{"targets": [alertmanager]}]), encoding="utf-8")


def await_alert(arrived: queue.Queue[tuple[str, str, str]], *expected: str) -> None:
    """Waits until this arrives; other alerts may come before it."""
    until = time.monotonic() + LIMIT_SECONDS
    others = []
    while time.monotonic() < until:
        try:
            message = arrived.get(timeout=1)
        except queue.Empty:
            continue
        if message == expected:
            return
        others.append(message)
    pytest.fail(f"{expected} did not arrive; {others}")


@pytest.mark.slow
def test_a_worker_that_stops_and_rules_that_differ_are_told_of_until_it_is_over(tmp_path: Path) -> None:
    prometheus, alertmanager = found("prometheus"), found("prometheus-alertmanager")
    arrived: queue.Queue[tuple[str, str, str]] = queue.Queue()
    hashes = ["one", "one"]
    workers = [worker(lambda n=n: WORKER.format(partition=n, hash=hashes[n])) for n in range(2)]  # type: ignore[misc]
    webhook = receiver(arrived)
    at, manager = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    config = tmp_path / "config"
    hurried(config, [each.address for each in workers], manager, webhook.address)
    with (
        running(
            tmp_path / "alertmanager.log",
            alertmanager,
            f"--config.file={config / 'alertmanager.yml'}",
            f"--storage.path={tmp_path / 'alertmanager'}",
            f"--web.listen-address={manager}",
            "--cluster.listen-address=",
        ),
        running(
            tmp_path / "prometheus.log",
            prometheus,
            f"--config.file={config / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'prometheus'}",
            f"--web.listen-address={at}",
            "--rules.alert.resend-delay=1s",
        ),
    ):
        hashes[1] = "another"
        await_alert(arrived, "/critical", "TreasuryWatchRuleSetsDiffer", "firing")
        hashes[1] = "one"
        await_alert(arrived, "/critical", "TreasuryWatchRuleSetsDiffer", "resolved")

        workers[0].stop()
        await_alert(arrived, "/warning", "TreasuryWatchWorkerDown", "firing")
        workers[0].start()
        await_alert(arrived, "/warning", "TreasuryWatchWorkerDown", "resolved")
    for server in (*workers, webhook):
        server.stop()
