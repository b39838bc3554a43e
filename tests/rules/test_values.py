"""Values: exact arithmetic, readings of local fields, and numbers as people read them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treasury_watch.engine.symbols import Symbols
from treasury_watch.rules import values
from treasury_watch.rules.values import any_word, decimal_text, in_home_currency, money_text, number_text

# --- words ---


@pytest.mark.parametrize(
    ("text", "words", "excepted", "found"),
    [
        ("烟", ["烟"], (), True),
        ("烟台酒店", ["烟", "酒"], ("烟台", "酒店"), False),
        ("烟台的烟", ["烟"], ("烟台",), True),
        ("烟台湾", ["湾"], ("烟台", "台湾"), False),  # excepted words overlap
        ("烟台湾", ["湾"], ("台湾", "烟台"), False),
        ("酒店铺", ["酒店铺"], ("酒店",), False),  # a word that reaches into an excepted one
        ("酒店酒", ["店酒"], ("酒店",), False),
        ("aaa", ["a"], ("aa",), False),
        ("aab", ["b"], ("aa",), True),
        ("", ["烟"], (), False),
        ("烟", [], (), False),
        ("香烟", ["烟"], ("没有",), True),
    ],
)
def test_a_word_counts_outside_the_excepted_words(
    text: str, words: list[str], excepted: tuple[str, ...], found: bool
) -> None:
    assert any_word(text, words, excepted) is found


@given(
    st.text("烟酒店", max_size=12),
    st.lists(st.text("烟酒店", min_size=1, max_size=2)),
    st.lists(st.text("烟酒店", min_size=1, max_size=3)),
)
def test_a_word_counts_where_it_touches_no_place_of_an_excepted_word(
    text: str, words: list[str], excepted: list[str]
) -> None:
    def places(word: str) -> list[range]:
        return [range(at, at + len(word)) for at in range(len(text)) if text.startswith(word, at)]

    taken = {place for word in excepted for found in places(word) for place in found}
    expected = any(taken.isdisjoint(found) for word in words for found in places(word))
    assert any_word(text, words, tuple(excepted)) is expected


def test_a_digest_is_128_bits_and_differs_for_different_keys() -> None:
    assert len(values.digest("甲" * 100)) == 16
    assert values.digest("甲" * 100) == values.digest("甲" * 100)
    assert values.digest("甲" * 100) != values.digest("甲" * 99)


# --- arithmetic ---

ARITHMETIC = [values.add_exact, values.sub_exact, values.mul_exact, values.div_exact]


@pytest.mark.parametrize("calculate", ARITHMETIC)
@pytest.mark.parametrize("operands", [(None, 1), (1, None), (None, None), (0, None), (None, 0)])
def test_whatever_is_calculated_with_something_missing_is_missing(calculate: Any, operands: Any) -> None:
    assert calculate(*operands) is None


numbers = st.one_of(st.integers(-(10**20), 10**20), st.fractions())


@given(numbers, numbers)
def test_arithmetic_is_exact(a: int | Fraction, b: int | Fraction) -> None:
    assert values.add_exact(a, b) == Fraction(a) + Fraction(b)
    assert values.sub_exact(a, b) == Fraction(a) - Fraction(b)
    assert values.mul_exact(a, b) == Fraction(a) * Fraction(b)
    assert values.div_exact(a, b) == (None if b == 0 else Fraction(a) / Fraction(b))


def test_three_and_more_operands_are_added_and_multiplied() -> None:
    assert values.add_exact(1, 2, 3, 4) == 10
    assert values.mul_exact(1, 2, 3, 4) == 24
    assert values.mul_exact(0, 2, None) is None


@pytest.mark.parametrize("calculate", [values.mul_exact, values.div_exact])
def test_a_whole_result_is_an_int(calculate: Any) -> None:
    assert isinstance(calculate(Fraction(9, 2), Fraction(1, 2)), int | Fraction)
    assert isinstance(values.div_exact(9, 3), int)
    assert isinstance(values.mul_exact(Fraction(1, 2), 4), int)


# --- local fields ---

ATTRIBUTES: dict[str, Any] = {
    "text": "1", "int": 7, "float": 0.1, "whole": 2.0, "true": True, "false": False,
    "huge": 1e300, "tiny": 1e-7, "empty": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "number", "text", "boolean", "key"),
    [
        ("text", None, "1", None, "1"),
        ("int", 7, None, None, "7"),
        ("float", Fraction(1, 10), None, None, "1/10"),
        ("whole", 2, None, None, "2"),
        ("true", None, None, True, "true"),
        ("false", None, None, False, "false"),
        ("huge", 10**300, None, None, str(10**300)),
        ("tiny", Fraction(1, 10**7), None, None, "1/10000000"),
        ("empty", None, "", None, ""),
        ("absent", None, None, None, None),
    ],
)
def test_a_local_field_is_read_as_one_type_and_missing_as_the_others(
    name: str, number: Any, text: Any, boolean: Any, key: Any
) -> None:
    assert values.attribute_number(ATTRIBUTES, name) == number
    assert values.attribute_money(ATTRIBUTES, name) == (None if number is None else number * 100)
    assert values.attribute_text(ATTRIBUTES, name) == text
    assert values.attribute_boolean(ATTRIBUTES, name) is boolean
    assert values.attribute_key(ATTRIBUTES, name) == key
    assert values.attribute_any(ATTRIBUTES, name) == ATTRIBUTES.get(name)


def test_without_local_fields_each_is_missing() -> None:
    for read in (
        values.attribute_number,
        values.attribute_money,
        values.attribute_text,
        values.attribute_boolean,
        values.attribute_key,
        values.attribute_any,
    ):
        assert read(None, "x") is None


def test_a_float_is_the_decimal_that_it_is_written_as() -> None:
    assert values.number_of(0.1) == Fraction(1, 10)
    assert values.number_of(1234.56) == Fraction(123456, 100)
    assert values.number_of(-0.0) == 0


# --- aggregates ---


def test_nothing_has_no_extremes_and_no_mean_and_adds_up_to_nothing() -> None:
    assert values.sum_of([], None) == 0
    assert values.distinct_of([], None) == 0
    assert values.min_of([], None) is values.max_of([], None) is values.avg_of([], None) is None


def test_the_judged_one_counts_where_it_has_a_value() -> None:
    assert values.sum_of([1, Fraction(1, 2)], 2) == Fraction(7, 2)
    assert values.min_of([1, 3], 0) == 0
    assert values.max_of([1, 3], 4) == 4
    assert values.avg_of([1, 3], 4) == Fraction(8, 3)
    assert values.avg_of([1, 3], None) == 2
    assert values.distinct_of(["甲", "乙", "甲"], "丙") == 3


# --- numbers as text ---


@pytest.mark.parametrize(
    ("fen", "text"),
    [
        (0, "0.00"),
        (5, "0.05"),
        (-5, "-0.05"),
        (-100, "-1.00"),
        (10**18, "10000000000000000.00"),
        (Fraction(1, 2), "0.00"),
        (Fraction(3, 2), "0.02"),
        (Fraction(-1, 2), "0.00"),
        (Fraction(-5, 2), "-0.02"),
        (Fraction(10**40, 3), "33333333333333333333333333333333333333.33"),
    ],
)
def test_fen_are_shown_as_yuan_with_two_places_half_even(fen: int | Fraction, text: str) -> None:
    assert money_text(fen) == text


@given(st.integers(-(10**18), 10**18))
def test_an_amount_is_shown_exactly(fen: int) -> None:
    assert Decimal(money_text(fen)) * 100 == fen
    assert money_text(Fraction(fen)) == money_text(fen)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (7, "7"),
        (-(10**30), "-" + "1" + "0" * 30),
        (Fraction(1, 3), "0.3333"),
        (Fraction(2, 3), "0.6667"),
        (Fraction(1, 20000), "0.0000"),
        (Fraction(3, 20000), "0.0002"),
        (Fraction(-1, 3), "-0.3333"),
        (Fraction(12345, 10), "1234.5000"),
    ],
)
def test_whole_numbers_are_shown_as_they_are_and_ratios_to_four_places(number: int | Fraction, text: str) -> None:
    assert number_text(number) == text


def test_the_digits_of_a_very_large_number_are_all_shown() -> None:
    number = Fraction(10**150 + 1, 4)
    assert decimal_text(number, 4) == f"{(10**150 + 1) // 4}.2500"


# --- currencies ---


@pytest.mark.parametrize(
    ("fen", "rate", "home"),
    [
        (100, Fraction(73, 10), 730),
        (1, Fraction(1, 2), 0),
        (3, Fraction(1, 2), 2),
        (-1, Fraction(1, 2), 0),
        (10**18 - 1, 1, 10**18 - 1),
        (10**18 - 1, Fraction(10**18, 10**18 - 1), None),
        (-(10**18) + 1, 2, None),
    ],
)
def test_an_amount_is_converted_to_the_fen_half_even_and_missing_beyond_what_can_be_paid(
    fen: int, rate: int | Fraction, home: int | None
) -> None:
    assert in_home_currency(fen, rate) == home


# --- symbols ---


def test_a_symbol_is_free_again_when_its_last_use_is_released() -> None:
    symbols = Symbols()
    first, again, other = symbols.take("甲"), symbols.take("甲"), symbols.take(Fraction(1, 3))
    assert first == again != other
    assert symbols.of([other, first, first]) == [Fraction(1, 3), "甲", "甲"]
    symbols.release(first)
    assert symbols.take("甲") == first
    symbols.release(first)
    symbols.release(first)
    assert len(symbols) == 1
    assert symbols.take("乙") == first  # its place is used again
    assert symbols.of([first]) == ["乙"]
    assert symbols.take("甲") not in (first, other)


def test_a_text_of_digits_is_another_symbol_than_the_number() -> None:
    symbols = Symbols()
    assert symbols.take("1") != symbols.take(1)
