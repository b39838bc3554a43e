"""What is started for a benchmark, and has ended when its context has, also on an interrupt: broker and processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from treasury_watch.adapters.embedded import ended, free_port
from treasury_watch.adapters.kafka.topics import create_topics
from treasury_watch.adapters.settings import PREFIX, Settings, load_settings

ROOT = Path(__file__).resolve().parents[1]
PARTITIONS = 4
_STOP_SECONDS = 15.0
_NOT_INSTALLED = 2  # exit status of scripts/kafka: no Java or no Maven


class Unavailable(Exception):
    """There is no Apache Kafka on this machine: one line that says what to install."""


class BenchmarkError(Exception):
    """Something did not do what is to be measured: one line that says what."""


@dataclass(frozen=True, slots=True)
class Process:
    """A child process with its log."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def check(self) -> None:
        """Raises BenchmarkError if it has ended."""
        status = self.popen.poll()
        if status is not None:
            raise BenchmarkError(f"the process ended with status {status}: {self.last_words()}")

    def last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "its log is empty"


@dataclass(frozen=True, slots=True)
class Broker:
    """An Apache Kafka of our own, with a folder for what is needed beside it."""

    address: str
    pid: int
    folder: Path

    async def topics(self, name: str) -> Settings:
        """Settings for topics of their own, which are created."""
        settings = load_settings(
            bootstrap_servers=self.address,
            topic_prefix=f"{name}.",
            group=name,
            partitions=PARTITIONS,
            data_dir=self.folder / name,
            web_port=free_port(),
        )
        await create_topics(settings)
        return settings

    @contextmanager
    def process(self, name: str, arguments: Sequence[str], variables: dict[str, str]) -> Iterator[Process]:
        """A Python process with only these variables of ours in its environment."""
        log = self.folder / f"{name}.log"
        others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=others | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # an interrupt is for us, and we end it
            )
        with ended(popen, _STOP_SECONDS):
            yield Process(popen, log)

    @contextmanager
    def worker(self, settings: Settings) -> Iterator[Process]:
        """Our worker."""
        given = settings.model_dump(exclude_none=True)
        variables = {f"{PREFIX}{name.upper()}": str(value) for name, value in given.items()}
        with self.process(settings.group, ["-m", "treasury_watch", "worker"], variables) as process:
            yield process


@contextmanager
def apache_kafka() -> Iterator[Broker]:
    """Runs a broker on data of its own, deleted at the end. Raises Unavailable."""
    home = ROOT / ".kafka"
    home.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="benchmarks-", dir=home))
    data = folder / "broker"
    try:
        address = _script("start", data)
        yield Broker(address, int((data / "pid").read_text()), folder)
    finally:
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave it behind
        try:
            _script("reset", data)
            shutil.rmtree(folder)
        finally:
            signal.signal(signal.SIGINT, previous)


def _script(command: str, folder: Path) -> str:
    script = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "kafka"), command, "--dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = script.communicate()
    except BaseException:
        script.send_signal(signal.SIGINT)  # it stops what it has begun to start
        script.wait()
        raise
    if script.returncode == _NOT_INSTALLED:
        raise Unavailable(err.strip())
    if script.returncode != 0:
        raise BenchmarkError(err.strip())
    return out.strip()


def cpu_seconds(pid: int) -> float | None:
    """What a process has used of all cores so far; `None` on a system without /proc."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "processor"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "processor")
