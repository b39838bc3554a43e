"""Fault trials as `scripts/fault-trials` runs them: a mixed run that passes; workers without a safeguard do not."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scripts.fault_trials.kinds import KINDS
from tests.conftest import MISSING, ROOT

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

TRIALS = 10  # of each of the two runs, which go on at the same time: trials mostly wait
FAILED = 1
SEEDS = 4  # of trials at most until a missing safeguard shows: one may be over before it would have been needed

Outcome = dict[str, Any]


def fault_trials(work: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[Outcome]]:
    """The process, and what it wrote of each trial."""
    out = work / "outcomes.jsonl"
    line = [sys.executable, str(ROOT / "scripts" / "fault-trials"), "--work", str(work), "--out", str(out), *arguments]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode == MISSING:
        pytest.skip(done.stderr.strip())
    return done, [json.loads(each) for each in out.read_text(encoding="utf-8").splitlines()]


def test_whatever_is_disturbed_every_output_is_there_once_and_as_it_would_have_been(tmp_path: Path) -> None:
    kinds = list(KINDS)

    def run(part: int) -> tuple[subprocess.CompletedProcess[str], list[Outcome]]:
        own = ",".join(kinds[part::2])
        return fault_trials(tmp_path / str(part), "--trials", str(TRIALS), "--seed", str(part * TRIALS), "--kinds", own)

    with ThreadPoolExecutor() as pool:
        for part in range(2):
            (tmp_path / str(part)).mkdir()
        runs = list(pool.map(run, range(2)))
    for done, outcomes in runs:
        assert done.returncode == 0, done.stdout
        assert [each["result"] for each in outcomes] == ["passed"] * TRIALS
        assert all(each["decisions"] > 1000 and each["dead_letters"] > 50 for each in outcomes)
        assert all(each["rule_changes"] and each["dispositions"] and each["samples"] > 5 for each in outcomes)
    assert {each["kind"] for _, outcomes in runs for each in outcomes} == set(kinds)


@pytest.mark.parametrize(
    ("safeguard", "kind", "seed", "told"),
    [
        ("tails", "kill", 1, "published again"),
        ("fencing", "stop", 5, "published again"),
        ("order", "kill", 3, "when the state was that of"),
    ],
)
def test_a_worker_without_a_safeguard_is_found_out(
    tmp_path: Path, safeguard: str, kind: str, seed: int, told: str
) -> None:
    outcomes: list[Outcome] = []
    for one in range(seed, seed + SEEDS):
        (tmp_path / str(one)).mkdir()
        arguments = ("--trials", "1", "--seed", str(one), "--kinds", kind)
        done, (outcome,) = fault_trials(tmp_path / str(one), *arguments, "--without", safeguard)
        outcomes.append(outcome)
        # Two workers that write one state may also keep each other from ever being done.
        if outcome["result"] == "stuck" or any(told in finding for finding in outcome["findings"]):
            assert done.returncode == FAILED, done.stdout
            assert f"again: scripts/fault-trials {' '.join(arguments)}" in done.stdout
            return
    raise AssertionError(f"not found out: {outcomes}")


def test_an_unknown_kind_is_told_with_those_that_there_are() -> None:
    line = [sys.executable, str(ROOT / "scripts" / "fault-trials"), "--kinds", "earthquake"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == MISSING
    assert "earthquake: expected some of kill, kill-starting" in done.stderr
