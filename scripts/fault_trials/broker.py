"""The broker of the trials: an Apache Kafka of `scripts/kafka`, which can be killed, stopped and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "kafka"


class NoKafka(Exception):
    """There is no Apache Kafka on this machine, or it does not start: what `scripts/kafka` says."""


class Broker:
    """`start` first; `close` ends it and deletes its data."""

    def __init__(self, folder: Path) -> None:
        self.address = ""
        self._folder = folder
        self._pid = 0
        self._stopped = False

    async def start(self) -> None:
        """Starts it, or starts it again on the same address with what it had kept. Raises NoKafka."""
        address = await self._script("start")
        if self.address not in ("", address):
            raise NoKafka(f"the broker was on {self.address} and came back on {address}")
        self.address = address
        self._pid = int((self._folder / "pid").read_text())

    async def kill(self) -> None:
        """Ends it as a power cut of the process does. What it had acknowledged is in the files of the system."""
        os.kill(self._pid, signal.SIGKILL)
        await asyncio.to_thread(_await_end, self._pid)

    def pause(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)
        self._stopped = True

    def resume(self) -> None:
        os.kill(self._pid, signal.SIGCONT)
        self._stopped = False

    async def whole(self) -> None:
        """Makes it run, whatever a disturbance that was broken off has left."""
        if self._stopped:
            self.resume()
        if not _lives(self._pid):
            await self.start()

    async def close(self) -> None:
        if self._stopped:
            self.resume()
        with contextlib.suppress(NoKafka):
            await self._script("reset")

    async def _script(self, command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(SCRIPT),
            command,
            "--dir",
            str(self._folder),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        out, err = await process.communicate()
        if process.returncode:
            raise NoKafka(err.decode(errors="replace").strip())
        return out.decode().strip()


def _await_end(pid: int) -> None:
    while _lives(pid):
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
