"""What a value is."""

from __future__ import annotations

import pytest

from tests.rules.texts import CARDS, read_rule, read_set
from treasury_watch.domain.payment import FIELDS
from treasury_watch.rules.forms.arithmetic import sort_of
from treasury_watch.rules.types import Sort, comparable, field_type, type_of

M, C, N, B = Sort.MONEY, Sort.COUNT, Sort.NUMBER, Sort.BARE


@pytest.mark.parametrize(
    ("kind", "sorts", "expected"),
    [
        ("add", [M, M], M),
        ("add", [M, B], M),
        ("add", [C, C, C], C),
        ("add", [C, N], N),
        ("add", [B, B], N),
        ("add", [C, B], N),
        ("sub", [M, C], None),
        ("mul", [M, N], M),
        ("mul", [C, M, B], M),
        ("mul", [M, M], None),
        ("mul", [B, B], N),
        ("mul", [C, C], C),
        ("div", [M, M], N),
        ("div", [M, C], M),
        ("div", [M, B], M),
        ("div", [C, C], N),
        ("div", [B, B], N),
        ("div", [C, M], None),
        ("add", [M, Sort.TEXT], None),
        ("mul", [Sort.LOCAL, N], N),
        ("div", [Sort.DATE, N], None),
    ],
)
def test_money_and_numbers_calculate_like_dimensions(kind: str, sorts: list[Sort], expected: Sort | None) -> None:
    if expected is None:
        with pytest.raises(TypeError):
            sort_of(kind, sorts)
    else:
        assert sort_of(kind, sorts) is expected


@pytest.mark.parametrize(
    ("left", "right", "good"),
    [
        (M, M, True),
        (M, B, True),
        (M, C, False),
        (M, N, False),
        (C, N, True),
        (Sort.TEXT, B, False),
        (Sort.LOCAL, M, True),
    ],
)
def test_money_compares_with_money_and_bare_numbers(left: Sort, right: Sort, good: bool) -> None:
    assert comparable(left, right) is comparable(right, left) is good


@pytest.mark.parametrize(
    ("feature", "sort"),
    [
        ("{sum: amount, by: [], window: 1h}", M),
        ("{avg: amount, by: [], window: 1h}", M),
        ("{sum: line_no, by: [], window: 1h}", C),
        ("{avg: line_no, by: [], window: 1h}", N),
        ("{sum: attributes.score, by: [], window: 1h}", N),
        ("{count: amount, by: [], window: 1h}", C),
        ("{distinct: payee_name, by: [], window: 1h}", C),
        ("{div: [{field: amount}, {lookup: official_cards, key: card_no, column: credit_limit}]}", N),
        ("{lookup: official_cards, key: card_no, column: holder}", Sort.TEXT),
        ("{lookup: official_cards, key: card_no, column: issued}", Sort.DATE),
        ("{lookup: official_cards, key: card_no, column: open}", Sort.BOOLEAN),
    ],
)
def test_features_have_the_type_of_what_they_compute(feature: str, sort: Sort) -> None:
    rule = read_rule(f"  features: {{x: {feature}}}\n  when: {{field: amount, gt: 1}}\n")
    tables = read_set("  when: {field: amount, gt: 1}\n", files=CARDS).tables
    assert type_of(rule.features["x"], tables).sort is sort


def test_every_field_of_the_contract_has_a_type() -> None:
    assert {name: field_type(name).sort for name in FIELDS}["event_time"] is Sort.DATE
    with pytest.raises(TypeError):
        field_type("amuont")
