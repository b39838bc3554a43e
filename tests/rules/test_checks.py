"""Each check, at its boundary: what it finds, and what it leaves alone."""

from __future__ import annotations

from datetime import date

import pytest

from tests.rules.texts import HEAD, REASON, RULE, findings_of, read_set
from treasury_watch.rules import check, lock_text, read

WHEN = "  when: {field: amount, gte: 2.00}\n"
OTHER = "  when: {field: amount, gte: 3.00}\n"
TEST = """\
tests:
- name: at the limit and one fen below
  start: 2025-03-03T09:00:00+08:00
  steps:
  - {at: 0h, pay: {amount: 1.99}, expect: pass}
  - {at: 0h, pay: {amount: 2.00}, expect: {warn: [RULE-001]}}
"""


def rules(*bodies: str) -> str:
    return HEAD + "".join(RULE.replace("001", f"{number:03d}") + body + REASON for number, body in enumerate(bodies, 1))


def lock(text: str) -> str:
    ruleset, _ = read({"office.yaml": text.encode()})
    assert ruleset is not None
    return lock_text(ruleset)


def codes(text: str, *, as_of: date = date(2025, 6, 1), risk_points: str | None = None) -> list[str]:
    """Findings beside an up-to-date rules.lock."""
    files = {"rules_lock": lock(text)} | ({"risk_points": risk_points} if risk_points is not None else {})
    return findings_of(text, as_of=as_of, **files)


def loading_codes(*bodies: str) -> list[str]:
    _, diagnostics = read({"office.yaml": rules(*bodies).encode()})
    return [each.code for each in diagnostics]


def test_a_kept_rule_has_no_findings() -> None:
    assert codes(rules(WHEN) + TEST) == []


# --- loading ---


def test_an_id_stands_for_one_rule_in_all_files() -> None:
    one = rules(WHEN).encode()
    other = rules(OTHER).encode()
    assert [each.code for each in read({"a.yaml": one, "b.yaml": other})[1]] == ["TW110"]
    assert read({"a.yaml": one, "b.yaml": other.replace(b"RULE-001", b"RULE-002")})[1] == []


@pytest.mark.parametrize(
    ("effective", "since", "expected"),
    [
        ("  effective: {from: 2025-01-01}\n", "2025-01-01", []),
        ("  effective: {from: 2025-01-01}\n", "2024-12-31", []),
        ("  effective: {from: 2025-01-01}\n", "2025-01-02", ["TW401"]),
        ("", "2025-01-01", ["TW401"]),
    ],
)
def test_a_dated_param_starts_when_its_rule_does(effective: str, since: str, expected: list[str]) -> None:
    param = f"  params: {{limit: [{{from: {since}, value: 5}}]}}\n"
    assert loading_codes(effective + param + "  when: {field: amount, gte: $limit}\n") == expected


def test_every_segment_of_a_dated_param_starts_when_its_rule_does() -> None:
    param = "  params: {limit: {segment_by: unit_level, default: 5, county: [{from: 2025-01-01, value: 5}]}}\n"
    assert loading_codes(param + "  when: {field: amount, gte: $limit}\n") == ["TW401"]


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        ("{segment_by: payment_mode, direct: 1, authorised: 2}", []),
        ("{segment_by: payment_mode, default: 5, direct: 1}", []),
        ("{segment_by: payment_mode, default: 5, direct: 1, authorised: 2}", ["TW403"]),
        # a unit level may be missing, and then the default holds
        ("{segment_by: unit_level, default: 5, central: 1, province: 1, city: 1, county: 1, town: 1}", []),
    ],
)
def test_a_default_is_for_what_has_no_segment(param: str, expected: list[str]) -> None:
    assert loading_codes(f"  params: {{limit: {param}}}\n  when: {{field: amount, gte: $limit}}\n") == expected


# --- good keeping ---


def test_a_live_rule_has_a_test_that_hits_it() -> None:
    assert codes(rules(WHEN)) == ["TW601"]
    assert codes(rules(WHEN) + TEST.replace("{warn: [RULE-001]}", "warn")) == ["TW601"]


@pytest.mark.parametrize("mode", ["draft", "shadow", "retired"])
def test_a_rule_that_is_not_live_needs_no_test(mode: str) -> None:
    assert codes(rules(f"  mode: {mode}\n" + WHEN)) == []


def test_a_live_rule_has_a_miss_beside_its_hit() -> None:
    without = TEST.replace("  - {at: 0h, pay: {amount: 1.99}, expect: pass}\n", "")
    elsewhere = "- name: another\n  start: 2025-03-03T09:00:00+08:00\n  steps:\n  - {at: 0h, pay: {}, expect: pass}\n"
    assert codes(rules(WHEN) + without) == ["TW602"]
    assert codes(rules(WHEN) + without + elsewhere) == ["TW602"]


@pytest.mark.parametrize(("as_of", "expected"), [(date(2025, 6, 30), []), (date(2025, 7, 1), ["TW603"])])
def test_an_exception_expires_after_its_last_day(as_of: date, expected: list[str]) -> None:
    exception = "  exceptions: [{match: {field: budget_unit, eq: a}, owner: a, basis: b, expires: 2025-06-30}]\n"
    assert codes(rules(WHEN + exception) + TEST, as_of=as_of) == expected
    assert codes(rules("  mode: retired\n" + WHEN + exception), as_of=as_of) == []


def test_changed_logic_needs_a_new_revision() -> None:
    before, after = rules(WHEN) + TEST, rules(OTHER) + TEST
    assert findings_of(after, rules_lock=lock(before)) == ["TW604"]
    revised = after.replace("revision: 1", "revision: 2")
    assert findings_of(revised, rules_lock=lock(before)) == ["TW605"]
    assert findings_of(revised, rules_lock=lock(revised)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("en: Rule", "en: A rule"), ("CNY", "RMB"), ("mode: live", "mode: shadow"), ("owner: treasury", "owner: other")],
)
def test_wording_and_promotion_are_no_change_of_logic(old: str, new: str) -> None:
    text = rules(WHEN) + TEST
    assert old in text
    assert findings_of(text.replace(old, new), rules_lock=lock(text)) == []


def test_the_lock_lists_every_rule_and_no_other() -> None:
    one, two = rules(WHEN) + TEST, rules(WHEN, "  mode: shadow\n" + OTHER) + TEST
    assert findings_of(one) == ["TW605"]
    assert findings_of(two, rules_lock=lock(one)) == ["TW605"]
    assert findings_of(one, rules_lock=lock(two)) == ["TW605"]
    assert findings_of(two.replace("mode: shadow", "mode: draft"), rules_lock=lock(one)) == []


def test_a_broken_lock_is_told_where_it_is_broken() -> None:
    assert findings_of(rules(WHEN) + TEST, rules_lock="RULE-001: {revision: 1}\n") == ["TW605", "TW102"]
    assert findings_of(rules(WHEN) + TEST, rules_lock="[RULE-001\n") == ["TW605", "TW003"]


def test_two_rules_with_one_logic_are_found_whatever_their_params_are_called() -> None:
    def limited(name: str, rest: str = "") -> str:
        return f"  mode: shadow\n  params: {{{name}: 2.00}}\n  when: {{field: amount, gte: ${name}}}\n{rest}"

    assert codes(rules(limited("a"), limited("b"))) == ["TW606"]
    assert codes(rules(limited("a"), limited("b").replace("2.00", "2.01"))) == []
    assert codes(rules(limited("a"), limited("b").replace("shadow", "retired"))) == []


@pytest.mark.parametrize(("until", "expected"), [("2025-07-01", []), ("2025-07-02", ["TW606"])])
def test_one_logic_in_turn_is_no_double(until: str, expected: list[str]) -> None:
    first = f"  mode: shadow\n  effective: {{until: {until}}}\n"
    assert codes(rules(first + WHEN, "  mode: shadow\n  effective: {from: 2025-07-01}\n" + WHEN)) == expected


def test_a_risk_point_exists() -> None:
    text = rules("  risk_point: RP-1\n" + WHEN) + TEST
    points = "risk_points: [{id: %s, title: {zh: 甲, en: A}, measure: {zh: 甲, en: A}}]\n"
    assert codes(text, risk_points=points % "RP-1") == []
    assert codes(text, risk_points=points % "RP-2") == ["TW209"]
    assert codes(text) == ["TW607"]
    assert codes(rules(WHEN) + TEST) == []


def test_a_rule_set_with_findings_still_loads() -> None:
    assert read_set("  risk_point: RP-1\n" + WHEN).rules[0].risk_point == "RP-1"


ODD = "  on_missing: pass\n  features: {p: {anomaly: p_value}}\n  when: {feature: p, lte: 0.005}\n"


@pytest.mark.parametrize(("mode", "found"), [("draft", 1), ("shadow", 1), ("live", 1), ("retired", 0)])
def test_a_rule_that_asks_the_model_asks_nobody_in_a_set_without_one(mode: str, found: int) -> None:
    text = rules(f"  mode: {mode}\n{ODD}")
    assert codes(text).count("TW611") == found


def test_a_rule_that_asks_the_model_of_its_set_has_no_such_finding() -> None:
    files = {"office.yaml": rules(ODD).encode(), "model.yaml": b"model: TailSurprise\n"}
    ruleset, diagnostics = read(files)
    assert ruleset is not None, diagnostics
    assert "TW611" not in [each.code for each in check(ruleset, files, date(2025, 6, 1))]


def test_a_set_in_which_nobody_asks_needs_no_model() -> None:
    assert "TW611" not in codes(rules(WHEN) + TEST)
