"""What all tests share: a real Kafka, the real payment files, and no skips under `make test-all`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MISSING = 2  # exit status of scripts/kafka: no Java or no Maven

# A script that runs the tests in the background has them ignore SIGINT, and with them the programs that they interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap address of an Apache Kafka of our own, on free ports; its data goes when the session ends."""
    script = [sys.executable, str(ROOT / "scripts" / "kafka")]
    folder = ["--dir", str(tmp_path_factory.mktemp("kafka"))]
    started = subprocess.run([*script, "start", *folder], capture_output=True, text=True)
    if started.returncode == MISSING:
        pytest.skip(started.stderr.strip())
    assert started.returncode == 0, started.stderr
    yield started.stdout.strip()
    subprocess.run([*script, "reset", *folder], check=True)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real payment files, which lies beside the checkout and is no part of it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real payment files are not here: {folder}")
    return folder


def untraced(item: pytest.Item) -> Generator[None, object, object]:
    """What is marked `no_cover` is not traced in workers of pytest-xdist either, where pytest-cov traces twice and
    ends one of the two: these tests would take five times as long.
    """
    trace = sys.gettrace()
    if trace is None or item.get_closest_marker("no_cover") is None:
        return (yield)
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(trace)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from untraced(item))


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from untraced(item))


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Under `make test-all` what would be skipped has failed."""
    if os.environ.get("TREASURY_WATCH_TEST_ALL") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}\n`make test-all` accepts no skips."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_skip(report)
    return report
