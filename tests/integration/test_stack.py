"""scripts/stack: a whole site as processes, with the configuration files that the containers have."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.stack_parts.machine import command_line
from tests.conftest import ROOT
from tests.integration.installation import Installation
from treasury_watch.adapters.settings import load_settings

pytestmark = [pytest.mark.kafka, pytest.mark.postgresql, pytest.mark.slow]

MISSING = 2
PAYMENTS = 300
LIMIT_SECONDS = 240.0  # on a machine that does much else
PARTS = ["alertmanager", "node-exporter", "prometheus", "postgresql", "kafka", "sink", "worker-1", "worker-2"]


def stack(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, str(ROOT / "scripts" / "stack"), command, "--dir", str(folder)]
    return subprocess.run(script, capture_output=True, text=True, env={**os.environ, **environment})


def parts(printed: str) -> dict[str, tuple[str, str, str]]:
    """Address, process id and state by name, from what `up` or `status` printed."""
    lines = [line.split(None, 3) for line in printed.splitlines()]
    return {line[0]: (line[1], line[2], line[3]) for line in lines if line and line[0] in PARTS}


def await_that(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.5)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's account may enter, too; what still runs in it has ended at the end."""
    made = Path(tempfile.mkdtemp(prefix="treasury-watch-stack-"))
    made.chmod(0o711)
    yield made / "site"
    stack("down", made / "site")
    shutil.rmtree(made)


@dataclass
class Running:
    """A site that is up."""

    folder: Path
    parts: dict[str, tuple[str, str, str]]

    def ask(self, part: str, page: str) -> Any:
        with urllib.request.urlopen(self.parts[part][0] + page, timeout=20) as answer:
            return json.loads(answer.read())

    def treasury_watch(self, *arguments: str, stdin: str = "") -> str:
        """What a command prints, with what `up` wrote to be sourced."""
        command = f'. "{self.folder}/env" && exec "$0" -m treasury_watch "$@"'
        done = subprocess.run(
            ["sh", "-c", command, sys.executable, *arguments], input=stdin, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def site(folder: Path) -> Running:
    done = stack("up", folder)
    if done.returncode == MISSING:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return Running(folder, parts(done.stdout))


def processes(folder: Path) -> list[str]:
    """Command lines of processes of a site."""
    lines = [command_line(int(each.name)) for each in Path("/proc").iterdir() if each.name.isdigit()]
    return [line for line in lines if str(folder) in line]


def records(site: Running, *names: str, until: int = 0) -> int:
    """How many there are on topics; waits until there are so many."""
    settings = load_settings(bootstrap_servers=site.parts["kafka"][0])
    return len(asyncio.run(Installation(settings, site.folder).read(*names, until=until)))


def test_payments_of_a_site_are_judged_kept_and_watched_until_it_is_down(site: Running) -> None:
    assert list(site.parts) == PARTS
    assert {state for _, _, state in site.parts.values()} == {"ready"}

    again = stack("up", site.folder)  # changes nothing
    assert again.returncode == 0, again.stderr
    assert parts(again.stdout) == site.parts

    payments = site.treasury_watch("simulate", "--seed", "1", "--payments", str(PAYMENTS), "--out", "-")
    site.treasury_watch("publish", "-", stdin=payments)
    assert records(site, "decisions", until=PAYMENTS) == PAYMENTS

    cases = records(site, "intercepts", "warnings")
    assert cases > 0
    await_that(lambda: len(site.treasury_watch("cases", "list", "--json", "--most", "1000").splitlines()) == cases)

    everything_is_scraped(site)
    no_rule_fails(site)
    known = site.ask("prometheus", "/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    assert [each["url"] for each in known] == [site.parts["alertmanager"][0] + "/api/v2/alerts"]

    down = stack("down", site.folder)
    assert down.returncode == 0, down.stderr
    assert processes(site.folder) == []
    status = stack("status", site.folder)
    assert status.returncode == 1
    assert {state for _, _, state in parts(status.stdout).values()} == {"not running"}


def everything_is_scraped(site: Running) -> None:
    """Waits until Prometheus has the numbers of both workers, the sink and the machine, also of its disks."""
    serving = sorted(site.parts[name][0] for name in ("node-exporter", "sink", "worker-1", "worker-2"))

    def scraped() -> bool:
        up = site.ask("prometheus", "/api/v1/targets")["data"]["activeTargets"]
        return sorted(each["scrapeUrl"].removesuffix("/metrics") for each in up if each["health"] == "up") == serving

    await_that(scraped)
    free = site.ask("prometheus", "/api/v1/query?query=node_filesystem_avail_bytes")["data"]["result"]
    assert max(float(each["value"][1]) for each in free) > 0


def no_rule_fails(site: Running) -> None:
    """Waits until the rules that are asked every 15 s have been asked; others may have to wait for two minutes."""

    def rules() -> list[tuple[str, float, str]]:
        groups = site.ask("prometheus", "/api/v1/rules")["data"]["groups"]
        return [(rule["name"], group["interval"], rule["health"]) for group in groups for rule in group["rules"]]

    await_that(lambda: all(health != "unknown" for _, interval, health in rules() if interval <= 15))
    assert rules()
    assert [rule for rule in rules() if rule[2] not in ("ok", "unknown")] == []


def test_what_has_started_ends_when_another_part_does_not_start(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "prometheus"
    broken.write_text("#!/bin/sh\necho no disk\nexit 1\n")
    broken.chmod(0o755)
    done = stack("up", folder, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    if done.returncode == MISSING:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 1
    assert "prometheus did not become ready" in done.stderr
    assert "no disk" in done.stderr
    assert (folder / "alertmanager" / "log").exists()
    assert processes(folder) == []


def test_what_is_missing_is_named_with_how_to_install_it(folder: Path) -> None:
    done = stack("up", folder, PATH="")
    assert done.returncode == MISSING
    for program, package in (("java", "default-jre-headless"), ("mvn", "maven"), ("prometheus", "prometheus")):
        assert f" {program}," in done.stderr
        assert f" {package} " in done.stderr


def test_a_folder_with_the_files_of_others_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").touch()
    assert stack("up", folder).returncode == MISSING
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
