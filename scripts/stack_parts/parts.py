"""How each process of the stack is started, on a port of its own, and how one knows that it is ready."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGINT
from typing import Final

from . import passwords
from .machine import ROOT, Failed, postgresql_account, program
from .part import Part, answers, as_account

RETENTION: Final = "90d"  # see prometheus/prometheus.yml


def alertmanager(folder: Path, port: int) -> Part:
    """Alertmanager with prometheus/alertmanager.yml."""
    return Part(
        folder,
        f"http://127.0.0.1:{port}",
        (
            program("prometheus-alertmanager", "alertmanager"),
            f"--config.file={ROOT / 'prometheus' / 'alertmanager.yml'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ),
        answers(f"http://127.0.0.1:{port}/-/ready"),
    )


def prometheus(folder: Path, port: int, targets: Mapping[str, Sequence[str]]) -> Part:
    """Prometheus with prometheus/prometheus.yml and its rules; `targets` are `host:port` by file in targets/."""

    def prepare() -> None:
        config = folder / "config"
        (config / "targets").mkdir(parents=True, exist_ok=True)
        for name in ("prometheus.yml", "rules"):  # what they name is looked for beside where they are read from
            if not (config / name).is_symlink():
                (config / name).symlink_to(ROOT / "prometheus" / name)
        for name in {*targets, *(path.stem for path in (ROOT / "prometheus" / "targets").glob("*.yml"))}:
            given = [{"targets": list(targets[name])}] if name in targets else []
            (config / "targets" / f"{name}.yml").write_text(json.dumps(given))

    return Part(
        folder,
        f"http://127.0.0.1:{port}",
        (
            program("prometheus"),
            f"--config.file={folder / 'config' / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--web.listen-address=127.0.0.1:{port}",
        ),
        answers(f"http://127.0.0.1:{port}/-/ready"),
        prepare=prepare,
    )


def node_exporter(folder: Path, port: int) -> Part:
    """The machine's own numbers, such as how full its disks are."""
    return Part(
        folder,
        f"http://127.0.0.1:{port}",
        (program("prometheus-node-exporter", "node_exporter"), f"--web.listen-address=127.0.0.1:{port}"),
        answers(f"http://127.0.0.1:{port}/metrics"),
    )


def postgresql(folder: Path, port: int, secrets: Path) -> Part:
    """PostgreSQL on loopback with passwords; as another account where we are root, since it refuses that."""
    account = postgresql_account()
    ask = [program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-d", "postgres"]

    def prepare() -> None:
        _make_cluster(folder, account, passwords.read(secrets, "owner"))

    return Part(
        folder,
        f"127.0.0.1:{port}",
        (program("postgres"), "-D", str(folder / "data"), "-p", str(port), "-h", "127.0.0.1", "-k", ""),
        lambda: subprocess.run(ask).returncode == 0,
        environment={"LC_ALL": "C.UTF-8"},
        prepare=prepare,
        account=account,
        end_signal=SIGINT,  # at once, whoever is connected; SIGTERM would wait for them
    )


def treasury_watch(folder: Path, command: str, port: int, settings: Mapping[str, str]) -> Part:
    """`treasury-watch worker` or `sink`, with its page on a port; `settings` by name without `TREASURY_WATCH_`."""
    own = {**settings, "WEB_PORT": str(port), "DATA_DIR": str(folder / "data")}
    return Part(
        folder,
        f"http://127.0.0.1:{port}",
        # The option means nothing to Python: it tells this process from all others that run the same.
        (sys.executable, "-X", f"part={folder}", "-m", "treasury_watch", command),
        answers(f"http://127.0.0.1:{port}/readyz"),
        environment={f"TREASURY_WATCH_{name}": value for name, value in own.items()},
    )


def _make_cluster(folder: Path, account: str | None, password: str) -> None:
    """The data of a PostgreSQL; what an interrupted attempt has left is thrown away. Raises Failed."""
    whole = folder / "made"
    if whole.exists():
        return
    folder.mkdir(exist_ok=True)
    shutil.rmtree(folder / "data", ignore_errors=True)
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if account:
        for path in (folder, password_file):
            shutil.chown(path, account)
    if subprocess.run(["test", "-w", str(folder)], **as_account(account)).returncode != 0:
        raise Failed(f"PostgreSQL runs as {account}, which may not enter {folder}; name another folder with --dir", 2)
    done = subprocess.run(
        [
            *(program("initdb"), f"--username={passwords.OWNER}", f"--pwfile={password_file}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", str(folder / "data")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **as_account(account),
    )
    password_file.unlink()
    if done.returncode != 0:
        raise Failed(f"initdb could not make {folder / 'data'}:\n{done.stdout.strip()}")
    whole.touch()
