"""The catalogue: a kind of file of its own, held to the rules that there are."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from tests.rules.texts import HEAD, REASON, RULE, rule_file
from treasury_watch.adapters.rulefiles import default_rules, files_of
from treasury_watch.domain.verdict import Text
from treasury_watch.rules import check, read
from treasury_watch.rules.catalogue import FalseAlarm
from treasury_watch.rules.sets import catalogue_of, risk_points_of

WHEN = "  when: {field: amount, gt: 1.00}\n"
ROW = """\
catalogue:
- row: 15
  title: {zh: 敏感词, en: Luxury words}
  rules: [RULE-001]
  not_covered: [{zh: 图片附件, en: pictures}]
  false_alarms: [{source: {zh: 酒店, en: hotel}, answer: {zh: 排除词, en: excepted}}]
- {row: 29, left_out: {zh: 没有此项, en: no such row}}
"""


def findings(catalogue: str, rules: bytes = rule_file(WHEN)) -> list[str]:
    """Codes about the catalogue, from loading or, where the set loads, from checking."""
    files = {"office.yaml": rules, "catalogue.yaml": catalogue.encode()}
    ruleset, diagnostics = read(files)
    if ruleset is not None:
        diagnostics = check(ruleset, files, date(2025, 6, 1))
    return [each.code for each in diagnostics if each.code not in ("TW601", "TW605")]


def test_a_row_says_its_rules_or_why_there_are_none() -> None:
    rows = catalogue_of({"catalogue.yaml": ROW.encode()}) or ()
    assert [row.number for row in rows] == [15, 29]
    assert [each.id for each in rows[0].rules] == ["RULE-001"]
    assert (rows[0].rules[0].span.line, rows[0].rules[0].span.column) == (4, 11)
    assert rows[0].not_covered == (Text("图片附件", "pictures"),)
    assert rows[0].false_alarms == (FalseAlarm(Text("酒店", "hotel"), Text("排除词", "excepted")),)
    assert rows[1].left_out == Text("没有此项", "no such row")
    assert findings(ROW) == []


@pytest.mark.parametrize(
    ("catalogue", "expected"),
    [
        ("[{row: 1, rules: [RULE-001]}]", []),
        ("[{row: 1, rules: [RULE-001]}, {row: 2, rules: [RULE-001]}]", []),
        ("[{row: 1, rules: [RULE-001, RULE-002]}]", ["TW211"]),
        ("[{row: 1, rules: [RULE-002]}]", ["TW211", "TW608"]),
        ("[]", ["TW608"]),
        ("[{row: 1, rules: [RULE-001]}, {row: 2}]", ["TW609"]),
        ("[{row: 1, rules: [RULE-001]}, {row: 2, rules: []}]", ["TW609"]),
        ("[{row: 1, rules: [RULE-001], left_out: {zh: 无, en: none}}]", ["TW109"]),
        ("[{row: 1, rules: [RULE-001, RULE-001]}]", ["TW110"]),
        ("[{row: 1, rules: [RULE-001]}, {row: 1, rules: [RULE-001]}]", ["TW110"]),
        ("[{row: 0, rules: [RULE-001]}]", ["TW108"]),
        ("[{rules: [RULE-001]}]", ["TW102"]),
        ("[[RULE-001]]", ["TW104"]),
        ("RULE-001", ["TW104"]),
    ],
)
def test_a_catalogue_and_its_rules_agree(catalogue: str, expected: list[str]) -> None:
    assert findings(f"catalogue: {catalogue}\n") == expected


@pytest.mark.parametrize(
    ("mode", "expected"), [("live", ["TW608"]), ("shadow", ["TW608"]), ("draft", []), ("retired", [])]
)
def test_only_rules_that_run_need_a_row(mode: str, expected: list[str]) -> None:
    rules = (HEAD + RULE + f"  mode: {mode}\n" + WHEN + REASON).encode()
    assert findings("catalogue: []\n", rules) == expected


def test_a_set_without_a_catalogue_is_asked_for_none() -> None:
    files = {"office.yaml": rule_file(WHEN)}
    ruleset, _ = read(files)
    assert ruleset is not None
    assert catalogue_of(files) is None
    assert "TW608" not in [each.code for each in check(ruleset, files, date(2025, 6, 1))]


def test_the_catalogue_is_no_part_of_the_hash() -> None:
    with_it, _ = read({"office.yaml": rule_file(WHEN), "catalogue.yaml": ROW.encode()})
    without, _ = read({"office.yaml": rule_file(WHEN)})
    assert with_it is not None
    assert without is not None
    assert with_it.hash == without.hash


def test_the_examples_of_the_rule_guide_are_read_without_complaint() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "rule-reference.md").read_text("utf-8")
    blocks = re.findall(r"```yaml\n((?:catalogue|risk_points):.*?)```", guide, re.DOTALL)
    files = {f"{number}.yaml": block.encode() for number, block in enumerate(blocks)}
    assert len(files) == 2
    assert read({"office.yaml": rule_file(WHEN), **files})[1] == []
    assert [row.number for row in catalogue_of(files) or ()] == [2, 29]
    assert [point.id for point in risk_points_of(files) or ()] == ["RP-02"]


def test_the_shipped_catalogue_has_every_row_and_agrees_with_the_rules() -> None:
    files = files_of(default_rules())
    ruleset, _ = read(files)
    assert ruleset is not None
    found = [each for each in check(ruleset, files, date(2025, 6, 1)) if each.code in ("TW211", "TW608", "TW609")]
    assert found == []
    rows = catalogue_of(files) or ()
    assert [row.number for row in rows] == list(range(1, 41))
    assert [row.number for row in rows if row.left_out is not None] == [29, 32]
