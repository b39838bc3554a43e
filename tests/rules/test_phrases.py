"""Phrases: a condition, operand or feature on one line."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.rulesets import HOUR, aggregate, always, leaf, ref
from treasury_watch.rules.forms.anomaly import Anomaly
from treasury_watch.rules.forms.arithmetic import Arithmetic
from treasury_watch.rules.forms.first_seen import FirstSeen
from treasury_watch.rules.forms.lookup import Lookup
from treasury_watch.rules.operators.working_time import Hours
from treasury_watch.rules.phrases import condition_phrase, duration_phrase, feature_phrase
from treasury_watch.rules.schema import All, Any_, Condition, FieldRef, None_, Not, WordList

CASH = leaf("settlement", "eq", "cash")
BIG = leaf("amount", "gte", Decimal("20000.00"))
PAID = aggregate("sum", "amount", "budget_unit", window_us=72 * HOUR)


@pytest.mark.parametrize(
    ("condition", "phrase"),
    [
        (BIG, "amount ≥ 20000.00"),
        (leaf("amount", "lt", always(1)), "amount < $p"),
        (leaf(ref(PAID, "paid"), "gt", ref(PAID, "other")), "paid > other"),
        (leaf("amount", "between", (1, Decimal("2.50"))), "amount between 1 and 2.50"),
        (leaf("settlement", "not_in", ("cash", "cheque")), "settlement not in cash, cheque"),
        (leaf("line_no", "in", tuple(range(10))), "line_no in 0, 1, 2, 3, 4, 5, 6, 7 and 2 more"),
        (leaf("voucher_date", "ne", date(2025, 3, 5)), "voucher_date ≠ 2025-03-05"),
        (leaf("green_channel", "eq", True), "green_channel = true"),
        (leaf("purpose", "eq", ""), 'purpose = ""'),
        (leaf("purpose", "length", (("gte", 2), ("lt", 10))), "purpose length ≥ 2 and < 10"),
        (leaf("purpose", "is_missing", True), "purpose is missing"),
        (leaf("purpose", "is_missing", False), "purpose is there"),
        (leaf("purpose", "contains_any", WordList("words", ("酒店",))), "purpose contains any list words except 酒店"),
        (leaf("payee_account", "in_list", WordList("debarred")), "payee_account in list debarred"),
        (leaf("initiator", "same_as", FieldRef("approver")), "initiator same as approver"),
        (leaf("event_time", "working_time", Hours("cn", 510, 1080)), "event_time working time cn 08:30-18:00"),
        (Not(CASH), "not(settlement = cash)"),
        (
            All((CASH, Any_((BIG, None_((CASH,)))))),
            "all(settlement = cash; any(amount ≥ 20000.00; none(settlement = cash)))",
        ),
    ],
)
def test_a_condition_is_one_line(condition: Condition, phrase: str) -> None:
    assert condition_phrase(condition) == phrase


@pytest.mark.parametrize("field", ["payee_account", "card_no", "payer_account"])
def test_account_and_card_numbers_among_the_literals_are_masked(field: str) -> None:
    assert condition_phrase(leaf(field, "in", ("6222000000001234", "1"))) == f"{field} in ************1234, *"
    assert condition_phrase(leaf("instruction_id", "eq", "6222000000001234")) == "instruction_id = 6222000000001234"


@pytest.mark.parametrize(
    ("feature", "phrase"),
    [
        (PAID, "sum of amount by budget_unit, 3d"),
        (aggregate("count", "instruction_id", period="month"), "count of instruction_id, month"),
        (
            aggregate("max", "amount", "budget_unit", "card_no", period="day", where=CASH, population="attempted"),
            "max of amount by budget_unit, card_no, day, where settlement = cash, attempted",
        ),
        (FirstSeen("payee_account", ("jurisdiction",), 24 * HOUR), "payee_account first seen by jurisdiction, 1d"),
        (Lookup("cards", ("card_no", "budget_unit"), "credit_limit"), "cards.credit_limit of card_no, budget_unit"),
        (Arithmetic("div", (ref(PAID, "paid"), always(2))), "paid ÷ $p"),
        (
            Arithmetic("mul", (Arithmetic("sub", (FieldRef("amount"), 1)), 3)),
            "(amount − 1) × 3",
        ),
        (Anomaly("p_value"), "anomaly(statistic p_value)"),
    ],
)
def test_a_feature_says_what_it_computes(feature: Any, phrase: str) -> None:
    assert feature_phrase(feature) == phrase


@pytest.mark.parametrize(
    ("seconds", "phrase"), [(0, "0s"), (59, "59s"), (5400, "1h30m"), (86_400, "1d"), (90_061, "1d1h1m1s")]
)
def test_a_duration_has_the_largest_units(seconds: int, phrase: str) -> None:
    assert duration_phrase(seconds * 1_000_000) == phrase
