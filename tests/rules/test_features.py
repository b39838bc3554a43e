"""Features and params: what each form means."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.rules.texts import SECOND_US, errors_of, read_rule
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.forms.anomaly import Anomaly
from treasury_watch.rules.forms.arithmetic import Arithmetic
from treasury_watch.rules.forms.first_seen import FirstSeen
from treasury_watch.rules.forms.lookup import Lookup
from treasury_watch.rules.schema import Dated, FeatureRef, FieldRef, Leaf, Param

WHEN = "  when: {field: amount, gt: 1.00}\n"


def feature(text: str, *others: str) -> Any:
    named = "".join(f"    {each}\n" for each in (f"x: {text}", *others))
    return read_rule(f"  features:\n{named}{WHEN}").features["x"]


def feature_errors(text: str, *others: str) -> list[tuple[str, str]]:
    named = "".join(f"    {each}\n" for each in (f"x: {text}", *others))
    return errors_of(f"  features:\n{named}{WHEN}")


def param(text: str) -> Param:
    return read_rule(f"  params: {{x: {text}}}\n{WHEN}").params["x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "{sum: amount, by: [budget_unit], window: 72h}",
            Aggregate("sum", "amount", ("budget_unit",), None, 259_200 * SECOND_US),
        ),
        ("{count: instruction_id, by: [], period: day}", Aggregate("count", "instruction_id", (), period="day")),
        ("{min: line_no, by: budget_unit, window: 1s}", Aggregate("min", "line_no", ("budget_unit",), None, SECOND_US)),
        ("{avg: attributes.score, by: [], period: week}", Aggregate("avg", "attributes.score", (), period="week")),
        (
            "{distinct: payee_name, by: [attributes.town], period: fiscal_year, population: attempted}",
            Aggregate("distinct", "payee_name", ("attributes.town",), period="fiscal_year", population="attempted"),
        ),
        (
            "{max: amount, by: [], period: month, where: {field: settlement, eq: cash}}",
            Aggregate("max", "amount", (), Leaf(FieldRef("settlement"), "eq", "cash"), period="month"),
        ),
        ("{lookup: official_cards, key: [card_no], column: holder}", Lookup("official_cards", ("card_no",), "holder")),
        (
            "{lookup: official_cards, key: attributes.card, column: uses}",
            Lookup("official_cards", ("attributes.card",), "uses"),
        ),
    ],
)
def test_forms(text: str, expected: Any) -> None:
    assert feature(text) == expected


def test_features_may_be_named_before_they_stand() -> None:
    share = feature("{div: [$paid, $limit]}", "limit: {lookup: official_cards, key: card_no, column: credit_limit}",
                    "paid: {sum: amount, by: [], window: 1h}")  # fmt: skip
    assert isinstance(share, Arithmetic)
    assert [operand.name for operand in share.operands if isinstance(operand, FeatureRef)] == ["paid", "limit"]


def test_money_makes_amounts_of_plain_numbers_in_sums_but_not_in_products() -> None:
    assert feature("{add: [{field: amount}, 5, 0.5]}").operands[1:] == (Decimal("5.00"), Decimal("0.50"))
    assert str(feature("{sub: [5, {field: amount}]}").operands[0]) == "5.00"
    assert feature("{mul: [{field: amount}, 0.125]}").operands[1] == Decimal("0.125")


def test_what_is_calculated_of_plain_numbers_alone_is_no_amount() -> None:
    body = "  params: {limit: 1000}\n  features: {most: {mul: [$limit, 0.8]}}\n  when: {field: %s, gte: $most}\n"
    assert errors_of(body % "amount") == [("TW303", "$most")]
    assert errors_of(body % "line_no") == []


def test_a_where_may_use_params_and_lookups() -> None:
    rule = read_rule(
        "  params: {least: 5}\n"
        "  features: {n: {count: amount, by: [], window: 1h, where: {all: [{field: amount, gte: $least},"
        " {field: amount, lt: {lookup: official_cards, key: card_no, column: credit_limit}}]}}}\n" + WHEN
    )
    aggregate = rule.features["n"]
    assert isinstance(aggregate, Aggregate)
    assert aggregate.where is not None


@pytest.mark.parametrize(
    ("text", "code", "pointed"),
    [
        ("[a]", "TW104", "["),
        ("{}", "TW102", "{"),
        ("{sum: amount, count: amount, by: [], window: 1h}", "TW109", "{"),
        ("{sum: amount, by: []}", "TW405", "{"),
        ("{sum: amount, by: [], window: 1h, period: day}", "TW109", "{"),
        ("{sum: amount, window: 1h}", "TW102", "{"),
        ("{sum: amount, by: [budget_unit, budget_unit], window: 1h}", "TW110", "budget_unit"),
        ("{sum: amount, by: [unit], window: 1h}", "TW201", "unit"),
        ("{sum: purpose, by: [], window: 1h}", "TW301", "purpose"),
        ("{min: voucher_date, by: [], window: 1h}", "TW301", "voucher_date"),
        ("{avg: green_channel, by: [], window: 1h}", "TW301", "green_channel"),
        ("{sum: [amount], by: [], window: 1h}", "TW104", "["),
        ("{sum: amount, by: [], window: 72}", "TW107", "72"),
        ("{sum: amount, by: [], period: year}", "TW103", "year"),
        ("{sum: amount, by: [], window: 1h, population: all}", "TW103", "all"),
        ("{sum: amount, by: [], window: 1h, wher: {}}", "TW101", "wher"),
        ("{first_seen: payee_account, by: []}", "TW102", "{"),
        ("{first_seen: payee_account, lookback: 365d}", "TW102", "{"),
        ("{first_seen: payee, by: [], lookback: 365d}", "TW201", "payee"),
        ("{first_seen: payee_account, by: [], lookback: 365d, window: 1h}", "TW101", "window"),
        ("{first_seen: payee_account, by: [], lookback: 0d}", "TW107", "0d"),
        ("{anomaly: score}", "TW103", "score"),
        ("{add: [5]}", "TW104", "["),
        ("{add: 5}", "TW104", "5"),
        ("{sub: [1, 2, 3]}", "TW104", "["),
        ("{div: [1, 0]}", "TW108", "0"),
        ("{div: [1, 0.00]}", "TW108", "0.00"),
        ("{add: [$y, 1]}", "TW202", "$y"),
        ("{add: [{field: amount}, 0.001]}", "TW105", "0.001"),
        ("{add: [{field: amount}, {field: line_no}]}", "TW303", "{"),
        ("{mul: [{field: amount}, {field: amount}]}", "TW303", "{"),
        ("{div: [{field: line_no}, {field: amount}]}", "TW303", "{"),
        ("{add: [{field: purpose}, 1]}", "TW303", "{"),
        ("{lookup: cards, key: card_no, column: uses}", "TW204", "cards"),
        ("{lookup: official_cards, key: card_no, column: use}", "TW205", "use"),
        ("{lookup: official_cards, key: [card_no, payee_name], column: uses}", "TW305", "["),
        ("{lookup: official_cards, key: payee_name, column: uses}", "TW305", "payee_name"),
        ("{lookup: official_cards, key: amount, column: uses}", "TW305", "amount"),
        ("{lookup: official_cards, key: [], column: uses}", "TW104", "["),
        ("{lookup: [official_cards], key: card_no, column: uses}", "TW104", "["),
        ("{lookup: official_cards, column: uses}", "TW102", "{"),
    ],
)
def test_what_is_wrong_is_pointed_at(text: str, code: str, pointed: str) -> None:
    assert feature_errors(text) == [(code, pointed)]


def test_features_that_need_each_other_are_told_once_with_the_chain() -> None:
    assert feature_errors("{add: [$y, 1]}", "y: {add: [$z, 1]}", "z: {add: [$x, 1]}") == [("TW206", "$x")]
    assert feature_errors("{add: [$x, 1]}") == [("TW206", "$x")]


def test_what_uses_a_broken_param_or_feature_is_not_told_so_again() -> None:
    assert errors_of("  params: {limit: [a]}\n  when: {field: amount, gte: $limit}\n") == [("TW104", "a")]
    assert errors_of("  features: {n: {sum: amuont, by: [], window: 1h}}\n  when: {feature: n, gte: 1}\n") == [
        ("TW201", "amuont")
    ]
    assert errors_of("  params: {Limit: 5}\n  when: {field: amount, gte: 5}\n") == [("TW108", "Limit")]


def test_a_name_stands_for_one_thing() -> None:
    assert errors_of("  params: {amount: 5}\n" + WHEN) == [("TW207", "amount")]
    body = "  params: {limit: 5}\n  features: {limit: {sum: amount, by: [], window: 1h}}\n"
    assert errors_of(body + WHEN) == [("TW207", "limit")]
    assert errors_of("  params: [limit]\n" + WHEN) == [("TW104", "[")]


def test_a_where_has_no_features() -> None:
    features = "  features: {a: {sum: amount, by: [], window: 1h}, b: {count: amount, by: [], window: 1h, where: %s}}\n"
    assert errors_of(features % "{feature: a, gt: 1}" + WHEN) == [("TW202", "a")]
    assert errors_of(features % "{field: amount, gt: $a}" + WHEN) == [("TW202", "$a")]


def test_a_param_is_no_subject() -> None:
    assert errors_of("  params: {limit: 5}\n  when: {feature: limit, gt: 1}\n") == [("TW202", "limit")]
    assert errors_of("  when: {feature: limit, gt: 1}\n") == [("TW202", "limit")]


# --- params ---


def test_a_plain_value_holds_always() -> None:
    assert param("0.5") == Param("x", {None: (Dated(None, Decimal("0.5")),)})
    assert param("采购").segments[None][0].value == "采购"
    assert param("true").segments[None][0].value is True


def test_dated_values_hold_from_a_day_on() -> None:
    body = (
        "  effective: {from: 2025-01-01}\n  params: {x: [{from: 2025-01-01, value: 5}, {from: 2025-07-01, value: 6}]}\n"
    )
    dated = read_rule(body + WHEN).params["x"].segments[None]
    assert dated == (Dated(date(2025, 1, 1), 5), Dated(date(2025, 7, 1), 6))


def test_segments_follow_an_enumerated_field() -> None:
    found = param("{segment_by: unit_level, default: 5, county: 3}")
    assert (found.segment_by, set(found.segments)) == ("unit_level", {None, "county"})


@pytest.mark.parametrize(
    ("text", "code", "pointed"),
    [
        ("{default: 5}", "TW102", "{"),
        ("{segment_by: purpose, default: 5}", "TW301", "purpose"),
        ("{segment_by: level, default: 5}", "TW201", "level"),
        ("{segment_by: unit_level}", "TW102", "{"),
        ("{segment_by: unit_level, village: 5}", "TW403", "village"),
        ("{segment_by: unit_level, county: [a]}", "TW104", "a"),
        ("[]", "TW104", "["),
        ("{segment_by: unit_level, county: {from: 2025-01-01}}", "TW104", "{"),
        ("[{from: 2025-01-01}]", "TW102", "{"),
        ("[{from: 2025-01-01, value: [5]}]", "TW104", "["),
        ("[{from: 2025-01-02, value: 5}, {from: 2025-01-01, value: 6}]", "TW402", "{"),
        ("{segment_by: unit_level, default: 5, county: 五}", "TW303", "{"),
        ("no", "TW007", "no"),
    ],
)
def test_a_wrong_param_is_pointed_at(text: str, code: str, pointed: str) -> None:
    assert errors_of(f"  params: {{x: {text}}}\n{WHEN}") == [(code, pointed)]


def test_a_param_is_fitted_to_what_it_is_compared_with() -> None:
    assert errors_of("  params: {x: 5.005}\n  when: {field: amount, gt: $x}\n") == [("TW105", "$x")]
    assert errors_of("  params: {x: village}\n  when: {field: unit_level, eq: $x}\n") == [("TW302", "$x")]
    assert errors_of("  params: {x: 采购}\n  when: {field: amount, gt: $x}\n") == [("TW303", "$x")]


def test_a_feature_that_grows_with_each_level_that_uses_it_twice_is_refused_where_it_becomes_too_large() -> None:
    levels = ["a0: {add: [{field: line_no}, 1]}"]
    levels += [f"a{n}: {{add: [$a{n - 1}, $a{n - 1}]}}" for n in range(1, 40)]
    assert feature_errors("{add: [1, 2]}", *levels) == [("TW112", "{")]
    assert feature_errors("{add: [1, 2]}", *levels[:6]) == []


def test_new_payees_and_the_model_are_features() -> None:
    seen = feature("{first_seen: payee_account, by: [budget_unit], lookback: 365d, population: attempted}")
    assert seen == FirstSeen("payee_account", ("budget_unit",), 365 * 86_400 * SECOND_US, None, "attempted")
    rule = read_rule("  features:\n    x: {anomaly: p_value}\n  on_missing: pass\n  when: {feature: x, lte: 0.005}\n")
    assert rule.features["x"] == Anomaly("p_value")
