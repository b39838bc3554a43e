"""A rule file and its rules."""

from __future__ import annotations

from datetime import date

import pytest

from tests.rules.texts import HEAD, REASON, RULE, errors_of, read_rule, read_set, rule_file
from treasury_watch.domain.verdict import Text
from treasury_watch.rules import read

WHEN = "  when: {field: amount, gt: 1.00}\n"


def test_a_rule_has_what_its_file_says() -> None:
    rule = read_rule("""\
  mode: shadow
  action: prohibit
  level: blue
  evidence_required: true
  risk_point: RP-1
  basis: {zh: 办法, en: Regulation}
  effective: {from: 2025-01-01, until: 2026-01-01}
  on_missing: intercept
  when: {field: amount, gt: 1.00}
  exceptions:
  - {match: {field: budget_unit, eq: "101"}, owner: li, basis: 批复, expires: 2025-06-30}
""")
    assert (rule.id, rule.revision, rule.title) == ("RULE-001", 1, Text("规则", "Rule"))
    assert (rule.mode, rule.action, rule.level, rule.evidence_required) == ("shadow", "prohibit", "blue", True)
    assert (rule.risk_point, rule.basis, rule.on_missing) == ("RP-1", Text("办法", "Regulation"), "intercept")
    assert (rule.effective_from, rule.effective_until) == (date(2025, 1, 1), date(2026, 1, 1))
    assert rule.reason == Text("金额{amount}元", "CNY {amount}")
    (exception,) = rule.exceptions
    assert (exception.owner, exception.basis, exception.expires) == ("li", "批复", date(2025, 6, 30))
    assert rule.span is not None
    assert (rule.span.file, rule.span.line, rule.span.column) == ("office.yaml", 7, 7)


def test_what_a_rule_does_not_say_comes_from_the_defaults_of_its_file() -> None:
    head = HEAD.replace(
        "action: warn", "action: intercept, on_missing: pass, effective: {from: 2025-01-01}, risk_point: RP-9"
    )
    ruleset, _ = read({"f.yaml": (head + RULE + "  effective: {until: 2026-01-01}\n" + WHEN + REASON).encode()})
    assert ruleset is not None
    (rule,) = ruleset.rules
    assert (rule.action, rule.on_missing, rule.risk_point) == ("intercept", "pass", "RP-9")
    assert (rule.effective_from, rule.effective_until) == (None, date(2026, 1, 1))  # a key replaces a key, whole


def test_a_missing_condition_is_a_warning_unless_said_otherwise() -> None:
    assert read_rule(WHEN).on_missing == "warn"


@pytest.mark.parametrize(
    ("body", "level"),
    [
        ("  action: prohibit\n", "grey"),
        ("  action: intercept\n", "red"),
        ("  action: warn\n  evidence_required: true\n", "orange"),
        ("  action: warn\n", "yellow"),
        ("  action: record\n", "blue"),
        ("  action: record\n  level: red\n", "red"),
    ],
)
def test_the_level_follows_from_the_action(body: str, level: str) -> None:
    assert read_rule(body + WHEN).level == level


@pytest.mark.parametrize(
    ("body", "code", "pointed"),
    [
        ("  modes: live\n", "TW101", "modes"),
        ("  action: block\n", "TW103", "block"),
        ("  effective: {from: 2025-01-02, until: 2025-01-02}\n", "TW404", "{"),
        ("  effective: 2025-01-01\n", "TW104", "2025-01-01"),
        (
            "  exceptions: [{match: {field: amuont, eq: 1}, owner: a, basis: b, expires: 2025-01-01}]\n",
            "TW201",
            "amuont",
        ),
        ("  exceptions: [{owner: a, basis: b, expires: 2025-01-01}]\n", "TW102", "{"),
        ("  exceptions: [a]\n", "TW104", "a"),
        ("  title: {zh: 甲, en: A}\n", "TW006", "title"),
        ("  params: {limit: [{from: 2025-01-01, value: 5}]}\n", "TW401", "["),
    ],
)
def test_what_is_wrong_with_a_rule_is_pointed_at(body: str, code: str, pointed: str) -> None:
    assert errors_of(body + WHEN) == [(code, pointed)]


def test_a_rule_without_condition_mode_or_action_is_none() -> None:
    assert errors_of("")[0][0] == "TW102"
    ruleset, found = read(
        {"f.yaml": (HEAD.replace("defaults: {mode: live, action: warn}\n", "") + RULE + WHEN + REASON).encode()}
    )
    assert ruleset is None
    assert [each.message for each in found] == ["this rule has no `action`", "this rule has no `mode`"]


@pytest.mark.parametrize("name", ["amount", "unit_level", "limit", "paid", "attributes.town"])
def test_a_reason_names_fields_params_and_features(name: str) -> None:
    body = "  params: {limit: 5}\n  features: {paid: {sum: amount, by: [], window: 1h}}\n" + WHEN
    assert (
        errors_of(
            body, reason=f"  reason: {{zh: 甲{{{name}}}, en: A}}\n".replace("甲{", '"甲{').replace("}, en", '}", en')
        )
        == []
    )


@pytest.mark.parametrize(
    ("reason", "pointed"),
    [
        ('{zh: "金额{amuont}元", en: A}', "{"),
        ('{zh: "金额{amount元", en: A}', "{"),
        ('{zh: "金额amount}元", en: A}', "}"),
        ('{zh: "金额{}元", en: A}', "{"),
        ("{zh: 甲, en: 'A {Amount}'}", "{"),
        ('{zh: 甲, en: "A\\t{Amount}"}', '"A\\t{Amount}"'),
    ],
)
def test_a_reason_with_a_wrong_name_or_brace_is_pointed_at(reason: str, pointed: str) -> None:
    assert errors_of(WHEN, reason=f"  reason: {reason}\n") == [("TW208", pointed)]


def test_a_reason_is_text_in_both_languages() -> None:
    assert errors_of(WHEN, reason="  reason: {zh: [甲], en: A}\n") == [("TW104", "[")]
    assert errors_of(WHEN, reason="  reason: 甲\n") == [("TW104", "甲")]


def test_a_reason_over_several_lines_is_pointed_at_as_a_whole() -> None:
    assert errors_of(WHEN, reason="  reason:\n    zh: 甲\n    en: >\n      A {Amount}\n") == [("TW208", ">")]


@pytest.mark.parametrize("name", ["jurisdiction", "budget_unit", "settlement"])
def test_instructions_are_partitioned_by_a_field_that_all_have(name: str) -> None:
    ruleset, _ = read({"f.yaml": rule_file(WHEN).replace(b"by: jurisdiction", f"by: {name}".encode())})
    assert ruleset is not None
    assert ruleset.partition_by == name


@pytest.mark.parametrize("name", ["department", "amount", "event_time", "jurisdictions", "attributes"])
def test_they_are_not_partitioned_by_another(name: str) -> None:
    _, found = read({"f.yaml": rule_file(WHEN).replace(b"by: jurisdiction", f"by: {name}".encode())})
    assert [each.code for each in found] == ["TW201"]


def test_features_and_params_are_in_the_order_of_their_names() -> None:
    body = "  params: {b: 1, a: 2}\n  features: {d: {add: [$c, 1]}, c: {add: [$a, $b]}}\n"
    rule = read_set(body + WHEN).rules[0]
    assert (list(rule.params), list(rule.features)) == (["a", "b"], ["c", "d"])
