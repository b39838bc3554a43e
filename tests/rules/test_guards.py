"""Guards: where one does not hold, the rule cannot; where it does, the rest of the condition decides."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from tests.builders import make_instruction
from tests.engine.bench import Bench
from tests.engine.paying import engine_of, pay, shows
from tests.properties.test_conditions import LISTS, TABLES, instructions, nested, plain_leaves
from tests.rulesets import DAY, HOUR, aggregate, leaf, ref, yuan
from treasury_watch.rules.forms.arithmetic import Arithmetic
from treasury_watch.rules.guards import (
    AMOUNT,
    CLASSED,
    guard_of,
    in_order,
    is_of_amount,
    is_of_classes,
    is_of_text,
    rest_of,
)
from treasury_watch.rules.schema import All, Any_, Condition, Dated, FieldRef, Leaf, None_, Not, Param, WordList

CASH = leaf("settlement", "in", ("cash", "cash_cheque"))
CARD = leaf("settlement", "eq", "official_card")
SAME = leaf("settlement", "same_as", FieldRef("payment_mode"))
LARGE = leaf("amount", "gte", yuan("1000.00"))
PER_UNIT = leaf("amount", "gte", Param("limit", {None: (Dated(None, yuan("1000.00")),)}, "unit_level"))


def source_of(condition: Leaf) -> str | None:
    if is_of_classes(condition):
        return CLASSED
    return AMOUNT if is_of_amount(condition) else None


def guard_in(condition: Condition, source: str) -> Condition | None:
    return guard_of(condition, lambda each: source_of(each) == source)


@pytest.mark.parametrize(
    ("condition", "of_classes", "of_amount", "rest"),
    [
        (CASH, CASH, None, None),
        (LARGE, None, LARGE, None),
        (PER_UNIT, None, None, PER_UNIT),
        (All((LARGE, CASH)), All((CASH,)), All((LARGE,)), None),
        (All((LARGE, SAME, CASH)), All((CASH,)), All((LARGE,)), SAME),
        (All((SAME, CASH, Not(SAME))), All((CASH,)), None, All((SAME, Not(SAME)))),
        (Any_((LARGE, CASH)), None, None, Any_((LARGE, CASH))),
        (Any_((All((CASH, LARGE)), CARD)), Any_((All((CASH,)), CARD)), None, Any_((All((CASH, LARGE)), CARD))),
        (None_((LARGE, CARD)), Not(Any_((CARD,))), Not(Any_((LARGE,))), None_((LARGE, CARD))),
        (Not(All((CASH, LARGE))), None, None, Not(All((CASH, LARGE)))),
        (SAME, None, None, SAME),
    ],
)  # fmt: skip
def test_a_guard_is_the_most_that_leaves_of_one_source_say(
    condition: Condition, of_classes: Condition | None, of_amount: Condition | None, rest: Condition | None
) -> None:
    assert guard_in(condition, CLASSED) == of_classes
    assert guard_in(condition, AMOUNT) == of_amount
    assert rest_of(condition, source_of) == rest


@settings(max_examples=150, deadline=None)
@given(condition=nested(plain_leaves, 3), instruction=instructions)
def test_what_is_true_passes_its_guards_and_guards_with_their_rest_are_the_condition(
    condition: Condition, instruction: Any
) -> None:
    guards = [guard for source in (CLASSED, AMOUNT) if (guard := guard_in(condition, source)) is not None]
    rest = rest_of(condition, source_of)
    judged = Bench((condition,), LISTS, TABLES).judged(instruction)
    truth = judged.truth(condition)
    for guard in guards:
        held = judged.truth(guard)
        if truth is True:
            assert held is True
        if truth is None:
            assert held is not False
    assert judged.truth(All((*guards, *([] if rest is None else [rest])))) is truth


@pytest.mark.parametrize("limit", ["0.00", "-5.00", "1000.00", "9999999999999999.99"])
def test_the_stretches_of_the_amount_end_where_limits_are(limit: str) -> None:
    """An answer is remembered for all amounts between two limits: it must turn at the limit itself."""
    operators = ("eq", "ne", "gt", "gte", "lt", "lte")
    conditions = tuple(leaf("amount", operator, yuan(limit)) for operator in operators)
    bench = Bench(
        (*conditions, leaf("amount", "between", (yuan("-5.00"), yuan(limit))), leaf("amount", "gt", Decimal("0.005")))
    )
    fen = int(Decimal(limit) * 100)
    for amount in (fen - 1, fen, fen + 1, fen, fen - 1):
        if abs(amount) >= 10**18:
            continue
        expected = [amount == fen, amount != fen, amount > fen, amount >= fen, amount < fen, amount <= fen]
        expected += [-500 <= amount <= fen, amount > 0]
        assert bench.judge(make_instruction(amount=f"{Decimal(amount) / 100:.2f}")) == expected
    foreign = make_instruction(currency="USD")
    assert bench.judge(foreign) == [None] * 8


def test_cheap_conditions_are_asked_first_and_equal_ones_stay_in_place() -> None:
    total = leaf(ref(aggregate("sum", "amount", window_us=DAY)), "gt", yuan("1.00"))
    words = leaf("purpose", "contains_any", ("烟",))
    assert in_order((total, words, LARGE, CASH)) == (LARGE, CASH, words, total)


def test_the_answer_for_one_text_is_not_that_for_another_however_many_there_were() -> None:
    conditions = tuple(leaf("purpose", "contains", word) for word in ("烟", "酒", "茶"))
    bench = Bench(conditions)
    for purpose, expected in [("烟", [True, False, False]), ("酒", [False, True, False]), (None, [None, None, None])]:
        for _ in range(2):
            assert bench.judge(make_instruction(purpose=purpose)) == expected
        assert bench.judge(make_instruction(purpose="长" * 100 + (purpose or ""))) == (
            expected if purpose else [False, False, False]
        )
    assert all(map(is_of_text, conditions))


def test_a_word_that_expires_is_asked_on_its_day() -> None:
    conditions = tuple(leaf("purpose", "contains_any", words) for words in (("烟",), ("烟", "酒"), ("烟", "茶")))
    listed = leaf("purpose", "in_list", WordList("words"))
    bench = Bench((*conditions, listed), {"words": {"礼品": date(2025, 3, 5)}})
    for day, counts in (("2025-03-05", True), ("2025-03-06", False), ("2025-03-05", True)):
        instruction = make_instruction(purpose="礼品", event_time=f"{day}T10:00:00+08:00")
        assert bench.judge(instruction)[-1] is counts


def test_a_long_feature_may_ask_what_is_asked_once_for_each_text() -> None:
    """Its code is long enough to be computed before any rule is asked."""
    words = tuple(leaf("purpose", "contains", word) for word in ("烟", "酒", "茶"))
    sums = tuple(
        ref(aggregate("sum", "amount", "budget_unit", "payee_account", where=words[at % 3], window_us=(at + 1) * HOUR))
        for at in range(12)
    )
    bench = Bench((*words, leaf(ref(Arithmetic("add", sums)), "gt", yuan("0.00"))))
    assert bench.judge(make_instruction(purpose="酒", amount="1.00")) == [False, True, False, True]
    assert bench.judge(make_instruction(purpose="水", amount="1.00")) == [False, False, False, True]
    assert bench.judge(make_instruction(purpose="水", amount="1.00", budget_unit="other"))[-1] is False


@pytest.mark.parametrize("test", [("contains_any", ("烟",)), ("matches", "烟+")])
def test_what_is_found_of_long_texts_is_not_remembered_since_they_would_fill_the_memory(test: tuple[str, Any]) -> None:
    counted = aggregate("count", "instruction_id", "budget_unit", window_us=HOUR, where=leaf("purpose", *test))
    engine = engine_of(shows(counted))
    engine.assess([pay(length, purpose="x" * length) for length in (64, 65, 60_000)])
    names = engine.program.judge(engine.program.days.of(0)).__globals__
    memories = [getattr(each, "remembered", each) for each in names.values()]
    assert [each.cache_info().currsize for each in memories if hasattr(each, "cache_info")] == [1]
