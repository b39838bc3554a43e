"""`rules diff` as its users meet it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.adapters.test_gitrules import git
from tests.rules.texts import rule_file
from treasury_watch.cli import run

WHEN = """\
  mode: live
  params: {limit: {segment_by: unit_level, default: 500000.00, county: [{from: 2025-01-01, value: 200000.00}]}}
  effective: {from: 2025-01-01}
  when: {field: amount, gte: $limit}
"""


def sets(folder: Path, old: str, new: str) -> tuple[Path, Path]:
    for name, body in (("old", old), ("new", new)):
        (folder / name).mkdir()
        (folder / name / "office.yaml").write_bytes(rule_file(body))
    return folder / "old", folder / "new"


def test_a_dated_param_is_told_with_its_day_and_both_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sets(tmp_path, WHEN, WHEN.replace("200000.00}]", "200000.00}, {from: 2026-07-01, value: 300000.00}]"))
    monkeypatch.chdir(tmp_path)
    assert run(["rules", "diff", "old", "new"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "RULE-001 规则 · Rule: params (without a new revision)  old/office.yaml:7 → new/office.yaml:7",
        "  limit for county: 200,000.00 → 300,000.00 from 2026-07-01",
    ]


def test_for_machines_everything_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = sets(tmp_path, WHEN, WHEN.replace("mode: live", "mode: shadow"))
    assert run(["rules", "diff", str(old), str(new), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["old"]["ruleset"] != found["new"]["ruleset"]
    (rule,) = found["rules"]
    assert rule["changes"] == ["demoted"]
    assert rule["new"] == {
        "revision": 1,
        "mode": "shadow",
        "action": "warn",
        "file": f"{new}/office.yaml",
        "line": 7,
        "column": 7,
    }
    assert (found["set"], found["data"]) == ([], [])


def test_no_difference_is_status_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = sets(tmp_path, WHEN, WHEN + "  # the same\n")
    assert run(["rules", "diff", str(old), str(new)]) == 0
    assert "no difference in 1 rules" in capsys.readouterr().out


@pytest.mark.parametrize("broken", ["  when: {field: amuont, gt: 1}\n", ""])
def test_broken_rules_are_status_2_and_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    old, new = sets(tmp_path, WHEN, broken)
    assert run(["rules", "diff", str(old), str(new)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "new/office.yaml:" in err


def test_a_revision_that_is_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, _ = sets(tmp_path, WHEN, WHEN)
    assert run(["rules", "diff", "no-such-revision", str(old)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_work_tree_is_compared_with_a_revision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sets(tmp_path, WHEN, WHEN)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "rules")
    (tmp_path / "old" / "office.yaml").write_bytes(rule_file(WHEN.replace("gte", "gt")))
    monkeypatch.chdir(tmp_path / "old")
    assert run(["rules", "diff", "HEAD", "."]) == 1
    assert capsys.readouterr().out.splitlines()[1:] == ["  − amount ≥ $limit", "  + amount > $limit"]
    assert run(["rules", "diff", "main:new", "main:old"]) == 0
