"""A site in a folder: its parts, in which order they start and end, and what is done in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from . import parts, passwords
from .broker import Broker
from .machine import ROOT, Failed, free_port, is_free, program
from .part import Part

_WORKERS: Final = ("worker-1", "worker-2")
_NAMES: Final = ("alertmanager", "node-exporter", "prometheus", "postgresql", "sink", *_WORKERS)
_LOGINS: Final = ROOT / "deploy" / "logins.sql"
_DATABASE: Final = f"""
SELECT 'CREATE DATABASE {passwords.DATABASE}'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{passwords.DATABASE}') \\gexec
"""
_ENVIRONMENT: Final = """\
export TREASURY_WATCH_BOOTSTRAP_SERVERS={bootstrap}
export TREASURY_WATCH_DATABASE_URL_FILE={secrets}/grafana-url.txt
"""


class Site:
    """The parts of a site. Its addresses are kept in the folder, so that they stay as long as they are free."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._secrets = folder / "secrets"
        self._broker = Broker(folder / "kafka")
        self._file = folder / "addresses.json"  # ports by name, and Kafka's address, as last started
        self._ports: dict[str, int] = {}
        self._bootstrap = ""
        if self._file.exists():
            ports, self._bootstrap = json.loads(self._file.read_text())
            self._ports = dict.fromkeys(_NAMES, 0) | ports  # none yet of what came with a later release

    @property
    def environment_file(self) -> Path:
        """To be sourced by who uses the commands on this site."""
        return self._folder / "env"

    def up(self) -> None:
        """Starts what does not run as it should, and waits until all is ready.

        Raises Failed; then, and when it is interrupted, all has ended that did not run before.
        """
        running = {part.name for part in self.parts() if part.pid()}
        try:
            self._settle(running)
            self._start()
        except BaseException:
            for part in reversed(self.parts()):
                if part.name not in running:
                    part.stop()
            raise

    def down(self) -> None:
        """Ends all parts, what needs others before these; data, logs and passwords stay. Raises Failed."""
        for part in reversed(self.parts()):
            part.stop()

    def parts(self) -> list[Part | Broker]:
        """All parts in the order in which they start; none where nothing was ever started."""
        return [*self._watching(), self._postgresql(), self._broker, *self._ours()] if self._ports else []

    def _settle(self, running: set[str]) -> None:
        """Gives every part that does not run the port that it had, or another one if that is taken."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in _NAMES:
            if not self._ports.get(name) or (name not in running and not is_free(self._ports[name])):
                self._ports[name] = free_port(self._ports.values())
        self._remember()
        passwords.make(self._secrets, f"127.0.0.1:{self._ports['postgresql']}")

    def _remember(self) -> None:
        self._file.write_text(json.dumps([self._ports, self._bootstrap]))

    def _start(self) -> None:
        for part in [*self._watching(), self._postgresql()]:
            part.start()
        self._psql(_DATABASE, "postgres")
        self._treasury_watch("cases", "migrate", DATABASE_URL_FILE=str(self._secrets / "owner-url.txt"))
        self._psql(_LOGINS.read_text(), passwords.DATABASE)
        self._bootstrap = self._broker.start()
        self._remember()
        self._treasury_watch("topics", "create", BOOTSTRAP_SERVERS=self._bootstrap)
        for await_ready in [part.launch() for part in self._ours()]:
            await_ready()
        self.environment_file.write_text(_ENVIRONMENT.format(bootstrap=self._bootstrap, secrets=self._secrets))

    def _watching(self) -> list[Part]:
        at = {name: f"127.0.0.1:{port}" for name, port in self._ports.items()}
        targets = {
            "workers": [at[name] for name in _WORKERS],
            "sinks": [at["sink"]],
            "nodes": [at["node-exporter"]],
            "alertmanagers": [at["alertmanager"]],
        }
        return [
            parts.alertmanager(self._folder / "alertmanager", self._ports["alertmanager"]),
            parts.node_exporter(self._folder / "node-exporter", self._ports["node-exporter"]),
            parts.prometheus(self._folder / "prometheus", self._ports["prometheus"], targets),
        ]

    def _postgresql(self) -> Part:
        return parts.postgresql(self._folder / "postgresql", self._ports["postgresql"], self._secrets)

    def _ours(self) -> list[Part]:
        brokers = {"BOOTSTRAP_SERVERS": self._bootstrap}
        database = {"DATABASE_URL_FILE": str(self._secrets / "sink-url.txt")}
        return [
            parts.treasury_watch(self._folder / "sink", "sink", self._ports["sink"], brokers | database),
            *(parts.treasury_watch(self._folder / name, "worker", self._ports[name], brokers) for name in _WORKERS),
        ]

    def _psql(self, script: str, database: str) -> None:
        """What psql makes of a script, as the owner; it finds passwords in the folder SECRETS. Raises Failed."""
        login = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self._ports["postgresql"]),
            "PGUSER": passwords.OWNER,
            "PGPASSWORD": passwords.read(self._secrets, "owner"),
            "PGDATABASE": database,
            "SECRETS": str(self._secrets),
        }
        _run([program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"], login, script)

    def _treasury_watch(self, *arguments: str, **settings: str) -> None:
        """A command that ends by itself. Raises Failed."""
        own = {f"TREASURY_WATCH_{name}": value for name, value in settings.items()}
        _run([sys.executable, "-m", "treasury_watch", *arguments], own)


def _run(command: list[str], environment: dict[str, str], stdin: str = "") -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TREASURY_WATCH_", "PG"))}
    done = subprocess.run(
        command,
        env={**clean, **environment},
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout.strip()}")
