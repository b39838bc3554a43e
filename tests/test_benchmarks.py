"""The benchmarks run and say what they found; how fast anything is decides nothing here."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

from benchmarks import packs
from benchmarks.documents import BEGIN, DOCUMENT, END, with_figures
from benchmarks.figures import Aim, Figure, Report, Section, quantile, report_of, section_text
from benchmarks.memory import held_by
from benchmarks.workload import default_ruleset
from treasury_watch.adapters.rulefiles import load
from treasury_watch.rules.plan import plan

ROOT = Path(__file__).resolve().parents[1]
REPORT = Report(
    {"python": "CPython 3.11"},
    False,
    (Section("engine", "(a) Engine alone", (Figure("median", 45_000.0, "instructions/s", Aim(60_000)),), ("a note",)),),
    ("latency is left out: Maven is needed",),
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def test_a_quick_run_prints_each_figure_and_writes_the_same_as_json(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    done = run("--quick", "engine", "memory", "rules", "--json", str(target))
    assert done.returncode == 0, done.stderr

    report = report_of(target.read_bytes())
    assert [section.name for section in report.sections] == ["engine", "memory", "rules"]
    for section in report.sections:
        assert all(line in done.stdout for line in section_text(section))
        assert all(figure.value > 0 for figure in section.figures)
    assert report.quick


def test_the_figures_of_a_quick_run_are_not_written_into_the_document(tmp_path: Path) -> None:
    quick = tmp_path / "quick.json"
    quick.write_bytes(Report({}, True, ()).as_json())
    before = DOCUMENT.read_bytes()
    done = run("--write-docs", str(quick))
    assert (done.returncode, done.stderr) == (2, f"benchmarks: {quick}: a quick run's figures mean nothing\n")
    assert DOCUMENT.read_bytes() == before


def test_wrong_use_gets_one_line(tmp_path: Path) -> None:
    done = run("speed")
    assert done.returncode == 2
    assert (
        done.stderr
        == "benchmarks: speed: expected some of engine, throughput, latency, memory, stages, rules, recovery, scaling\n"
    )

    nothing = tmp_path / "nothing.json"
    nothing.write_text("{}")
    done = run("--write-docs", str(nothing))
    assert done.returncode == 2
    assert done.stderr.startswith(f"benchmarks: {nothing}: not a report of --json: ")


@pytest.mark.kafka
@pytest.mark.slow
def test_a_quick_run_on_kafka_judges_everything(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    done = run("--quick", "throughput", "latency", "stages", "--json", str(target))
    assert done.returncode == 0, done.stderr
    report = report_of(target.read_bytes())
    if report.skipped:
        pytest.skip(report.skipped[0])

    throughput, latency, stages = report.sections
    assert any("every instruction got one decision" in note for note in throughput.notes)
    assert {f"{rate}/s, {name}" for rate in ("200", "1,000") for name in ("p50", "p90", "p99", "max")} <= {
        figure.name for figure in latency.figures
    }
    assert {figure.name for figure in stages.figures} >= {"fetch", "decode", "assess", "send, acknowledged"}


@pytest.mark.parametrize(
    ("aim", "value", "shown", "outcome"),
    [
        (Aim(60_000), 60_000.0, "≥ 60,000", "met by 0 %"),
        (Aim(60_000), 45_000.0, "≥ 60,000", "MISSED by 25 %"),
        (Aim(20, at_most=True), 20.0, "≤ 20", "met by 0 %"),
        (Aim(20, at_most=True), 25.0, "≤ 20", "MISSED by 25 %"),
    ],
)
def test_an_aim_says_by_how_much_it_is_met_or_missed(aim: Aim, value: float, shown: str, outcome: str) -> None:
    assert (str(aim), aim.outcome(value)) == (shown, outcome)


def test_the_document_gets_the_figures_between_its_markers_and_nothing_else_changes() -> None:
    once = with_figures(f"before\n{BEGIN}\nold\n{END}\nafter\n", REPORT)
    assert once.startswith(f"before\n{BEGIN}\npython: CPython 3.11.\n")
    assert "| median | 45,000 instructions/s | ≥ 60,000 | MISSED by 25 % |" in once
    assert "latency is left out: Maven is needed" in once
    assert once.endswith(f"{END}\nafter\n")
    assert "old" not in once
    assert with_figures(once, REPORT) == once


def test_a_document_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="figures: begin"):
        with_figures("no markers", REPORT)


def test_the_document_of_this_project_has_the_markers() -> None:
    assert BEGIN in with_figures(DOCUMENT.read_text(encoding="utf-8"), REPORT)


def test_a_report_survives_json() -> None:
    assert report_of(REPORT.as_json()) == REPORT


def test_a_quantile_is_one_of_the_values() -> None:
    hundred = [float(number) for number in range(1, 101)]
    assert [quantile(hundred, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert quantile([7.0], 0.5) == 7.0


def test_what_an_object_of_the_state_holds_includes_what_it_refers_to() -> None:
    class Pair:
        __slots__ = ("left", "right")

        def __init__(self, left: object, right: object) -> None:
            self.left, self.right = left, right

    alone = held_by(Pair(None, None))
    assert held_by(Pair(["x" * 100], None)) > alone + 100
    assert held_by(b"x" * 1000) >= 1000


def test_the_first_pack_as_files_has_the_rules_that_it_has_in_memory(tmp_path: Path) -> None:
    packs.write_first(tmp_path / "rules")
    kept = packs.first(default_ruleset())
    assert {rule.id for rule in kept.rules} == packs.FIRST
    assert load(tmp_path / "rules").rules == kept.rules


@pytest.mark.parametrize(("sharing", "times_the_series"), [(True, 1), (False, packs.COPIES)])
def test_ten_times_the_pack_has_ten_times_the_conditions_and_shares_features_or_none(
    sharing: bool, times_the_series: int
) -> None:
    pack = default_ruleset()
    tenfold = packs.tenfold(pack, sharing)
    assert len({rule.id for rule in tenfold.rules}) == packs.COPIES * len(pack.rules)
    assert len(plan(tenfold)) == times_the_series * len(plan(pack))
    for each in pack.rules:
        copies = [rule.when for rule in tenfold.rules if rule.id.rpartition("-")[0] == each.id or rule.id == each.id]
        assert all(one != other for one, other in combinations(copies, 2))
