"""`state warm` as its users meet it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.builders import make_instruction
from tests.test_cli import Ran, Runner
from treasury_watch.adapters.wire import encode_instruction

RULES = """\
ruleset: test
owner: someone@example.org
timezone: Asia/Shanghai
partition_by: jurisdiction
rules:
- id: SUM-001
  revision: 1
  title: {zh: 三日合计, en: Sum of three days}
  mode: live
  action: intercept
  level: red
  features: {paid: {sum: amount, by: [budget_unit], window: 72h}}
  when: {feature: paid, gte: 500000.00}
  reason: {zh: "合计{paid}元", en: "CNY {paid}"}
- id: SUM-002
  revision: 1
  title: {zh: 本年合计, en: Sum of the fiscal year}
  mode: shadow
  action: warn
  level: red
  features: {paid: {sum: amount, by: [budget_unit], period: fiscal_year}}
  when: {feature: paid, gte: 500000.00}
  reason: {zh: "合计{paid}元", en: "CNY {paid}"}
"""


@pytest.fixture
def warm(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runner:
    """Runs `state warm --rules …` with a data directory of its own."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(RULES, encoding="utf-8")
    monkeypatch.setenv("TREASURY_WATCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "160")
    cli = Runner(capsys)

    class Warm(Runner):
        def __call__(self, *arguments: str | int | Path) -> Ran:
            return cli("state", "warm", "--rules", tmp_path / "rules", *arguments)

    return Warm(capsys)


@pytest.fixture
def payments(tmp_path: Path) -> Path:
    """Payments of five days from 2025-03-05 on, of two jurisdictions, the latest first."""
    values = [
        make_instruction(
            instruction_id=f"I{day}", event_time=f"2025-03-{day:02}T10:00:00+08:00", jurisdiction=f"4201{day % 2:02}"
        )
        for day in (9, 8, 7, 6, 5)
    ]
    path = tmp_path / "payments.jsonl"
    path.write_bytes(b"".join(encode_instruction(each) + b"\n" for each in values))
    return path


def test_it_says_what_was_fed_and_when_each_rule_is_covered(warm: Runner, payments: Path) -> None:
    status, out, err = warm("--on", payments)
    assert (status, err) == (0, "")
    assert "5 payments, all of 2025-03-05T00:00:00+08:00 to 2025-03-10T00:00:00+08:00" in out
    assert "SUM-002 │ 2027-01-01 00:00" in out
    assert "SUM-001" not in out  # 72 h before the topic begins are there
    assert "with the topic beginning by 2025-03-10T00:00:00+08:00, every other rule has all its history" in out


def test_the_days_that_are_said_count(warm: Runner, payments: Path) -> None:
    found = json.loads(warm("--on", payments, "--from", "2024-01-01", "--until", "2025-03-31", "--json").out)
    assert (found["fed"]["start"], found["fed"]["end"]) == ("2024-01-01T00:00:00+08:00", "2025-04-01T00:00:00+08:00")
    assert found["covered_from"] == {"SUM-001": "2024-01-04T00:00:00+08:00", "SUM-002": "2025-01-01T00:00:00+08:00"}
    assert [part["payments"] for part in found["fed"]["partitions"]] in ([5], [2, 3], [3, 2])
    assert (found["fed"]["payments"], found["refused"]) == (5, {})


def test_history_that_was_fed_before_counts_with_it(warm: Runner, payments: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.jsonl"
    later.write_bytes(encode_instruction(make_instruction(event_time="2025-03-10T10:00:00+08:00")))
    assert json.loads(warm("--on", later, "--json").out)["covered_from"]["SUM-001"] == "2025-03-13T00:00:00+08:00"
    warm("--on", payments)
    assert json.loads(warm("--on", later, "--json").out)["covered_from"]["SUM-001"] == "2025-03-08T00:00:00+08:00"


def test_bad_lines_are_named_and_nothing_is_fed(warm: Runner, payments: Path, tmp_path: Path) -> None:
    payments.write_bytes(payments.read_bytes() + b"{\n" * 12)
    status, out, err = warm("--on", payments)
    assert (status, out) == (
        1,
        "nothing is fed, since windows would lack the payments of 12 refused lines (malformed_json 12)\n",
    )
    assert err.startswith("line 6: malformed_json")
    assert err.endswith("… and 2 more\n")
    status, out, _ = warm("--on", payments, "--json")
    assert (status, json.loads(out)["fed"], json.loads(out)["refused"]) == (1, None, {"malformed_json": 12})
    assert list((tmp_path / "data" / "history" / "treasury.payments").iterdir()) == []


def test_what_the_user_can_put_right_is_one_line(
    warm: Runner, payments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").write_bytes(b"\n\n")
    cases: list[tuple[list[str | Path], str]] = [
        (["--on", tmp_path / "empty"], f"error: {tmp_path / 'empty'}: no payments\n"),
        (["--on", tmp_path / "none"], f"error: {tmp_path / 'none'}: No such file or directory\n"),
        (
            ["--on", payments, "--from", "2025-03-10"],
            "error: the last day is before the first\n",
        ),
    ]
    for arguments, told in cases:
        assert warm(*arguments) == (2, "", told)
    assert warm("--on", payments).status == 0
    monkeypatch.setenv("TREASURY_WATCH_PARTITIONS", "8")
    status, out, err = warm("--on", payments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "made for 4 partitions by jurisdiction (murmur2), expected 8" in err


def test_a_directory_that_may_not_be_kept_is_said(
    warm: Runner, payments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TREASURY_WATCH_DATA_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    status, _, err = warm("--on", payments)
    assert status == 0
    assert err.startswith("TREASURY_WATCH_DATA_DIR is not set: ")
