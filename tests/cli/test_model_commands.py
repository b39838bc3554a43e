"""`model evaluate` and `model explain` as their users meet them."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest

from tests.builders import SHANGHAI, make_instruction
from tests.test_cli import Runner
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.cli.console import progress

MONDAY = datetime(2025, 3, 3, 9, tzinfo=SHANGHAI)
COUNT = 60
ODD = "PI-59"


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
  action: warn
  when: {field: amount, gte: 500000.00}
  reason: {zh: "支付{amount}元", en: "Payment of CNY {amount}"}
"""


@pytest.fixture
def model(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runner:
    """Runs commands in a wide terminal, with a small rule set."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "test.yaml").write_text(RULES, encoding="utf-8")
    monkeypatch.setenv("TREASURY_WATCH_RULES_DIR", str(tmp_path / "rules"))
    monkeypatch.setenv("COLUMNS", "160")
    return Runner(capsys)


@pytest.fixture
def payments(tmp_path: Path) -> Path:
    """Payments of one unit to one payee, the last of them a thousand times as large."""
    path = tmp_path / "payments.jsonl"
    values = [
        make_instruction(
            instruction_id=f"PI-{at}",
            event_time=MONDAY + timedelta(days=at),
            amount="123450.00" if at == COUNT - 1 else f"{120 + at % 7}.00",
        )
        for at in range(COUNT)
    ]
    path.write_bytes(b"".join(encode_instruction(each) + b"\n" for each in values))
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.jsonl"
    path.write_text(f'{{"instruction_id":"{ODD}","kind":"large","rule_ids":[]}}\n', encoding="utf-8")
    return path


def test_the_result_says_what_was_counted_and_how_good_it_is(model: Runner, payments: Path, labels: Path) -> None:
    status, out, err = model("model", "evaluate", "--on", payments, "--labels", labels)
    assert status == 0, err
    assert "60 lines = 60 payments + 0 duplicates + 0 refused" in out
    assert "one for each jurisdiction; the last 48 payments are counted" in out
    assert "1 payments are labelled; of those that are counted, 48 have an answer and 1 are wrong" in out
    assert "│ average precision   │ 1.000        │" in out


def test_several_detectors_stand_side_by_side(model: Runner, payments: Path, labels: Path) -> None:
    status, out, _ = model(
        *("model", "evaluate", "--on", payments, "--labels", labels, "--json"),
        *("--detector", "TailSurprise", "--detector", "HalfSpaceTrees:n_trees=2,height=3"),
    )
    assert status == 0
    ours, theirs = json.loads(out)["detectors"]
    assert ours["detector"] == "TailSurprise"
    assert ours["average_precision"] == 1.0
    assert theirs["detector"] == "HalfSpaceTrees:n_trees=2,height=3"
    assert theirs["state_bytes"] > 0


def test_without_a_detector_it_takes_the_model_of_the_rules_and_its_shadow(
    model: Runner, payments: Path, tmp_path: Path
) -> None:
    text = "model: TailSurprise\ntarget: 2%\nshadow: {detector: HalfSpaceTrees, parameters: {n_trees: 2, height: 3}}\n"
    (tmp_path / "rules" / "model.yaml").write_text(text, encoding="utf-8")
    found = json.loads(model("model", "evaluate", "--on", payments, "--json").out)["detectors"]
    assert [(each["detector"], each["target"]) for each in found] == [
        ("TailSurprise", 0.02),
        ("HalfSpaceTrees:height=3,n_trees=2,seed=1", 0.02),
    ]
    said = json.loads(model("model", "evaluate", "--on", payments, "--json", "--target", 0.1).out)["detectors"]
    assert [each["target"] for each in said] == [0.1, 0.1]
    replayed = model("replay", payments)
    assert "shadow HalfSpaceTrees:height=3,n_trees=2,seed=1: 60 scored, 0 alerts, the model 0, both 0\n" in replayed.out
    tested = model("rules", "backtest", tmp_path / "rules", "--on", payments, "--against", tmp_path / "rules")
    assert "\nold: shadow HalfSpaceTrees:height=3,n_trees=2,seed=1: 60 scored" in tested.out


def test_without_labels_only_what_needs_none_is_told(model: Runner, payments: Path) -> None:
    status, out, _ = model("model", "evaluate", "--on", payments)
    assert status == 0
    assert "without labels: only rates of alerts, time and memory" in out
    assert "│ average precision   │ –            │" in out


def test_a_gzipped_file_says_the_same(model: Runner, payments: Path, labels: Path, tmp_path: Path) -> None:
    packed = tmp_path / "payments.jsonl.gz"
    packed.write_bytes(gzip.compress(payments.read_bytes()))
    plain, other = (
        json.loads(model("model", "evaluate", "--on", path, "--labels", labels, "--json").out)
        for path in (payments, packed)
    )
    assert plain["detectors"][0]["curve"] == other["detectors"][0]["curve"] == [[1.0, 1.0]]


def test_a_line_that_is_no_instruction_is_told_and_ends_with_status_1(model: Runner, payments: Path) -> None:
    payments.write_bytes(payments.read_bytes() + b"nonsense\n")
    status, out, err = model("model", "evaluate", "--on", payments)
    assert status == 1
    assert "line 61: malformed_json: " in err
    assert "61 lines = 60 payments + 0 duplicates + 1 refused (malformed_json 1)" in out


def test_a_label_that_is_none_is_told_with_its_line(model: Runner, payments: Path, labels: Path) -> None:
    labels.write_text("{}\n", encoding="utf-8")
    status, _, err = model("model", "evaluate", "--on", payments, "--labels", labels)
    assert status == 2
    assert "line 1 is no label" in err


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("--detector", "TailSuprise"), "no detector 'TailSuprise': did you mean 'TailSurprise'?"),
        (("--detector", "LODA:n_bin=3"), "LODA has no parameter 'n_bin': did you mean 'n_bins'?"),
        (("--target", "0"), "--target 0: expected a number between 0 and 1"),
        (("--target", "1"), "--target 1: expected a number between 0 and 1"),
        (("--partition-by", "jurisdicton"), "there is no field `jurisdicton`; did you mean `jurisdiction`?"),
        (("--html", "-"), "--html -: the result has standard output"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(model: Runner, payments: Path, wrong: tuple[str, str], told: str) -> None:
    status, out, err = model("model", "evaluate", "--on", payments, *wrong)
    assert (status, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


def test_there_is_one_model_for_each_value_of_the_field_that_is_named(model: Runner, payments: Path) -> None:
    _, out, _ = model("model", "evaluate", "--on", payments, "--partition-by", "instruction_id", "--json")
    assert json.loads(out)["models"] == COUNT


def test_the_page_is_written_beside_the_result(model: Runner, payments: Path, labels: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    status, out, _ = model("model", "evaluate", "--on", payments, "--labels", labels, "--html", page)
    assert status == 0
    assert "average precision" in out
    assert "异常模型评估报告" in page.read_text(encoding="utf-8")


def test_a_bar_of_progress_says_names_in_brackets_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("find x[/y]", 10) as done:
        done(10)
    assert "find x[/y]" in terminal.getvalue()


def test_the_page_is_not_written_over_the_labels(model: Runner, payments: Path, labels: Path) -> None:
    before = labels.read_bytes()
    status, _, err = model("model", "evaluate", "--on", payments, "--labels", labels, "--html", labels)
    assert (status, labels.read_bytes()) == (2, before)
    assert "cannot write over the file that is being read" in err


@pytest.mark.parametrize("said", ["", '{"instruction_id":"OTHER","kind":"planted"}\n', None])
def test_labels_that_name_no_payment_are_told(model: Runner, payments: Path, labels: Path, said: str | None) -> None:
    """Also the payments themselves, given as labels."""
    labels.write_bytes(payments.read_bytes() if said is None else said.encode())
    status, out, err = model("model", "evaluate", "--on", payments, "--labels", labels)
    assert (status, err) == (1, f"{labels}: no label names a payment of {payments}\n")
    assert "0 payments are labelled" in out


def test_a_payment_of_the_far_future_is_told_by_those_that_are_too_late_for_it(model: Runner, payments: Path) -> None:
    far = make_instruction(instruction_id="FAR", event_time=MONDAY + timedelta(days=40_000))
    lines = payments.read_bytes().splitlines()
    payments.write_bytes(b"\n".join([*lines[:-2], encode_instruction(far), *lines[-2:]]) + b"\n")
    for command in (("evaluate",), ("inspect",), ("explain", ODD)):
        _, _, err = model("model", *command, "--on", payments)
        assert err.startswith("payments over 31 days older than the newest before them: 2, "), command
    assert model("model", "explain", "PI-10", "--on", payments)[2] == ""


def test_names_in_brackets_are_shown_as_they_are(model: Runner, tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    names = ["a[/]", "[red]b[/red]", ":warning:"]
    path.write_bytes(
        b"\n".join(encode_instruction(make_instruction(instruction_id=each, jurisdiction=each)) for each in names)
    )
    status, out, err = model("model", "inspect", "--on", path)
    assert (status, err) == (0, "")
    assert all(each in out for each in names)


def test_the_page_is_not_written_over_the_payments(model: Runner, payments: Path) -> None:
    before = payments.read_bytes()
    status, _, err = model("model", "evaluate", "--on", payments, "--html", payments)
    assert status == 2
    assert "cannot write over the file that is being read" in err
    assert payments.read_bytes() == before


def test_other_commands_do_not_wait_for_river() -> None:
    program = "import sys; from treasury_watch.cli import run; run(['--help']); sys.exit('river' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=False).returncode == 0


# --- explain ---


def test_a_payment_is_explained_by_those_before_it(model: Runner, payments: Path) -> None:
    status, out, err = model("model", "explain", ODD, "--on", payments)
    assert status == 0, err
    assert "PI-59: 2025-05-01 09:00, 101001 → 江汉办公用品有限公司, CNY 123450.00; line 60" in out
    assert "no p-value before 2,000 payments are learned, here 59" in out
    assert "付款金额为该单位平常付给该收款人的" in out
    assert "what this unit usually pays this payee" in out


@pytest.mark.parametrize(
    ("language", "said", "unsaid"),
    [
        ("zh", ("异常分", "第 60 行", "占比", "原因"), ("score ", "line", "share", "reason")),
        ("en", ("score ", "line 60", "share", "reason"), ("异常分", "行", "占比", "原因")),
    ],
)
def test_it_is_explained_in_one_language(
    model: Runner, payments: Path, language: str, said: tuple[str, ...], unsaid: tuple[str, ...]
) -> None:
    _, out, _ = model("model", "explain", ODD, "--on", payments, "--lang", language)
    assert all(text in out for text in said)
    assert not any(text in out for text in unsaid)


def test_the_explanation_for_machines_has_values_and_shares(model: Runner, payments: Path) -> None:
    _, out, _ = model("model", "explain", ODD, "--on", payments, "--json")
    found = json.loads(out)
    assert (found["line"], found["learned"], found["partition_key"], found["p_value"]) == (60, 59, "420100", None)
    assert found["score"] > 100.0
    assert found["drivers"][0]["feature"].endswith("amount")
    assert 0.5 < sum(each["share"] for each in found["drivers"]) < 1.0 + 1e-9


def test_what_comes_after_a_payment_changes_nothing_of_it(model: Runner, payments: Path) -> None:
    whole = json.loads(model("model", "explain", "PI-30", "--on", payments, "--json").out)
    payments.write_bytes(b"".join(payments.read_bytes().splitlines(keepends=True)[:31]))
    assert json.loads(model("model", "explain", "PI-30", "--on", payments, "--json").out) == whole


def test_an_unknown_payment_is_told_with_the_nearest_id(model: Runner, payments: Path) -> None:
    status, _, err = model("model", "explain", "PI-599", "--on", payments)
    assert status == 2
    assert "no instruction `PI-599`; did you mean `PI-59`?" in err
