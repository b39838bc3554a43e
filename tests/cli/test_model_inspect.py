"""`model inspect` and `model warm` as their users meet them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.builders import SHANGHAI, make_instruction
from tests.test_cli import Runner
from treasury_watch.adapters.kafka import restore
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.payment import Instruction
from treasury_watch.engine import Engine

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
MODEL = "model: TailSurprise\ntarget: 2%\n"
MONDAY = datetime(2025, 3, 3, 9, tzinfo=SHANGHAI)


@pytest.fixture
def plain(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runner:
    """Runs commands in a wide terminal, with rules that name no model and a data directory of its own."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "test.yaml").write_text(RULES, encoding="utf-8")
    monkeypatch.setenv("TREASURY_WATCH_RULES_DIR", str(tmp_path / "rules"))
    monkeypatch.setenv("TREASURY_WATCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "160")
    return Runner(capsys)


@pytest.fixture
def modelled(plain: Runner, tmp_path: Path) -> Runner:
    """The same with a model, of which 2 % of payments are to alert."""
    (tmp_path / "rules" / "model.yaml").write_text(MODEL, encoding="utf-8")
    return plain


@pytest.fixture
def payments(tmp_path: Path) -> Path:
    """60 payments of one unit to one payee, one a day."""
    return written(
        tmp_path,
        *(make_instruction(instruction_id=f"PI-{at}", event_time=MONDAY + timedelta(days=at)) for at in range(60)),
    )


def written(folder: Path, *instructions: Instruction) -> Path:
    path = folder / "payments.jsonl"
    with path.open("ab") as file:
        file.write(b"".join(encode_instruction(each) + b"\n" for each in instructions))
    return path


def test_it_says_of_each_model_what_it_knows(modelled: Runner, payments: Path) -> None:
    status, out, err = modelled("model", "inspect", "--on", payments)
    assert (status, err) == (0, "")
    assert "│ 420100       │     60 │      60 │ lacks 1,940 │ 2.00% │ –      │ 10.00% │ the first │ –     │" in out
    assert "│ 420100       │     1 │      1 │     1 │        0 │      0 │" in out
    assert "payments.jsonl: 1 models, one for each jurisdiction; 0 have the 2,000 scores that a p-value needs; " in out
    assert "target 2.00%" in out
    assert "Features" not in out


def test_one_of_them_is_shown_with_its_histograms(modelled: Runner, payments: Path) -> None:
    status, out, _ = modelled("model", "inspect", "--on", payments, "--key", "420100")
    assert status == 0
    assert "│ pair_amount    │ 1     │ 1    │ ×1.00 │" in out
    assert "█" in out
    assert "from 0.00: 0.00 + 1.00 a unit" in out


def test_for_machines_there_is_everything(modelled: Runner, payments: Path) -> None:
    found = json.loads(modelled("model", "inspect", "--on", payments, "--key", "420100", "--json").out)
    assert (found["partition_by"], found["target"], found["warm_at"], found["refused"]) == (
        "jurisdiction",
        0.02,
        2000,
        {},
    )
    assert found["source"]["name"] == "payments.jsonl"
    assert [each["partition_key"] for each in found["models"]] == ["420100"]
    assert len(found["shown"]["histograms"]) == 13
    assert len(found["shown"]["scores"]) == 60
    assert json.loads(modelled("model", "inspect", "--on", payments, "--json").out)["shown"] is None


def test_a_key_that_there_is_not_is_told_with_the_nearest(modelled: Runner, payments: Path) -> None:
    assert modelled("model", "inspect", "--on", payments, "--key", "42010") == (
        2,
        "",
        "error: --key 42010: no model of this jurisdiction; did you mean `420100`?\n",
    )


def test_the_page_shows_the_model_that_has_learned_most(modelled: Runner, payments: Path, tmp_path: Path) -> None:
    written(tmp_path, make_instruction(jurisdiction="420200"))
    page = tmp_path / "page.html"
    status, out, _ = modelled("model", "inspect", "--on", payments, "--html", page)
    assert status == 0
    assert "Features" not in out
    text = page.read_text(encoding="utf-8")
    assert '<h1>jurisdiction <span class="id">420100</span></h1>' in text
    modelled("model", "inspect", "--on", payments, "--html", page, "--key", "420200")
    assert '<h1>jurisdiction <span class="id">420200</span></h1>' in page.read_text(encoding="utf-8")


def test_lines_that_are_refused_are_told_and_the_status_is_1(modelled: Runner, payments: Path) -> None:
    with payments.open("ab") as file:
        file.write(b"{\n")
    status, out, err = modelled("model", "inspect", "--on", payments)
    assert status == 1
    assert "420100" in out
    assert err.startswith("line 61: malformed_json")


def test_a_file_without_a_payment_has_no_model(modelled: Runner, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    status, out, _ = modelled("model", "inspect", "--on", tmp_path / "empty", "--html", tmp_path / "page.html")
    assert status == 1
    assert out.startswith("empty: 0 models")
    assert (tmp_path / "page.html").is_file()


def test_the_states_of_workers_are_inspected_without_a_file(modelled: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    async def of_topic(settings: Any, program: Any, partition: int) -> Any:
        if partition == 1:
            raise restore.StateDamaged("nothing is left")
        engine = Engine(program)
        engine.assess([make_instruction(jurisdiction=f"42010{partition}")])
        engine.absorb()
        return restore.Restored(engine, 1, 0, 0, 0, None)

    monkeypatch.setattr(restore, "restore", of_topic)
    monkeypatch.setenv("TREASURY_WATCH_PARTITIONS", "3")
    status, out, err = modelled("model", "inspect")
    assert (status, err) == (1, "partition 1: nothing is left\n")
    assert "treasury.state: 2 models, one for each jurisdiction" in out
    found = json.loads(modelled("model", "inspect", "--json").out)
    assert [(each["partition"], each["partition_key"]) for each in found["models"]] == [(0, "420100"), (2, "420102")]
    assert found["damaged"] == [{"partition": 1, "problem": "nothing is left"}]


def test_without_a_model_in_the_rules_workers_keep_none(plain: Runner) -> None:
    status, _, err = plain("model", "inspect")
    assert (status, err) == (2, "error: the rules name no model, so workers keep none; `--on FILE` learns a file\n")


# --- warm ---


@pytest.mark.parametrize("group", ["state", "model"])
def test_history_says_how_many_scores_it_gives_each_model(
    modelled: Runner, payments: Path, tmp_path: Path, group: str
) -> None:
    more = [
        make_instruction(instruction_id=f"M{at}", jurisdiction="420200", event_time=MONDAY + timedelta(minutes=at))
        for at in range(2_000)
    ]
    written(tmp_path, *more)
    status, out, err = modelled(group, "warm", "--on", payments)
    assert (status, err) == (0, "")
    assert "│ 420100       │     60 │ lacks 1,940 │" in out
    assert "│ 420200       │  2,000 │ yes         │" in out
    found = json.loads(modelled(group, "warm", "--on", payments, "--json").out)
    assert found["model"] == {"warm_at": 2000, "scores": {"420100": 60, "420200": 2000}}


def test_help_says_that_it_warms_windows_and_model(plain: Runner) -> None:
    for group in ("state", "model"):
        assert "windows and the anomaly model" in " ".join(plain(group, "warm", "--help").out.split())


def test_rules_without_a_model_have_nothing_to_warm(plain: Runner, payments: Path) -> None:
    assert json.loads(plain("model", "warm", "--on", payments, "--json").out)["model"] is None
