"""The first run on real payments, shortened: the last rows of both real files, on an Apache Kafka of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MISSING, ROOT

ROWS = 3000


def first_run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(ROOT / "scripts" / "first-run"), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True)


@pytest.fixture(scope="module")
def results(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    work = tmp_path_factory.mktemp("first-run")
    done = first_run("--data", shared_data, "--work", work, "--limit", str(ROWS))
    if done.returncode == MISSING:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("workers and replay: the same decisions, byte for byte") == 2
    told: dict[str, Any] = json.loads((work / "result.json").read_text(encoding="utf-8"))
    return told | {"work": work}


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.parametrize("name", ["cards", "council"])
def test_every_real_payment_gets_one_decision_though_a_second_worker_joins(results: dict[str, Any], name: str) -> None:
    result = results[name]
    assert result["differences"] == []
    assert result["rows"] == result["imported"] == result["decisions"] == ROWS
    assert result["refusals"] == {}
    assert sum(end for _, end in result["offsets"]) == ROWS
    assert all(committed == end for committed, end in result["offsets"])
    assert sum(result["by_worker"]) == ROWS
    assert min(result["by_worker"]) > 0
    assert 0 < result["joined_after"] < ROWS
    assert result["restored"] > 0
    assert result["verdicts"]["intercept"] > 0


@pytest.mark.kafka
@pytest.mark.slow
def test_nothing_that_was_started_is_left(results: dict[str, Any]) -> None:
    work: Path = results["work"]
    status = [sys.executable, str(ROOT / "scripts" / "kafka"), "status", "--dir", str(work / "kafka")]
    assert subprocess.run(status, capture_output=True).returncode == 1
    pids = [int(file.read_text()) for file in work.glob("worker-*.pid")]
    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_without_the_real_files_one_line_says_where_they_were_looked_for(tmp_path: Path) -> None:
    done = first_run("--data", tmp_path, "--work", tmp_path / "work")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"scripts/first-run: no {tmp_path}/government_purchase_cards_2010.csv.gz; "
        "name the folder of the real payment files by --data\n"
    )


def test_a_folder_with_other_peoples_files_is_left_alone(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("mine")
    done = first_run("--data", shared_data, "--work", tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert (tmp_path / "mine.jsonl").read_text() == "mine"
