"""The anomaly benchmark runs, plants what it says, and its figures are right; how good anything is decides nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks import anomaly_fuzz
from benchmarks.anomaly_detectors import OFFLINE, Run
from benchmarks.anomaly_planting import KINDS, Labelled, planted
from benchmarks.anomaly_quality import quality
from benchmarks.anomaly_streams import Stream
from treasury_watch.engine.anomaly import Model, Observation

ROOT = Path(__file__).resolve().parents[1]
HOUR_US = 3_600_000_000


def payments(count: int) -> list[Observation]:
    """Twelve a day at 9 to 20 o'clock, from Monday on, of five units and nine payees; hardly any on Sundays."""
    made = []
    for number in range(count):
        hours = number // 12 * 24 + 9 + number % 12
        if hours // 24 % 7 < 6:
            made.append(
                Observation(hours * HOUR_US, hours % 168, 1_000 + number % 700, f"U{number % 5}", f"P{number % 9}")
            )
    return made


def test_every_kind_is_planted_about_as_often_as_another_and_the_rest_is_as_it_was() -> None:
    original = payments(21_000)
    stream = planted(original, 1)
    counts = Counter(each.kind for each in stream)
    assert {*counts} == {"", *KINDS}
    assert all(20 <= counts[kind] <= 45 for kind in KINDS)
    assert stream == sorted(stream, key=lambda each: each.seen.us)
    kept = Counter(each.seen for each in stream if each.kind in ("", "changed_account"))
    changed = sum(each.kind == "changed_account" for each in stream)
    assert sum((Counter(original) - kept).values()) == changed


def test_the_same_seed_plants_the_same() -> None:
    assert planted(payments(3_000), 5) == planted(payments(3_000), 5) != planted(payments(3_000), 6)


def test_figures_of_a_stream_whose_answer_is_known() -> None:
    seen = payments(2_000)[:1_000]
    wrong = {900, 950}
    stream = Stream(
        "s", [Labelled(each, "amount" if at in wrong else "") for at, each in enumerate(seen)], [""] * 1_000
    )
    scores = np.zeros(1_000)
    scores[[900, 950, 500]] = 3.0, 1.0, 2.0
    alerts = scores > 1.5
    found = quality("d", stream, Run(scores, 5.0, alerts, np.ones(1_000, bool)))
    assert found.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert found.roc_auc == pytest.approx(1 - 1 / (2 * 798))
    assert (found.alert_rate, found.by_block, found.us) == (2 / 800, (), 5.0)
    assert 0.0 < found.precision_a_day < 0.01


@pytest.mark.parametrize("name", OFFLINE)
def test_offline_detectors_find_what_lies_far_out(name: str) -> None:
    rng = np.random.default_rng(1)
    score = OFFLINE[name](rng.normal(size=(2_000, 3)))
    inner, outer = score(np.zeros((1, 3))), score(np.full((1, 3), 6.0))
    assert outer > inner


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.anomaly", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def test_a_quick_run_prints_each_detector_and_writes_the_same_as_json(tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    done = run("--quick", "simulated", "--json", str(target))
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(target.read_bytes()).values()
    assert len(found) == 6
    for each in found:
        assert f"| {each['detector']} | {each['average_precision']:.3f} |" in done.stdout
        assert 0.0 < each["average_precision"] <= 1.0


def test_an_unknown_stream_is_refused_with_the_known_ones() -> None:
    done = run("card")
    assert done.returncode == 2
    assert "card: expected some of cards, council, labelled, simulated" in done.stderr


def test_hostile_payments_get_finite_scores_and_a_damaged_model_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    result = anomaly_fuzz.tally(3, 6_000)
    assert (result.payments, result.wrong) == (6_000, [])
    assert result.alerts > 20
    assert result.jumps > 3
    monkeypatch.setattr(Model, "undo", lambda model, undo: None)
    assert "not taken back" in " ".join(anomaly_fuzz.tally(3, 500).wrong)
