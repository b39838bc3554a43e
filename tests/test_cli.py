"""The command line as its users meet it: exit status, what is on stdout and what on stderr."""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.builders import make_instruction
from treasury_watch.adapters.rulefiles import default_rules
from treasury_watch.adapters.wire import decode_decision, encode_instruction
from treasury_watch.cli import run

COMMAND = [sys.executable, "-m", "treasury_watch"]

RULES = """\
ruleset: test
owner: someone@example.org
timezone: Asia/Shanghai
partition_by: jurisdiction
rules:
- id: AMT-001
  revision: 1
  title: {zh: 大额支付, en: Large payment}
  mode: live
  action: intercept
  level: red
  when: {all: [{field: amount, gte: 500000.00}]}
  reason: {zh: "支付{amount}元", en: "Payment of CNY {amount}"}
test_base: {jurisdiction: "420100", budget_unit: "101001", amount: 1.00, payment_mode: direct, settlement: transfer}
tests:
- name: at the limit and one fen below
  start: 2025-03-05T09:00:00+08:00
  steps:
  - {at: 0h, pay: {amount: 499999.99}, expect: pass}
  - {at: 1h, pay: {amount: 500000.00}, expect: {intercept: [AMT-001]}}
"""


class Ran(NamedTuple):
    status: int
    out: str
    err: str


class Runner:
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | int | Path) -> Ran:
        status = run([str(each) for each in arguments])
        return Ran(status, *self._capsys.readouterr())


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.setenv("COLUMNS", "160")
    return Runner(capsys)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "test.yaml").write_text(RULES, encoding="utf-8")
    return folder


@pytest.fixture
def payments(tmp_path: Path) -> Path:
    """Three payments, the second over the limit of `RULES`, and a line that is none."""
    path = tmp_path / "payments.jsonl"
    amounts = ["1.00", "500000.00", "499999.99"]
    lines = [encode_instruction(make_instruction(instruction_id=f"PI-{n}", amount=a)) for n, a in enumerate(amounts)]
    path.write_bytes(b"\n".join([*lines, b'{"instruction_id":"PI-9","amount":1}']) + b"\n")
    return path


# --- wrong use ---


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["replya"], "error: No such command 'replya'. Did you mean 'replay'?; try: treasury-watch --help"),
        (["topics"], "error: Missing command; try: treasury-watch topics --help"),
        (["replay"], "error: Missing argument 'FILE'; try: treasury-watch replay --help"),
        (["replay", "x", "--max-lateness-days", "-1"], "error: Invalid value for '--max-lateness-days'"),
        (["replay", "no-such-file"], "error: no-such-file: No such file or directory"),
        (["replay", "."], "error: .: Is a directory"),
        (["rules", "check", "no-such-dir"], "error: no-such-dir"),
        (["import", "x", "--mapping", "no-such-mapping", "--out", "y"], "error: no-such-mapping: No such file"),
        (["replay", "x", "--out", "-", "--json"], "error: --json and --out - cannot both have standard output"),
    ],
)
def test_wrong_use_is_one_clear_line_on_stderr(cli: Runner, arguments: list[str], told: str) -> None:
    status, out, err = cli(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(told)
    assert err.count("\n") == 1


def test_a_wrong_setting_is_named_with_what_was_expected(cli: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREASURY_WATCH_PARTITIONS", "many")
    status, out, err = cli("topics", "create")
    assert (status, out) == (2, "")
    assert err == "error: TREASURY_WATCH_PARTITIONS: expected a whole number from 1 to 10000, found 'many'\n"


def test_brokers_that_do_not_answer_are_named(cli: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREASURY_WATCH_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    status, out, err = cli("topics", "create")
    assert (status, out, err) == (2, "", "error: no broker answers at 127.0.0.1:1\n")


def test_help_and_version_are_results(cli: Runner) -> None:
    assert cli("--version").out == "0.1.0\n"
    for arguments in ([], ["--help"], ["rules", "-h"]):
        status, out, err = cli(*arguments)
        assert (status, err) == (0, "")
        assert "Usage: treasury-watch" in out


def test_help_is_there_at_once() -> None:
    imported = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "treasury_watch", "--help"], capture_output=True, text=True
    )
    assert imported.returncode == 0
    for heavy in ("pydantic", "faust", "aiokafka", "numpy", "yaml", "prometheus_client"):
        assert f" {heavy}\n" not in imported.stderr


# --- replay ---


def test_replay_shows_verdicts_and_rules_and_lists_what_was_refused(cli: Runner, payments: Path, rules: Path) -> None:
    status, out, err = cli("replay", payments, "--rules", rules)
    assert status == 1
    assert err.startswith("line 4: schema: ")
    for row in (["pass", "放行", "2"], ["intercept", "拦截", "1"], ["AMT-001", "大额支付", "Large payment", "1"]):
        assert any([cell.strip() for cell in line.split("│")[1:-1]] == row for line in out.splitlines())
    assert "4 lines = 3 decisions + 0 duplicates + 1 refused (schema 1)\n" in out


def test_replay_writes_decisions_and_dead_letters(cli: Runner, payments: Path, rules: Path, tmp_path: Path) -> None:
    out, dead = tmp_path / "决定.jsonl", tmp_path / "dead.jsonl"
    assert cli("replay", payments, "--rules", rules, "--out", out, "--dead-letters", dead).status == 1
    decisions = [decode_decision(line) for line in out.read_bytes().splitlines()]
    assert [each.verdict for each in decisions] == ["pass", "intercept", "pass"]
    (refused,) = map(json.loads, dead.read_text(encoding="utf-8").splitlines())
    assert (refused["line"], refused["reason"]) == (4, "schema")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["dead.jsonl", "payments.jsonl", "rules", "决定.jsonl"]


def test_replay_for_machines_is_one_json_object(cli: Runner, payments: Path, rules: Path) -> None:
    summary = json.loads(cli("replay", payments, "--rules", rules, "--json").out)
    assert summary["verdicts"] == {"pass": 2, "warn": 0, "intercept": 1, "prohibit": 0}
    assert summary["refused"] == {"schema": 1}


def test_replay_of_a_clean_gzipped_file_ends_with_status_0(
    cli: Runner, payments: Path, rules: Path, tmp_path: Path
) -> None:
    clean = tmp_path / "clean.jsonl.gz"
    clean.write_bytes(gzip.compress(b"\n".join(payments.read_bytes().splitlines()[:3])))
    status, out, err = cli("replay", clean, "--rules", rules)
    assert (status, err) == (0, "")
    assert "3 lines = 3 decisions" in out


def test_replay_judges_with_the_rules_that_came_with_it(cli: Runner, payments: Path) -> None:
    assert json.loads(cli("replay", payments, "--json").out)["decisions"] == 3


def test_replay_tells_the_author_what_is_wrong_with_the_rules(cli: Runner, payments: Path, rules: Path) -> None:
    (rules / "test.yaml").write_text(RULES.replace("action: intercept", "action: stop"), encoding="utf-8")
    status, out, err = cli("replay", payments, "--rules", rules)
    assert (status, out) == (2, "")
    assert "test.yaml:10:11: error TW103" in err
    assert "Traceback" not in err


def test_replay_does_not_write_over_its_input(cli: Runner, payments: Path, rules: Path) -> None:
    before = payments.read_bytes()
    status, _, err = cli("replay", payments, "--rules", rules, "--out", payments)
    assert status == 2
    assert err.endswith("cannot write over the file that is being read\n")
    assert payments.read_bytes() == before


def test_a_file_that_breaks_off_leaves_no_half_result(cli: Runner, payments: Path, rules: Path, tmp_path: Path) -> None:
    broken, out = tmp_path / "broken.jsonl.gz", tmp_path / "out.jsonl"
    broken.write_bytes(gzip.compress(payments.read_bytes())[:-9])
    status, _, err = cli("replay", broken, "--rules", rules, "--out", out)
    assert status == 2
    assert "broken.jsonl.gz: cannot be read past line" in err
    assert not out.exists()


def test_only_the_first_refusals_are_shown_and_the_rest_counted(cli: Runner, rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "wrong.jsonl"
    path.write_bytes(b"{}\n" * 25)
    err = cli("replay", path, "--rules", rules).err.splitlines()
    assert len(err) == 11
    assert err[-1] == "… and 15 more; --dead-letters FILE lists all"


def test_decisions_on_standard_output_stand_alone_there(payments: Path, rules: Path) -> None:
    ran = subprocess.run(
        [*COMMAND, "replay", "-", "--rules", rules, "--out", "-"], input=payments.read_bytes(), capture_output=True
    )
    assert ran.returncode == 1
    assert [decode_decision(line).instruction_id for line in ran.stdout.splitlines()] == ["PI-0", "PI-1", "PI-2"]
    assert "4 lines = 3 decisions" in ran.stderr.decode()


def test_a_reader_that_leaves_early_is_no_error(payments: Path, rules: Path) -> None:
    payments.write_bytes(b"".join(payments.read_bytes().splitlines(keepends=True)[:3]) * 20_000)
    with subprocess.Popen(
        [*COMMAND, "replay", payments, "--rules", rules, "--out", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        # Duplicates make no output, so the pipe may never be written again: then it is a clean end.
        assert process.wait(60) in (0, 141)
        assert b"Traceback" not in process.stderr.read()


def test_an_interrupt_ends_quietly(rules: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "replay", "-", "--rules", rules],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        process.stdin.write(b"{}\n" * 5000)
        process.stdin.flush()
        assert process.stderr
        process.stderr.readline()  # it is at work
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert b"Traceback" not in err


def test_closed_streams_and_a_full_disk_bring_no_stack_trace(payments: Path, rules: Path) -> None:
    command = shlex.join([*COMMAND, "replay", "--rules", str(rules)])
    closed = subprocess.run(f"{command} {payments} >&-", shell=True, capture_output=True, text=True)
    assert (closed.returncode, closed.stderr.count("\n")) == (1, 1)
    no_input = subprocess.run(f"{command} - <&-", shell=True, capture_output=True, text=True)
    assert (no_input.returncode, no_input.stderr) == (0, "")
    full = subprocess.run(f"{command} {payments} --out /dev/full", shell=True, capture_output=True, text=True)
    assert full.returncode == 2
    assert full.stderr.endswith("error: No space left on device\n")


# --- simulate ---


def test_simulate_writes_the_same_bytes_for_the_same_seed(cli: Runner, tmp_path: Path) -> None:
    once, again, labels = (tmp_path / name for name in ("a.jsonl", "b.jsonl", "labels.jsonl"))
    status, out, err = cli("simulate", "--seed", 7, "--payments", 400, "--out", once, "--labels", labels)
    assert (status, err) == (0, "")
    planted = len(labels.read_bytes().splitlines())
    assert out.startswith(f"400 instructions, {planted} of them planted (")
    summary = json.loads(cli("simulate", "--seed", 7, "--payments", 400, "--out", again, "--json").out)
    assert (summary["instructions"], summary["labelled"]) == (400, planted)
    assert once.read_bytes() == again.read_bytes()
    assert json.loads(cli("replay", once, "--json").out)["decisions"] == 400


def test_simulate_writes_the_tables_of_its_city_into_a_rule_set(cli: Runner, tmp_path: Path) -> None:
    rules, out = Path(shutil.copytree(default_rules(), tmp_path / "rules")), tmp_path / "a.jsonl"
    options = ("--start", "2027-03-01", "--out", out, "--tables", rules / "tables")
    assert cli("simulate", "--seed", 7, "--payments", 400, *options).out.endswith(
        f"8 files of tables in {rules}/tables\n"
    )
    verdicts = [
        json.loads(cli("replay", out, "--rules", each, "--json").out)["verdicts"] for each in (default_rules(), rules)
    ]
    assert verdicts[0]["pass"] == 0
    assert verdicts[1]["pass"] > 350


def test_simulate_names_what_it_cannot_do(cli: Runner, tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    ran = cli("simulate", "--seed", 1, "--payments", 1, "--out", out, "--start", "9999-12-31", "--days", 3)
    assert (ran.status, ran.err) == (2, "error: expected at least one day, and none after the year 9999\n")
    assert not out.exists()


# --- import ---

MAPPING = """\
fields:
  instruction_id: 指令号
  event_time: {column: 时间, formats: ["%Y-%m-%d"], zone: Asia/Shanghai, assume_time: "09:00"}
  jurisdiction: {constant: "420100"}
  budget_unit: {constant: "101001"}
  payment_mode: {constant: direct}
  settlement: {constant: transfer}
  amount: 金额
"""


def test_import_counts_every_row_and_lists_rejects(cli: Runner, tmp_path: Path) -> None:
    source, mapping, out, rejects = (tmp_path / name for name in ("a.csv", "m.yaml", "a.jsonl", "r.jsonl"))
    mapping.write_text(MAPPING, encoding="utf-8")
    source.write_text('指令号,时间,金额\nA1,2025-03-05,"1,234.50"\nA2,2025-03-05,many\n', encoding="utf-8")
    status, shown, err = cli("import", source, "--mapping", mapping, "--out", out, "--rejects", rejects)
    assert status == 1
    assert shown.startswith("2 rows = 1 imported + 1 rejected (")
    assert err.startswith("line 3: ")
    assert [json.loads(line)["line"] for line in rejects.read_text().splitlines()] == [3]
    assert json.loads(out.read_bytes())["amount"] == "1234.50"
    summary = json.loads(cli("import", source, "--mapping", mapping, "--out", out, "--json").out)
    assert (summary["rows"], summary["imported"]) == (2, 1)


# --- rules ---


def test_rules_check_is_clean_or_finds(cli: Runner, rules: Path) -> None:
    assert cli("rules", "check", rules, "--fix").status == 0
    assert (rules / "rules.lock").is_file()
    assert cli("rules", "check", rules, "--as-of", "2025-03-05") == (0, f"{rules}: no findings on 2025-03-05\n", "")
    (rules / "test.yaml").write_text(RULES.replace("field: amount", "field: ammount"), encoding="utf-8")
    status, out, err = cli("rules", "check", rules)
    assert (status, err) == (1, "")
    assert "error TW201" in out
    found = json.loads(cli("rules", "check", rules, "--json").out)
    assert found[0]["code"] == "TW201"
    assert found[0]["line"] == 12


def test_rules_test_passes_or_says_which_step_failed(cli: Runner, rules: Path) -> None:
    assert cli("rules", "test", rules) == (0, "1 test in 1 file: all passed\n", "")
    (rules / "test.yaml").write_text(RULES.replace("gte: 500000.00", "gt: 500000.00"), encoding="utf-8")
    status, out, _ = cli("rules", "test", rules)
    assert status == 1
    assert "at the limit and one fen below" in out
    assert out.endswith("1 test in 1 file: 1 failed\n")
    failures = json.loads(cli("rules", "test", rules, "--json").out)["failures"]
    assert [each["test"] for each in failures] == ["at the limit and one fen below"]


def test_rules_schema_is_json(cli: Runner) -> None:
    assert json.loads(cli("rules", "schema").out)["$schema"]
