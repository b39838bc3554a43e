"""`rules promote` as its users meet it: what it writes, and everything that it refuses."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.builders import make_instruction
from treasury_watch.adapters.rulefiles import check, load
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.cli import run
from treasury_watch.rules.canonical import logic_hash

RULES = """\
ruleset: office
owner: li@example.gov
timezone: Asia/Shanghai
partition_by: jurisdiction
defaults: {action: intercept}
rules:
- id: BIG-001
  revision: 3   # of today
  mode: MODE    # for now
  title: {zh: 大额, en: Large}
  when: {field: amount, gte: 50000.00}
  reason: {zh: "{amount}", en: "{amount}"}
test_base: {jurisdiction: "420100", budget_unit: "101001", amount: 1.00, payment_mode: direct, settlement: transfer}
tests:
- name: at the limit and one fen below
  start: 2025-03-05T09:00:00+08:00
  steps:
  - {at: 0h, pay: {amount: 49999.99}, expect: pass}
  - {at: 1h, pay: {amount: 50000.00}, expect: {intercept: [BIG-001]}}
"""


class Office:
    """A directory with one rule, its payments and its back-test."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.rules = folder / "rules"
        self.rules.mkdir()
        self.path = self.rules / "office.yaml"
        self.backtest = folder / "backtest.json"
        self._payments = folder / "payments.jsonl"
        self._capsys = capsys
        amounts = ["1.00", "49999.99", "50000.00", "60000.00"]
        made = [make_instruction(instruction_id=f"PI-{number}", amount=each) for number, each in enumerate(amounts)]
        self._payments.write_bytes(b"\n".join(map(encode_instruction, made)) + b"\n")
        self.write(RULES.replace("MODE", "shadow"))

    def write(self, text: str) -> None:
        self.path.write_bytes(text.encode())

    def measure(self, **changes: Any) -> None:
        run(["rules", "backtest", str(self.rules), "--on", str(self._payments), "--json"])
        result = json.loads(self._capsys.readouterr().out)
        result["rules"][0].update(changes.pop("rule", {}))
        self.backtest.write_text(json.dumps(result | changes), encoding="utf-8")

    def promote(self, *arguments: str) -> tuple[int, str, str]:
        status = run(["rules", "promote", "BIG-001", str(self.rules), *arguments])
        return (status, *self._capsys.readouterr())

    def refused(self, *arguments: str) -> str:
        before = {path: path.read_bytes() for path in self.rules.iterdir()}
        status, out, err = self.promote(*(arguments or ("--backtest", str(self.backtest))))
        assert (status, out) == (2, "")
        assert {path: path.read_bytes() for path in self.rules.iterdir()} == before
        return err


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    return Office(tmp_path, capsys)


def test_a_rule_goes_live_with_its_shadow_numbers(office: Office) -> None:
    office.measure()
    logic = logic_hash(load(office.rules).rules[0])
    status, out, _ = office.promote("--backtest", str(office.backtest))
    assert status == 0
    assert "BIG-001 is live: 2 hits on 4 payments (50.0000%) of 2025-03-05 to 2025-03-05" in out
    text = office.path.read_text("utf-8")
    record = text[text.index("  promoted:") : text.index("  title:")]
    assert [line.split(":")[0].strip() for line in record.splitlines()] == [
        *("promoted", "on", "revision", "payments", "hits", "share", "held", "held_amount", "first_day", "last_day"),
        "file",
    ]
    assert "    held_amount: 110000.00\n" in record
    assert text.replace(record, "") == RULES.replace("MODE ", "live ")  # every other byte is as it was
    (rule,) = load(office.rules).rules
    assert (rule.mode, rule.revision, logic_hash(rule)) == ("live", 3, logic)
    assert check(office.rules, date(2025, 6, 1)) == []


def test_a_draft_goes_into_shadow_without_a_back_test_and_into_the_lock(office: Office) -> None:
    office.write(RULES.replace("MODE", "draft"))
    assert office.promote("--to", "shadow")[0] == 0
    assert office.path.read_text("utf-8") == RULES.replace("MODE ", "shadow ")
    assert "BIG-001: {revision: 3" in (office.rules / "rules.lock").read_text("utf-8")


def test_line_ends_flow_style_and_a_mode_by_default_are_kept(office: Office) -> None:
    block = RULES.replace("  mode: MODE    # for now\n", "").replace(
        "intercept}\nrules", "intercept, mode: shadow}\nrules"
    )
    office.write(block.replace("\n", "\r\n"))
    office.measure()
    assert office.promote("--backtest", str(office.backtest))[0] == 0
    assert b"# of today\r\n  mode: live\r\n  promoted:\r\n    on: " in office.path.read_bytes()
    flow = (
        "- {id: BIG-001, revision: 3, mode: shadow, title: {zh: 大额, en: Large},\n"
        "   when: {field: amount, gte: 50000.00},\n"
        '   reason: {zh: "{amount}", en: "{amount}"}}\n'
    )
    office.write(RULES[: RULES.index("- id")] + flow + RULES[RULES.index("test_base") :])
    office.measure()
    assert office.promote("--backtest", str(office.backtest))[0] == 0
    assert "mode: live, promoted: {on: " in office.path.read_text("utf-8")
    assert load(office.rules).rules[0].mode == "live"


def test_the_record_of_last_time_is_replaced(office: Office) -> None:
    office.measure()
    office.promote("--backtest", str(office.backtest))
    once = office.path.read_text("utf-8")
    office.write(once.replace("mode: live", "mode: shadow"))
    office.measure()
    assert office.promote("--backtest", str(office.backtest))[0] == 0
    assert office.path.read_text("utf-8") == once


def test_without_a_back_test_no_rule_goes_live(office: Office) -> None:
    assert "rules backtest" in office.refused("--to", "live")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rule": {"id": "BIG-002"}}, "the back-test has no rule `BIG-001`"),
        ({"rule": {"logic": "sha256:" + "0" * 64}}, "judged with other logic of `BIG-001`: run it again"),
        ({"rule": {"logic": "sha256:" + "0" * 64, "revision": 2}}, "judged with revision 2 of `BIG-001`"),
        ({"rule": {"payments": 0}}, "no payment on a day on which `BIG-001` was in effect"),
        ({"schema_version": 2}, "the back-test has schema version 2, not 1"),
        ({"rules": "x"}, "this is no result of `rules backtest --json`"),
        ({"file": {"sha256": "x"}}, "this is no result of `rules backtest --json`"),
    ],
)
def test_a_back_test_of_something_else_is_refused(office: Office, changes: dict[str, Any], told: str) -> None:
    office.measure(**changes)
    assert told in office.refused()


@pytest.mark.parametrize("text", ["", "[]", "null", '{"schema_version": 1}', "\ufeff{", "[" * 100_000])
def test_what_is_no_back_test_is_refused(office: Office, text: str) -> None:
    office.backtest.write_text(text, encoding="utf-8")
    assert office.refused() == "error: this is no result of `rules backtest --json`\n"


def test_logic_that_changed_after_the_back_test_is_refused(office: Office) -> None:
    office.measure()
    office.write(office.path.read_text("utf-8").replace("gte: 50000.00", "gte: 49999.99"))
    assert "run it again" in office.refused()


def test_a_rule_that_broke_its_expectation_is_refused(office: Office) -> None:
    office.write(RULES.replace("MODE    # for now", "shadow\n  expect: {max_share: 10%}"))
    office.measure()
    assert "`BIG-001` hit 50.00% of the payments, more than its file expects" in office.refused()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("49999.99}, expect: pass", "49999.99}, expect: warn", "tests of its file fail"),
        ("expect: {intercept: [BIG-001]}", "expect: pass", "no test hits the live rule `BIG-001`"),
        ("  - {at: 0h, pay: {amount: 49999.99}, expect: pass}\n", "", "no boundary miss of `BIG-001`"),
    ],
)
def test_a_rule_whose_tests_fail_or_are_absent_is_refused(office: Office, old: str, new: str, told: str) -> None:
    office.write(office.path.read_text("utf-8").replace(old, new))
    office.measure()
    assert told in office.refused()


@pytest.mark.parametrize(
    ("mode", "arguments", "told"),
    [
        (
            "draft",
            (),
            "`BIG-001` is a draft, and only a shadow rule becomes live; first: rules promote BIG-001 --to shadow",
        ),
        ("live", (), "`BIG-001` is live, and only a shadow rule becomes live"),
        ("retired", (), "`BIG-001` is retired, and only a shadow rule becomes live"),
        ("shadow", ("--to", "shadow"), "`BIG-001` is in shadow, and only a draft rule becomes shadow"),
    ],
)
def test_each_step_is_taken_from_the_one_before(
    office: Office, mode: str, arguments: tuple[str, ...], told: str
) -> None:
    office.measure()
    office.write(RULES.replace("MODE", mode))
    assert told in office.refused(*arguments)


def test_an_unknown_rule_is_told_the_nearest_one(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "promote", "BIG-002", str(office.rules), "--to", "shadow"]) == 2
    assert re.search("did you mean `BIG-001`", capsys.readouterr().err)
