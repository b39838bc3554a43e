"""`rules backtest` as its users meet it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.builders import make_instruction
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.cli import run

RULES = """\
ruleset: test
owner: someone@example.org
timezone: Asia/Shanghai
partition_by: jurisdiction
rules:
- id: AMT-001
  revision: 1
  title: {{zh: 大额支付, en: Large payment}}
  mode: {mode}
  action: intercept
  expect: {{max_share: {share}}}
  when: {{all: [{{field: amount, gte: 500000.00}}]}}
  reason: {{zh: "支付{{amount}}元", en: "Payment of CNY {{amount}}"}}
"""


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Cli = Callable[..., Ran]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments: object) -> Ran:
        status = run(["rules", "backtest", *map(str, arguments)])
        return Ran(status, *capsys.readouterr())

    return call


@pytest.fixture
def rules(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str = "rules", mode: str = "live", share: str = "50%") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "test.yaml").write_text(RULES.format(mode=mode, share=share), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def payments(tmp_path: Path) -> Path:
    """Two payments, one of them over the limit, and a line that is none."""
    path = tmp_path / "payments.jsonl"
    found = [make_instruction(instruction_id=f"PI-{n}", amount=each) for n, each in enumerate(("1.00", "500000.00"))]
    path.write_bytes(b"\n".join([*map(encode_instruction, found), b"nonsense"]) + b"\n")
    return path


def test_the_result_says_what_was_counted(cli: Cli, rules: Callable[..., Path], payments: Path) -> None:
    status, out, err = cli(rules(), "--on", payments)
    assert status == 0
    assert "大额支付" in out
    assert "3 lines = 2 payments judged + 0 duplicates + 1 refused (malformed_json 1)" in out
    assert "2025-03-05 to 2025-03-05: pass 1, warn 0, intercept 1, prohibit 0" in out
    assert "held: 1 payments, CNY 500,000.00" in out
    assert err.startswith("line 3: malformed_json")


@pytest.mark.parametrize(("share", "status"), [("50%", 0), ("49.99%", 1)])
def test_a_broken_expectation_ends_with_status_1_and_is_named(
    cli: Cli, rules: Callable[..., Path], payments: Path, share: str, status: int
) -> None:
    ran = cli(rules(share=share), "--on", payments)
    assert ran.status == status
    told = f"AMT-001 more than its file expects: 1 of 2 payments, 50 %, more than {share[:-1]} %"
    assert (told in ran.out) == bool(status)


def test_a_file_in_which_nothing_can_be_judged_is_a_finding(
    cli: Cli, rules: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"")
    status, out, _ = cli(rules(), "--on", tmp_path / "empty.jsonl")
    assert status == 1
    assert "nothing could be judged" in out


def test_json_is_the_same_for_the_same_file_and_one_object(
    cli: Cli, rules: Callable[..., Path], payments: Path
) -> None:
    old, new = rules("old", mode="shadow"), rules("new")
    first, second = (cli(new, "--on", payments, "--against", old, "--json") for _ in range(2))
    assert first.out == second.out
    result = json.loads(first.out)
    assert result["against"]["name"] == "old"
    assert result["against"]["newly_held"]["payments"] == 1
    assert result["rules"][0]["max_share"] == 0.5
    assert str(payments.parent) not in first.out


def test_a_gzipped_file_gives_the_same_but_for_its_hash(cli: Cli, rules: Callable[..., Path], payments: Path) -> None:
    packed = payments.with_suffix(".jsonl.gz")
    packed.write_bytes(gzip.compress(payments.read_bytes()))
    folder = rules()
    plain, other = (json.loads(cli(folder, "--on", each, "--json").out) for each in (payments, packed))
    assert plain.pop("file") != other.pop("file")
    assert plain == other


def test_what_changes_is_told_with_reasons(cli: Cli, rules: Callable[..., Path], payments: Path) -> None:
    out = cli(rules("new"), "--on", payments, "--against", rules("old", mode="shadow")).out
    assert "newly held: 1 payments, CNY 500,000.00 (AMT-001 1)" in out
    assert "AMT-001: 支付500000.00元 · Payment of CNY 500000.00" in out
    assert "newly let go: 0 payments" in out


def test_the_rules_of_a_git_revision_are_the_old_ones(cli: Cli, rules: Callable[..., Path], payments: Path) -> None:
    folder = rules(mode="shadow")
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "shadow"],
    ):
        subprocess.run(["git", "-C", folder, *command], check=True)
    (folder / "test.yaml").write_text(RULES.format(mode="live", share="50%"), encoding="utf-8")
    result = json.loads(cli(folder, "--on", payments, "--against", "HEAD", "--json").out)
    assert (result["against"]["name"], result["against"]["newly_held"]["payments"]) == ("HEAD", 1)
    status, _, err = cli(folder, "--on", payments, "--against", "no-such-revision")
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith("error: no-such-revision")


def test_labels_are_compared(cli: Cli, rules: Callable[..., Path], payments: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"instruction_id":"PI-1","kind":"large_payment","rule_ids":["AMT-001"]}\n', encoding="utf-8")
    out = cli(rules(), "--on", payments, "--labels", labels).out
    assert "planted: 1 of 1 payments are hit by all rules that their label names, 100 %" in out


def test_the_report_is_written_as_a_page(cli: Cli, rules: Callable[..., Path], payments: Path, tmp_path: Path) -> None:
    assert cli(rules(), "--on", payments, "--html", tmp_path / "report.html").status == 0
    assert "规则回测报告" in (tmp_path / "report.html").read_text("utf-8")


def test_no_report_is_left_where_the_file_cannot_be_read(cli: Cli, rules: Callable[..., Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl.gz"
    broken.write_bytes(gzip.compress(os.urandom(5000))[:2000])
    status, _, err = cli(rules(), "--on", broken, "--html", tmp_path / "report.html")
    assert status == 2
    assert err.startswith("error: ")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--on", "no-such-file"], "error: no-such-file: No such file or directory"),
        (["--on", "-"], "error: -: a back-test names its payments by the hash of a file, and this is none"),
        (["--on", "{payments}", "--html", "-"], "error: --html -: the result has standard output"),
        (["--on", "{payments}", "--against", "no-such-dir"], "error: no-such-dir"),
        (["--on", "{payments}", "--labels", "no-such-file"], "error: no-such-file: No such file or directory"),
        (["--on", "{payments}", "--labels", "{payments}"], "error: {payments}: line 3 is no label: "),
        (["--on", "{payments}", "--html", "{payments}"], "error: {payments}: cannot write over the file"),
        ([], "error: Missing option '--on'; try: treasury-watch rules backtest --help"),
    ],
)
def test_wrong_use_is_one_clear_line(
    cli: Cli, rules: Callable[..., Path], payments: Path, arguments: list[str], told: str
) -> None:
    status, out, err = cli(rules(), *(each.format(payments=payments) for each in arguments))
    assert (status, out) == (2, "")
    assert err.startswith(told.format(payments=payments))
    assert err.count("\n") == 1


def test_the_page_is_not_written_over_the_labels(
    cli: Cli, rules: Callable[..., Path], payments: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"instruction_id":"OTHER","label":"true_alarm"}\n', encoding="utf-8")
    before = labels.read_bytes()
    status, _, err = cli(rules(), "--on", payments, "--labels", labels, "--html", labels)
    assert (status, labels.read_bytes()) == (2, before)
    assert err.startswith(f"error: {labels}: cannot write over the file")


@pytest.mark.parametrize("share", ["0.5", "101%", "-1%", "0.00001%", "half"])
def test_a_share_that_is_none_is_shown_to_its_author(
    cli: Cli, rules: Callable[..., Path], payments: Path, share: str
) -> None:
    status, _, err = cli(rules(share=share), "--on", payments)
    assert status == 2
    assert f"error TW108: `{share}` is not a share" in err
