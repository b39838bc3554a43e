"""`rules new` as its users meet it: a draft whose test passes at once, in a file that else stays as it was."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest

from tests.rules.texts import HEAD
from treasury_watch.adapters.rulefiles import check, load
from treasury_watch.cli import run
from treasury_watch.engine.ruletest import run_tests
from treasury_watch.rules.scaffold import MAKERS

EXISTING = (
    HEAD.replace("action: warn}", "action: warn, effective: {from: 2025-01-01}}")
    + """\
- id: OLD-001   # the first
  revision: 1
  title: {zh: 规则, en: Rule}
  when: {field: amount, gte: 100.00}
  reason:
    zh: "{amount}"
    en: "{amount}"

# what tests start from
test_base: {jurisdiction: "420100", budget_unit: "101001", amount: 1.00, payment_mode: direct, settlement: transfer}
tests:
- name: at the limit and one fen below
  start: 2025-03-05T09:00:00+08:00
  steps:
  - {at: 0h, pay: {amount: 99.99}, expect: pass}
  - {at: 1h, pay: {amount: 100.00}, expect: {warn: [OLD-001]}}
# the end
"""
)


def new(folder: Path, **options: str) -> int:
    said = {
        "id": "NEW-001",
        "title-zh": "新规则：试",
        "title-en": 'A "new" rule: try',
        "file": "office.yaml",
        "action": "intercept",
        "field": "amount",
        "operator": "gte",
        "value": "200.00",
        "owner": "li@example.gov",
    } | {name.replace("_", "-"): value for name, value in options.items()}
    return run(["rules", "new", str(folder), *(each for name, value in said.items() for each in (f"--{name}", value))])


def in_order(folder: Path) -> bool:
    ruleset = load(folder)
    drafts = [rule for rule in ruleset.rules if rule.id.startswith("NEW")]
    return bool(drafts) and all(rule.mode == "draft" for rule in drafts) and run_tests(ruleset) == []


def test_a_new_file_is_whole_and_its_test_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert new(tmp_path / "rules") == 0
    assert in_order(tmp_path / "rules")
    assert {each.code for each in check(tmp_path / "rules", date(2025, 6, 1))} == {"TW605"}  # drafts have no other duty
    out = capsys.readouterr().out
    assert "office.yaml:7: NEW-001, a draft with a test; the test of its file passes" in out
    assert "rules promote NEW-001" in out


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_file_that_is_there_keeps_every_other_byte(tmp_path: Path, end: str, mark: bytes) -> None:
    before = mark + EXISTING.replace("\n", end).encode()
    (tmp_path / "office.yaml").write_bytes(before)
    assert new(tmp_path) == 0
    after = (tmp_path / "office.yaml").read_bytes()
    left = iter(after.splitlines(keepends=True))
    assert all(line in left for line in before.splitlines(keepends=True))  # all of them, in their order
    text = after.decode("utf-8-sig").replace(end, "\n")
    assert "effective" not in text[text.index("- id: NEW-001") :]
    assert text.index("- id: NEW-001") < text.index("# what tests start from")
    assert "pay: {amount: 199.99}, expect: {warn: [OLD-001]}}" in text  # what other rules say is expected too
    assert "pay: {amount: 200.00}, expect: {intercept: [OLD-001, NEW-001]}}" in text
    assert in_order(tmp_path)


def test_a_file_without_a_line_end_or_without_a_base_gets_what_it_needs(tmp_path: Path) -> None:
    without = EXISTING[: EXISTING.index("# what tests")].rstrip("\n")
    (tmp_path / "office.yaml").write_bytes(without.encode())
    assert new(tmp_path) == 0
    assert in_order(tmp_path)
    full = 'pay: {jurisdiction: "1", budget_unit: "1", payment_mode: direct, settlement: transfer, '
    own = EXISTING[: EXISTING.index("# what tests")] + EXISTING[EXISTING.index("tests:") :].replace("pay: {", full)
    (tmp_path / "office.yaml").write_bytes(own.encode())
    assert new(tmp_path) == 0
    assert in_order(tmp_path)


FIELDS = {
    "amount": "200.00",
    "voucher_date": "2025-12-31",
    "purpose": "旅游",
    "unit_level": "county",
    "green_channel": "true",
    "attributes.level": "3",
}


@pytest.mark.parametrize("operator", MAKERS)
@pytest.mark.parametrize("field", FIELDS)
def test_what_is_written_passes_or_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str, operator: str
) -> None:
    value = {"is_missing": "true", "between": f"{FIELDS[field]},{FIELDS[field]}"}.get(operator, FIELDS[field])
    status = new(tmp_path / "rules", field=field, operator=operator, value=value)
    if status == 0:
        assert in_order(tmp_path / "rules")
    else:
        assert status == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert not (tmp_path / "rules").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"id": "OLD-001"}, "there is a rule `OLD-001` already: "),
        ({"id": "new-1"}, "--id new-1: expected capitals, digits and hyphens"),
        ({"action": "block"}, "--action block: use record, warn, intercept, prohibit"),
        ({"field": "amuont"}, "--field amuont: did you mean `amount`?"),
        ({"field": "event_time"}, "--field event_time: no such field"),
        ({"operator": "matches"}, "--operator matches: use `gte`"),
        ({"operator": "contains"}, "--operator contains: not for `amount`"),
        ({"value": "viel"}, "--value viel: not an amount, as in 50000.00"),
        ({"value": "1.005"}, "--value 1.005: amounts are yuan with two places"),
        ({"value": "NaN"}, "--value NaN: not an amount"),
        ({"value": ""}, "--value: nothing stands there"),
        ({"operator": "between", "value": "5,1"}, "`between` takes the lowest and the highest value"),
        ({"field": "unit_level", "operator": "eq", "value": "village"}, "--value village: use `central`"),
        ({"file": "lists/a.yaml"}, "--file lists/a.yaml: a name such as cash.yaml"),
        ({"file": "a.yml"}, "--file a.yml: a name such as cash.yaml"),
    ],
)
def test_what_makes_no_rule_is_refused_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, str], told: str
) -> None:
    (tmp_path / "office.yaml").write_text(EXISTING, encoding="utf-8")
    assert new(tmp_path, **options) == 2
    assert told in capsys.readouterr().err
    assert (tmp_path / "office.yaml").read_text("utf-8") == EXISTING


def test_a_file_in_brackets_is_left_to_its_author(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flow = HEAD.replace("rules:\n", "rules: [") + (
        "{id: OLD-001, revision: 1, title: {zh: a, en: a}, when: {field: amount, gt: 1}, reason: {zh: a, en: a}}]\n"
    )
    (tmp_path / "office.yaml").write_text(flow, encoding="utf-8")
    assert new(tmp_path) == 2
    assert "its lists stand in brackets" in capsys.readouterr().err


def test_a_set_that_does_not_load_is_explained_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "office.yaml").write_text(EXISTING.replace("gte: 100.00", "gte: 1e2"), encoding="utf-8")
    assert new(tmp_path) == 2
    assert "TW105" in capsys.readouterr().err


def test_without_a_terminal_nobody_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "new", str(tmp_path), "--id", "NEW-001"]) == 2
    assert "nothing says --title-zh, --title-en" in capsys.readouterr().err


def test_on_a_terminal_what_no_option_says_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    answers = iter(["NEW-001", "标题", "Title", "office.yaml", "warn", "amount", "gt", "5.00", "li@example.gov"])

    def prompt(question: str, err: bool) -> str:
        asked.append(question)
        return next(answers)

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", prompt)
    (tmp_path / "rules").mkdir()
    assert run(["rules", "new", str(tmp_path / "rules")]) == 0
    assert len(asked) == 9
    assert asked[-1].startswith("Owner")
    assert in_order(tmp_path / "rules")
    again = iter(["NEW-002", "标题", "Title", "other.yaml", "warn", "amount", "gt", "6.00"])
    monkeypatch.setattr("typer.prompt", lambda question, err: next(again))
    assert run(["rules", "new", str(tmp_path / "rules")]) == 0
    assert {file.owner for file in load(tmp_path / "rules").files} == {"li@example.gov"}  # the set's own is not asked
