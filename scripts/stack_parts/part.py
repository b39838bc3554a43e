"""A process of the stack, in a folder of its own: started, looked at and ended; known by its command line."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .machine import Failed, command_line

START_SECONDS: Final = 240.0  # on a machine that does much else
STOP_SECONDS: Final = 40.0  # a worker takes 25 at most


@dataclass(frozen=True)
class Part:
    """One process. Its command names its folder, so that no other process on the machine has the same.

    `account` is as whom it runs, None being ourselves; `prepare` makes what it needs in its folder, each time.
    """

    folder: Path
    address: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None
    account: str | None = None
    end_signal: signal.Signals = signal.SIGTERM

    @property
    def name(self) -> str:
        return self.folder.name

    def pid(self) -> int | None:
        """Its process id, if it runs; an old file that names another process is no proof."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.folder / "pid").read_text())
            if command_line(pid) == " ".join(self._started()["command"]).rstrip():
                return pid
        return None

    def state(self) -> str:
        """`ready`, `not ready` or `not running`."""
        if self.pid() is None:
            return "not running"
        return "ready" if self.is_ready() else "not ready"

    def launch(self) -> Callable[[], None]:
        """Starts it unless it runs as it should; what is returned waits until it is ready. Both raise Failed."""
        wanted = {"command": list(self.command), "environment": dict(self.environment)}
        if self.pid() is not None and self._started() != wanted:
            self.stop()
        self.prepare()
        if self.pid() is not None:
            return lambda: self._await_ready(lambda: self.pid() is not None)
        self.folder.mkdir(exist_ok=True)
        (self.folder / "started").write_text(json.dumps(wanted))
        process = self._run()
        return lambda: self._await_ready(lambda: process.poll() is None)

    def start(self) -> None:
        """Starts it unless it runs as it should, and waits until it is ready. Raises Failed."""
        self.launch()()

    def stop(self) -> None:
        """Ends it, if it runs, and waits for its end; one that does not end is killed."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, self.end_signal)
            deadline = time.monotonic() + STOP_SECONDS
            while self.pid() == pid:
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                    deadline = float("inf")
                time.sleep(0.1)
        (self.folder / "pid").unlink(missing_ok=True)

    def _started(self) -> Any:
        return json.loads((self.folder / "started").read_text())

    def _run(self) -> subprocess.Popen[bytes]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TREASURY_WATCH_")}
        with (self.folder / "log").open("wb") as log:
            # The process writes its own id before it becomes the program, so it is never without a pid file.
            return subprocess.Popen(
                ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self.folder / "pid"), *self.command],
                cwd=self.folder,
                env={**clean, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **as_account(self.account),
            )

    def _await_ready(self, is_alive: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if not is_alive() or time.monotonic() > deadline:
                log = self.folder / "log"
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
                raise Failed(f"{self.name} did not become ready; the end of {log}:\n{tail}")
            time.sleep(0.1)


def as_account(account: str | None) -> dict[str, Any]:
    """What subprocess needs to run as an account; None is ourselves."""
    if account is None:
        return {}
    return {"user": account, "group": pwd.getpwnam(account).pw_gid, "extra_groups": []}


def answers(url: str) -> Callable[[], bool]:
    """Whether a page is there."""

    def ask() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    return ask
