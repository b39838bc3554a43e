"""`rules coverage` as its users meet it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from treasury_watch.cli import run

RULES = """\
ruleset: test
owner: someone@example.org
timezone: Asia/Shanghai
partition_by: jurisdiction
defaults: {mode: live, action: warn, risk_point: RP-1}
rules:
- id: AMT-001
  revision: 1
  title: {zh: 大额支付, en: Large payment}
  when: {field: amount, gte: 500.00}
  reason: {zh: "支付{amount}元", en: "Payment of CNY {amount}"}
test_base: {jurisdiction: "420100", budget_unit: "101001", amount: 1.00, payment_mode: direct, settlement: transfer}
tests:
- name: at the limit and one fen below, and in another currency
  start: 2025-03-05T09:00:00+08:00
  steps:
  - {at: 0h, pay: {amount: 499.99}, expect: pass}
  - {at: 1h, pay: {amount: 500.00}, expect: {warn: [AMT-001]}}
  - {at: 2h, pay: {currency: USD}, expect: {warn: [AMT-001]}}
"""
POINT = "- {id: %s, step: review, title: {zh: 风险, en: Risk}, measure: {zh: 措施, en: Measure}}\n"
UNTESTED = RULES[: RULES.index("test_base")]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "test.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "risk-points.yaml").write_text("risk_points:\n" + POINT % "RP-1", encoding="utf-8")
    (tmp_path / "catalogue.yaml").write_text("catalogue: [{row: 1, rules: [AMT-001]}]\n", encoding="utf-8")
    return tmp_path


def test_nothing_left_open_is_exit_0(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "coverage", str(rules)]) == 0
    assert capsys.readouterr().out == (
        "1 risk points: 1 with live rules, 0 with shadow rules only, 0 without; 0 rules without a risk point;"
        " 0 live rules without all tests\n"
    )


def test_what_is_left_open_is_told_in_plain_lines_and_is_exit_1(
    rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (rules / "risk-points.yaml").write_text("risk_points:\n" + POINT % "RP-9", encoding="utf-8")
    (rules / "test.yaml").write_text(UNTESTED, encoding="utf-8")
    assert run(["rules", "coverage", str(rules)]) == 1
    assert capsys.readouterr().out.splitlines()[:-1] == [
        "Risk points without a live rule:",
        "  RP-9  review  Risk 风险  no rule",
        "Rules without a risk point:",
        "  AMT-001  Large payment  RP-1",
        "Live rules whose tests lack a case:",
        "  AMT-001  Large payment  hit, boundary miss, missing field",
    ]


def test_json_says_the_same(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rules / "test.yaml").write_text(UNTESTED, encoding="utf-8")
    assert run(["rules", "coverage", str(rules), "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "risk_points": [
            {
                "id": "RP-1",
                "step": "review",
                "state": "live",
                "rules": [{"rule": "AMT-001", "mode": "live", "level": "yellow"}],
            }
        ],
        "rules_without_risk_point": [],
        "live_rules_without_tests": [{"rule": "AMT-001", "lacks": ["hit", "boundary miss", "missing field"]}],
    }


def test_pages_are_printed_whole(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "coverage", str(rules), "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("# Risk points 风险点\n")
    assert run(["rules", "coverage", str(rules), "--catalogue"]) == 0
    assert capsys.readouterr().out.startswith("# Catalogue of rules 规则目录\n")


def test_wrong_use_is_exit_2_and_one_line(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "coverage", str(rules), "--markdown", "--json"]) == 2
    assert capsys.readouterr() == (
        "",
        "error: --json, --markdown and --catalogue each print the whole result: give one of them\n",
    )
    (rules / "catalogue.yaml").unlink()
    assert run(["rules", "coverage", str(rules), "--catalogue"]) == 2
    assert capsys.readouterr().err == f"error: {rules}: there is no catalogue.yaml\n"
    assert run(["rules", "coverage", str(rules / "nowhere")]) == 2


def test_rules_that_do_not_load_are_exit_2(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rules / "catalogue.yaml").write_text("catalogue: [{row: 1, rules: [amt]}]\n", encoding="utf-8")
    assert run(["rules", "coverage", str(rules)]) == 2
    assert "catalogue.yaml:1:30: error TW108" in capsys.readouterr().err
