"""What rules and their tests leave open."""

from __future__ import annotations

import pytest

from tests.rules.texts import HEAD, REASON, RULE, read_rule, read_set
from treasury_watch.adapters.rulefiles import default_rules, files_of, load
from treasury_watch.domain.verdict import Text
from treasury_watch.rules import read
from treasury_watch.rules.coverage import Cases, Coverage, cases_of, coverage, fields_of
from treasury_watch.rules.risk_points import RiskPoint
from treasury_watch.rules.sets import risk_points_of

WHEN = "  when: {field: amount, gt: 1.00}\n"
TEXT = Text("风险", "Risk")
POINT = RiskPoint("RP-1", TEXT, TEXT)


def covered(*rules: str, points: tuple[RiskPoint, ...] = (POINT,)) -> Coverage:
    return coverage(read_set(*(each + WHEN for each in rules)), points)


@pytest.mark.parametrize(
    ("modes", "state"),
    [
        (["live"], "live"),
        (["shadow", "live"], "live"),
        (["shadow", "draft"], "shadow"),
        (["draft", "retired"], "none"),
        ([], "none"),
    ],
)
def test_a_risk_point_is_answered_by_rules_that_run(modes: list[str], state: str) -> None:
    other = "  risk_point: RP-2\n"
    found = covered(other, *(f"  risk_point: RP-1\n  mode: {mode}\n" for mode in modes))
    (point,) = found.points
    assert point.state == state


def test_risk_points_stand_in_the_order_of_a_payment() -> None:
    points = tuple(RiskPoint(f"RP-{step}", TEXT, TEXT, step) for step in ("card", None, "payment", "allotment"))
    assert [each.point.step for each in covered("", points=points).points] == ["allotment", "payment", "card", None]


def test_what_people_decide_is_no_step_that_just_misses_a_rule() -> None:
    hit = "pay: {amount: 2.00}, expect: {warn: [RULE-001]}\n"
    assert "boundary miss" in rule_with("{field: amount, gt: 1.00}", hit + "dispose: return, of: 1\n").lacks
    assert rule_with("{field: amount, gt: 1.00}", hit + "pay: {}, expect: pass\n").boundary_miss


def test_a_rule_without_a_risk_point_or_with_an_unknown_one_is_told() -> None:
    found = covered("", "  risk_point: RP-2\n", "  risk_point: RP-1\n", "  mode: draft\n")
    assert [rule.id for rule in found.pointless] == ["RULE-001", "RULE-002"]


def rule_with(when: str, steps: str, base: str = "") -> Cases:
    """What tests show of a live rule on that condition; each line of `steps` is a step's pay and expectation."""
    lines = "".join(f"  - {{at: {hour}h, {line}}}\n" for hour, line in enumerate(filter(None, steps.splitlines())))
    tests = f"tests:\n- name: a test\n  start: 2025-03-03T09:00:00+08:00\n  steps:\n{lines}" if lines else ""
    text = HEAD + RULE + f"  when: {when}\n" + REASON + f"test_base: {{amount: 1.00{base}}}\n" + tests
    ruleset, diagnostics = read({"office.yaml": text.encode()})
    assert diagnostics == []
    assert ruleset is not None
    (file,) = ruleset.files
    return cases_of(file.rules[0], file)


PURPOSE = "{field: purpose, eq: 酒}"
HIT = "pay: {purpose: 酒}, expect: {warn: [RULE-001]}"
MISS = "pay: {purpose: 酒店}, expect: pass"
NONE = "pay: {purpose: null}, expect: pass"


@pytest.mark.parametrize(
    ("steps", "lacks"),
    [
        ("", ("hit", "boundary miss", "missing field")),
        (HIT, ("boundary miss", "missing field")),
        (MISS, ("hit", "boundary miss", "missing field")),
        (f"{HIT}\n{MISS}", ("missing field",)),
        (f"{HIT}\n{NONE}", ()),
        ("pay: {purpose: 酒}, expect: warn\n" + NONE, ("hit", "boundary miss")),
    ],
)
def test_a_rule_is_tested_by_a_hit_a_miss_beside_it_and_a_missing_field(steps: str, lacks: tuple[str, ...]) -> None:
    assert rule_with(PURPOSE, steps).lacks == lacks


def test_a_field_that_the_rule_does_not_use_may_be_missing_for_nothing() -> None:
    assert rule_with(PURPOSE, "pay: {payee_name: null}, expect: pass").missing is False


def test_a_field_that_no_step_has_is_not_taken_away() -> None:
    assert rule_with(PURPOSE, "pay: {}, expect: pass").missing is False


@pytest.mark.parametrize(("currency", "missing"), [("USD", True), ("CNY", False), ("null", False)])
def test_an_amount_is_missing_in_another_currency(currency: str, missing: bool) -> None:
    assert rule_with("{field: amount, gt: 1.00}", f"pay: {{currency: {currency}}}, expect: pass").missing is missing


def test_the_currency_of_the_base_counts_unless_the_step_has_another() -> None:
    when = "{field: amount, gt: 1.00}"
    assert rule_with(when, "pay: {}, expect: pass", ", currency: USD").missing is True
    assert rule_with(when, "pay: {currency: CNY}, expect: pass", ", currency: USD").missing is False


@pytest.mark.parametrize(("given", "missing"), [("", True), (", anomaly: {p_value: 0.5}", False)])
def test_a_p_value_is_missing_in_a_step_that_says_none(given: str, missing: bool) -> None:
    asking = "{feature: p, lte: 0.005}\n  on_missing: pass\n  features: {p: {anomaly: p_value}}"
    assert rule_with(asking, f"pay: {{}}, expect: pass{given}").missing is missing


def test_a_rule_on_fields_that_are_never_missing_needs_no_such_test() -> None:
    tested = rule_with("{field: settlement, eq: cash}", "")
    assert tested.missing is None
    assert tested.lacks == ("hit", "boundary miss")


def test_only_live_rules_are_asked_for_tests() -> None:
    found = covered(*(f"  risk_point: RP-1\n  mode: {mode}\n" for mode in ("live", "shadow", "draft", "retired")))
    assert [(rule.id, tested.lacks[0]) for rule, tested in found.untested] == [("RULE-001", "hit")]
    assert not found.is_whole


def test_nothing_is_left_open_where_shadow_rules_alone_answer() -> None:
    assert covered("  risk_point: RP-1\n  mode: shadow\n").is_whole
    assert not covered("  mode: shadow\n").is_whole
    assert not covered("  risk_point: RP-1\n  mode: draft\n").is_whole


def test_the_fields_of_a_rule_are_those_of_its_condition_features_params_and_exceptions() -> None:
    rule = read_rule(
        """\
  params: {limit: {segment_by: unit_level, default: 1.00}}
  features:
    card_limit: {lookup: official_cards, key: card_no, column: credit_limit}
    paid: {sum: amount, by: [budget_unit, attributes.x], where: {field: settlement, eq: cash}, window: 1h}
    share: {div: [$paid, $card_limit]}
  when:
    all:
    - {feature: share, gt: 1}
    - not: {field: initiator, same_as: {field: approver}}
    - {field: amount, gt: $limit}
    - {field: amount, gt: {lookup: official_cards, key: card_no, column: credit_limit}}
    - {field: payee_account, in_list: debarred}
    - {field: purpose, eq: payer_bank}
  exceptions: [{match: {field: department, eq: a}, owner: a, basis: b, expires: 2025-06-30}]
""",
    )
    assert fields_of(rule) == {
        "unit_level", "card_no", "amount", "budget_unit", "attributes.x", "settlement", "initiator", "approver",
        "payee_account", "purpose", "department",
    }  # fmt: skip


def test_columns_that_are_called_like_fields_are_no_fields() -> None:
    files = {
        "tables/units.yaml": (
            b"table: units\nowner: a\nbasis: b\nkey: [budget_unit]\ncolumns: {budget_unit: text, department: text}\n"
        ),
        "tables/units.csv": b"budget_unit,department\n",
    }
    when = "  when: {field: purpose, eq: {lookup: units, key: budget_unit, column: department}}\n"
    assert fields_of(read_rule(when, files=files)) == {"purpose", "budget_unit"}


def test_the_shipped_rules_leave_nothing_open() -> None:
    directory = default_rules()
    found = coverage(load(directory), risk_points_of(files_of(directory)) or ())
    assert [each.point.id for each in found.points if each.state == "none"] == []
    assert [rule.id for rule in found.pointless] == []
    assert [(rule.id, cases.lacks) for rule, cases in found.untested] == []
