"""The workers of a trial: processes that are started, disturbed, and started again when they stop by themselves."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from treasury_watch.adapters.embedded import free_port
from treasury_watch.adapters.settings import PREFIX, Settings

SCRIPTS = Path(__file__).resolve().parents[1]
WORKER = ("-m", "treasury_watch", "worker")
RESTART_SECONDS = 1.0  # as an operator's supervisor does
MOST_RESTARTS = 15  # in one trial; beyond that it is a crash loop
PAGE_SECONDS = 5.0


class Stuck(Exception):
    """Something did not come to pass within a generous time: one line that says what."""


@dataclass
class Worker:
    """A worker process with its log. `ended` says that a disturbance ended it, and that nobody is to start it again;
    `killed`, that one killed it, maybe while another waited for its end.
    """

    number: int
    process: asyncio.subprocess.Process
    port: int
    log: Path
    ended: bool = False
    killed: bool = False
    stopped: bool = False

    @property
    def lives(self) -> bool:
        return self.process.returncode is None

    def kill(self) -> None:
        self.ended = self.killed = True
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        self.stopped = True
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.stopped = False
        self._signal(signal.SIGCONT)

    async def terminate(self, limit: float) -> None:
        """Asks it to end as it should. Raises Stuck when it does not, or says that something failed.

        One that is stopping by itself is waited for first.
        """
        if self.says_that_it_stops:
            try:
                await asyncio.wait_for(self.process.wait(), limit)
            except TimeoutError:
                self._signal(signal.SIGABRT)  # its log says then where it hangs
                raise Stuck(f"worker {self.number} said that it stops, and did not within {limit:.0f} s") from None
            return
        self.ended = True
        self._signal(signal.SIGTERM)
        try:
            status = await asyncio.wait_for(self.process.wait(), limit)
        except TimeoutError:
            raise Stuck(f"worker {self.number} did not end within {limit:.0f} s of SIGTERM") from None
        if status not in (0, -signal.SIGTERM) and not self.killed:  # by SIGTERM itself before it was up
            raise Stuck(f"worker {self.number} ended with status {status} after SIGTERM: {_last_line(self)}")

    def fill_disk(self) -> None:
        """From now on nothing that it writes to a file fits."""
        if self.lives:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (0, 0))

    async def page(self, path: str) -> str | None:
        """The text of a page of its web server; None while nobody answers it, or with an error."""
        return await asyncio.to_thread(self._page, path)

    def _page(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PAGE_SECONDS) as answer:
                return str(answer.read().decode())
        except (OSError, urllib.error.URLError):
            return None

    async def speaks(self, limit: float) -> None:
        """Waits until its log begins, which is when it is about to join the group. Raises Stuck."""
        deadline = asyncio.get_running_loop().time() + limit
        while self.lives and not (self.log.exists() and self.log.stat().st_size):
            if asyncio.get_running_loop().time() > deadline:
                raise Stuck(f"worker {self.number} said nothing within {limit:.0f} s")
            await asyncio.sleep(0.05)

    @property
    def says_that_it_stops(self) -> bool:
        return " CRITICAL " in self.text()

    def wrongs(self) -> list[str]:
        """What its log says that must not be, whatever is disturbed: damage to the state, an error nobody expected."""
        lines = self.text().splitlines()
        told = next((line for line in lines if "state is damaged" in line or "cannot be used" in line), None)
        traced = any(line.startswith("Traceback") for line in lines) and self.process.returncode == 1
        return [
            f"worker {self.number}: {what}" for what in (told, "ended with a stack trace" if traced else None) if what
        ]

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _signal(self, number: signal.Signals) -> None:
        if self.lives:
            self.process.send_signal(number)


class Fleet:
    """The workers of one group, all started with one command. What stops by itself is started again a second later, and
    noted in `restarts`.
    """

    def __init__(self, settings: Settings, folder: Path, command: Sequence[str]) -> None:
        self.settings = settings
        self.workers: list[Worker] = []
        self.restarts: list[str] = []
        self._folder = folder
        self._command = command
        self._watching: list[asyncio.Task[None]] = []
        self._closing = False

    @property
    def living(self) -> list[Worker]:
        """The workers that run, or are stopped and may go on."""
        return [worker for worker in self.workers if worker.lives and not worker.ended]

    async def start(self, broker: str | None = None) -> Worker:
        """Starts a worker; `broker` is where it finds the broker, if not where the settings say."""
        number = len(self.workers)
        settings = self.settings.model_copy(update={"web_port": free_port()})
        if broker is not None:
            settings = settings.model_copy(update={"bootstrap_servers": broker})
        own = {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.model_dump(exclude_none=True).items()}
        log = self._folder / f"worker-{number}.log"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-X",
            "faulthandler",
            *self._command,
            cwd=SCRIPTS,
            env={name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | own,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,  # not a file, which its limits would hold for
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        worker = Worker(number, process, settings.web_port, log)
        self.workers.append(worker)
        self._watching.append(asyncio.create_task(self._watch(worker, broker)))
        return worker

    async def ready(self, limit: float, least: int = 1) -> None:
        """Waits until so many workers hold their partitions. Raises Stuck."""
        deadline = asyncio.get_running_loop().time() + limit
        while True:
            pages = await asyncio.gather(*(worker.page("/readyz") for worker in self.living if not worker.stopped))
            if sum(page is not None for page in pages) >= least:
                return
            if asyncio.get_running_loop().time() > deadline:
                raise Stuck(f"fewer than {least} workers were ready within {limit:.0f} s")
            await asyncio.sleep(0.1)

    async def close(self) -> None:
        """Ends all that are left."""
        self._closing = True
        watched = 0
        while watched < len(self._watching):  # one may be on its way while the others are ended
            watched = len(self._watching)
            for worker in self.workers:
                if worker.lives:
                    worker.go_on()
                    worker.kill()
            await asyncio.gather(*self._watching, return_exceptions=True)

    async def _watch(self, worker: Worker, broker: str | None) -> None:
        assert worker.process.stdout is not None, "it is a pipe"
        with worker.log.open("wb") as log:
            while data := await worker.process.stdout.read(65_536):
                log.write(data)
                log.flush()
        status = await worker.process.wait()
        if worker.ended or self._closing:
            return
        worker.ended = True
        self.restarts.append(f"worker {worker.number} ended with status {status}: {_last_words(worker)}")
        if len(self.restarts) > MOST_RESTARTS:
            return
        await asyncio.sleep(RESTART_SECONDS)
        if not self._closing:
            await self.start(broker)


def _last_words(worker: Worker) -> str:
    """Why a worker stopped by itself: its CRITICAL line, or what came last."""
    critical = [line for line in worker.text().splitlines() if " CRITICAL " in line]
    return critical[0].partition(" CRITICAL ")[2] if critical else _last_line(worker)


def _last_line(worker: Worker) -> str:
    lines = worker.text().strip().splitlines()
    return lines[-1] if lines else "its log is empty"
