"""Conditions: what each word means, and which words do not go together."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.rules.texts import errors_of, read_rule
from treasury_watch.rules.forms.lookup import Lookup
from treasury_watch.rules.schema import All, Any_, FeatureRef, FieldRef, Leaf, None_, Not, Param, WordList


def when(text: str) -> Any:
    return read_rule(f"  when: {text}\n").when


def operand(text: str) -> Any:
    leaf = when(text)
    assert isinstance(leaf, Leaf)
    return leaf.operand


def test_groups_nest_freely() -> None:
    condition = when("{all: [{any: [{not: {field: amount, gt: 1.00}}]}, {none: [{field: green_channel, eq: true}]}]}")
    large, green = Leaf(FieldRef("amount"), "gt", Decimal("1.00")), Leaf(FieldRef("green_channel"), "eq", True)
    assert condition == All((Any_((Not(large),)), None_((green,))))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{field: amount, eq: 5}", Decimal("5.00")),
        ('{field: amount, ne: "5.10"}', Decimal("5.10")),
        ("{field: line_no, gte: 5}", 5),
        ("{field: voucher_date, lt: 2026-01-01}", date(2026, 1, 1)),
        ("{field: event_time, gte: 2026-01-01}", date(2026, 1, 1)),
        ("{field: green_channel, eq: false}", False),
        ("{field: unit_level, eq: county}", "county"),
        ("{field: amount, between: [1, 2.50]}", (Decimal("1.00"), Decimal("2.50"))),
        ("{field: settlement, in: [cash, cash_cheque]}", ("cash", "cash_cheque")),
        ("{field: budget_unit, not_in: ['101']}", ("101",)),
        ("{field: payee_account, in_list: debarred}", WordList("debarred")),
        ("{field: purpose, contains: 烟}", "烟"),
        ("{field: purpose, contains_any: [烟, 酒]}", ("烟", "酒")),
        ("{field: purpose, contains_any: {list: debarred, except: [烟台]}}", WordList("debarred", ("烟台",))),
        ("{field: purpose, starts_with: 会议}", "会议"),
        ("{field: purpose, ends_with: 费}", "费"),
        (r"{field: purpose, matches: '^\d+$'}", r"^\d+$"),
        ("{field: amount, multiple_of: 100.00}", Decimal("100.00")),
        ("{field: purpose, length: 2}", (("eq", 2),)),
        ("{field: purpose, length: {gte: 2, lt: 10}}", (("gte", 2), ("lt", 10))),
        ("{field: initiator, same_as: {field: approver}}", FieldRef("approver")),
        ("{field: purpose, is_missing: false}", False),
        ("{field: attributes.level, eq: 3}", 3),
        ("{field: attributes.level, eq: 甲}", "甲"),
        ("{field: purpose, eq: $$100}", "$100"),
    ],
)
def test_right_hand_sides_are_read_as_their_field_needs(text: str, expected: Any) -> None:
    found = operand(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{field: payee_account, eq: "6283-0000 0001"}', "628300000001"),
        ('{field: payee_name, eq: " 张　敏 "}', "张 敏"),
        ('{field: payee_name, in: ["ＡＢＣ"]}', ("ABC",)),
        ('{field: purpose, contains_any: ["（烟）"]}', ("(烟)",)),
        ('{field: purpose, contains_any: {list: debarred, except: ["ＡＢ"]}}', WordList("debarred", ("AB",))),
        ('{field: budget_unit, eq: " 101 "}', " 101 "),
    ],
)
def test_literals_are_in_the_form_in_which_their_field_is_compared(text: str, expected: Any) -> None:
    assert operand(text) == expected


def test_operands_may_be_params_features_fields_and_lookups() -> None:
    rule = read_rule("""\
  params: {limit: 5}
  features: {paid: {sum: amount, by: [], window: 1h}}
  when:
    any:
    - {field: amount, gte: $limit}
    - {feature: paid, gte: $limit}
    - {field: amount, gte: $paid}
    - {feature: paid, gt: {field: amount}}
    - {field: amount, gt: {lookup: official_cards, key: card_no, column: credit_limit}}
    - {field: amount, between: [$limit, $paid]}
    - {feature: paid, same_as: $paid}
    - {feature: $paid, gt: 0}
""")
    assert isinstance(rule.when, Any_)
    limit, paid = rule.params["limit"], rule.features["paid"]
    operands = [leaf.operand for leaf in rule.when.items if isinstance(leaf, Leaf)]
    assert operands[:3] == [limit, limit, FeatureRef("paid", paid)]
    assert operands[3:5] == [FieldRef("amount"), Lookup("official_cards", ("card_no",), "credit_limit")]
    assert operands[5:7] == [(limit, FeatureRef("paid", paid)), FeatureRef("paid", paid)]


def test_a_param_beside_money_is_an_amount_in_conditions_and_in_reasons() -> None:
    rule = read_rule("  params: {limit: 5, factor: 2}\n  when: {field: amount, gte: $limit}\n")
    assert isinstance(rule.when, Leaf)
    assert isinstance(rule.when.operand, Param)
    values = [
        param.segments[None][0].value for param in (rule.when.operand, rule.params["limit"], rule.params["factor"])
    ]
    assert [str(value) for value in values] == ["5.00", "5.00", "2"]


@pytest.mark.parametrize(
    ("text", "code", "pointed"),
    [
        ("{field: purpose, gte: 5}", "TW301", "gte"),
        ("{field: unit_level, contains: c}", "TW301", "contains"),
        ("{field: green_channel, gt: true}", "TW301", "gt"),
        ("{field: voucher_date, multiple_of: 5}", "TW301", "multiple_of"),
        ("{field: unit_level, eq: 县级}", "TW302", "县级"),
        ("{field: amount, gte: 5.005}", "TW105", "5.005"),
        ("{field: line_no, gte: 5.5}", "TW108", "5.5"),
        ("{field: amount, gte: {field: purpose}}", "TW303", "{"),
        ("{field: amount, gte: {field: line_no}}", "TW303", "{"),
        ("{field: purpose, eq: {field: amount}}", "TW303", "{"),
        ("{field: amount, gte: {field: amuont}}", "TW201", "amuont"),
        ("{field: amount, gte: {lookup: official_cards, key: card_no}}", "TW102", "{"),
        ("{field: amount, gte: {lookup: official_cards, key: card_no, column: holder}}", "TW303", "{"),
        ("{field: amount, between: [5, 4.99]}", "TW108", "["),
        ("{field: voucher_date, between: [2026-01-02, 2026-01-01]}", "TW108", "["),
        ("{field: amount, between: [5]}", "TW104", "["),
        ("{field: amount, between: [5, 6, 7]}", "TW104", "["),
        ("{field: amount, between: [5, x]}", "TW105", "x"),
        ("{field: amount, in: []}", "TW104", "["),
        ("{field: amount, multiple_of: 0}", "TW108", "0"),
        ("{field: amount, multiple_of: -1}", "TW108", "-1"),
        ("{field: amount, multiple_of: {field: amount}}", "TW108", "{"),
        ("{field: amount, multiple_of: 0.001}", "TW105", "0.001"),
        ("{field: initiator, same_as: {lookup: official_cards, key: card_no, column: holder}}", "TW104", "{"),
        ("{field: initiator, same_as: {field: amount}}", "TW303", "{"),
        ("{field: attributes.day, eq: 2025-01-01}", "TW007", "2025-01-01"),
        ("{field: attributes.day, gt: {field: voucher_date}}", "TW303", "{"),
        ("{field: voucher_date, eq: {field: attributes.day}}", "TW303", "{"),
        ("{field: attributes.score, gt: 高}", "TW105", "高"),
        ("{field: attributes.score, gt: {field: attributes.other}}", "TW303", "{"),
        ("{field: attributes.score, gt: {field: purpose}}", "TW303", "{"),
        ("{field: attributes.note, contains: {field: amount}}", "TW303", "{"),
        ("{field: attributes.note, in: [3, 甲]}", "TW303", "["),
        ("{field: attributes.score, multiple_of: 0}", "TW108", "0"),
        ("{field: payee_account, in_list: [a]}", "TW104", "["),
        ("{field: purpose, contains_any: []}", "TW104", "["),
        ("{field: purpose, contains_any: {except: [a]}}", "TW102", "{"),
        ("{field: purpose, contains_any: 烟}", "TW104", "烟"),
        ("{field: purpose, matches: '('}", "TW304", "'('"),
        ("{field: purpose, matches: '((a{100}){100}){100}'}", "TW304", "'((a{100}){100}){100}'"),
        ("{field: purpose, matches: [a]}", "TW104", "["),
        ("{field: purpose, length: {}}", "TW104", "{"),
        ("{field: purpose, length: long}", "TW105", "long"),
        ("{field: purpose, length: {gte: $limit}}", "TW202", "$limit"),
        ("{field: purpose, is_missing: 1}", "TW104", "1"),
        ("{field: [a], eq: b}", "TW104", "["),
        ("{field: attributes., eq: b}", "TW201", "attributes."),
        ("{feature: [a], eq: b}", "TW104", "["),
        ("{field: initiator, feature: a, eq: b}", "TW109", "feature"),
        ("{not: [{field: amount, eq: 1}]}", "TW104", "["),
        ("甲", "TW104", "甲"),
    ],
)
def test_what_is_wrong_is_pointed_at(text: str, code: str, pointed: str) -> None:
    assert errors_of(f"  when: {text}\n") == [(code, pointed)]


def test_every_error_of_a_condition_is_told_at_once() -> None:
    found = errors_of(
        "  when: {all: [{field: amuont, gt: 1}, {field: amount, gt: x}, {not: {field: amount, gd: 1}}]}\n"
    )
    assert found == [("TW201", "amuont"), ("TW105", "x"), ("TW102", "{"), ("TW101", "gd")]


def test_bounds_that_are_not_both_known_are_not_compared() -> None:
    assert isinstance(operand("{field: amount, between: [5.00, {field: amount}]}")[1], FieldRef)


def test_a_multiple_of_a_param_is_above_zero_too() -> None:
    assert errors_of("  params: {step: 0}\n  when: {field: amount, multiple_of: $step}\n") == [("TW108", "$step")]
    assert errors_of("  params: {step: 100}\n  when: {field: amount, multiple_of: $step}\n") == []


def test_ratios_compare_with_numbers_of_any_places() -> None:
    body = "  features: {share: {div: [{field: amount}, {field: amount}]}}\n  when: {feature: share, gt: %s}\n"
    assert errors_of(body % "0.8333") == []
    assert errors_of(body % "{field: amount}") == [("TW303", "{")]
    assert errors_of(body % "much") == [("TW105", "much")]


@pytest.mark.parametrize(
    "text",
    [
        "{field: attributes.score, gte: {field: amount}}",
        "{field: amount, gte: {field: attributes.score}}",
        "{field: attributes.score, between: [0.5, 10]}",
        "{field: attributes.score, multiple_of: 0.5}",
        "{field: purpose, eq: {field: attributes.note}}",
        "{field: attributes.note, starts_with: {field: budget_unit}}",
        "{field: attributes.note, same_as: {field: attributes.other}}",
        "{field: attributes.new, eq: true}",
        "{field: attributes.score, in: [3, 0.5, {field: line_no}]}",
        "{field: attributes.town, in_list: debarred}",
        "{field: attributes.town, length: {gte: 2}}",
    ],
)
def test_a_local_field_is_read_as_what_it_is_compared_with(text: str) -> None:
    assert errors_of(f"  when: {text}\n") == []
