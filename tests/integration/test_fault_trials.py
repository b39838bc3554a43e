"""Fault trials as `scripts/fault-trials` runs them: a mixed run that passes, and runs that must not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MISSING, ROOT

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

TRIALS = 20
FAILED = 1


def fault_trials(work: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    """The process, and what it wrote of each trial."""
    out = work / "outcomes.jsonl"
    line = [sys.executable, str(ROOT / "scripts" / "fault-trials"), "--work", str(work), "--out", str(out), *arguments]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode == MISSING:
        pytest.skip(done.stderr.strip())
    return done, [json.loads(each) for each in out.read_text(encoding="utf-8").splitlines()]


def test_whatever_is_disturbed_every_output_is_there_once_and_as_it_would_have_been(tmp_path: Path) -> None:
    done, outcomes = fault_trials(tmp_path, "--trials", str(TRIALS), "--seed", "1")
    assert done.returncode == 0, done.stdout
    assert [each["result"] for each in outcomes] == ["passed"] * TRIALS
    assert all(each["decisions"] > 1000 and each["dead_letters"] > 50 and each["samples"] > 5 for each in outcomes)
