"""The Kafka of a stack, which scripts/kafka runs."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Final

from .machine import ROOT, Failed

_NOT_RUNNING: Final = 1


class Broker:
    """An instance of scripts/kafka in a folder of its own."""

    name = "kafka"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self) -> str:
        """Starts it unless it runs, and waits until it is ready; its address. Raises Failed."""
        return self._run("start").stdout.strip()

    def stop(self) -> None:
        """Ends it, if it runs; its data stays. Raises Failed."""
        if self._folder.exists():
            self._run("stop")

    @property
    def address(self) -> str | None:
        """Where it is, if it runs."""
        if not self._folder.exists():
            return None
        return self._run("status", _NOT_RUNNING).stdout.strip() or None

    def pid(self) -> int | None:
        """Its process id, if it runs."""
        with contextlib.suppress(OSError, ValueError):
            return int((self._folder / "pid").read_text()) if self.address else None
        return None

    def state(self) -> str:
        """`ready` or `not running`: scripts/kafka is done when it is ready."""
        return "ready" if self.address else "not running"

    def _run(self, command: str, *fine: int) -> subprocess.CompletedProcess[str]:
        script = [sys.executable, str(ROOT / "scripts" / "kafka"), command, "--dir", str(self._folder)]
        done = subprocess.run(script, capture_output=True, text=True)
        if done.returncode not in (0, *fine):
            raise Failed(done.stderr.strip().removeprefix("scripts/kafka: "), done.returncode)
        return done
