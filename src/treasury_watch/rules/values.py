"""Values (取值): the exact arithmetic and the readings of text that both the generated and the interpreted rules call.

`None` is missing everywhere. Money is in fen; numbers are int or Fraction; nothing is rounded before it is shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from treasury_watch.domain.payment import AttributeValue

Number = int | Fraction
_WIDE = Context(prec=200)  # digits: no amount is rounded when its point is placed


def digest(key: str) -> bytes:
    """The 128-bit BLAKE2b digest that stands for a long key (a `bytes`, so never equal to a key that is kept as it
    is).
    """
    return hashlib.blake2b(key.encode("utf-8"), digest_size=16).digest()


def any_word(text: str, words: Iterable[str], excepted: tuple[str, ...]) -> bool:
    """Whether one of the words stands in the text outside every occurrence of the excepted ones."""
    if excepted:
        shown = list(text)
        for word in excepted:
            at = text.find(word)
            while at >= 0:  # occurrences may overlap
                shown[at : at + len(word)] = "\0" * len(word)
                at = text.find(word, at + 1)
        text = "".join(shown)
    return any(word in text for word in words)


def simplest(value: Fraction) -> Number:
    """The int that a whole fraction is, else the fraction."""
    return value.numerator if value.denominator == 1 else value


def add_exact(*values: Number | None) -> Number | None:
    """The sum; missing if a part is."""
    result: Number = 0
    for value in values:
        if value is None:
            return None
        result += value
    return result


def sub_exact(left: Number | None, right: Number | None) -> Number | None:
    """The difference; missing if a part is."""
    return None if left is None or right is None else left - right


def mul_exact(*values: Number | None) -> Number | None:
    """The product; missing if a part is."""
    result: Number | None = None
    for value in values:
        if value is None:
            return None
        result = value if result is None else result * value
    return simplest(result) if isinstance(result, Fraction) else result


def div_exact(left: Number | None, right: Number | None) -> Number | None:
    """The exact quotient; missing if a part is, or if it would divide by zero."""
    return None if left is None or not right else simplest(Fraction(left) / right)


def number_of(value: AttributeValue | None) -> Number | None:
    """An attribute as an exact number, a float as its shortest decimal; missing if it is none."""
    if value is None or isinstance(value, (bool, str)):
        return None
    return value if isinstance(value, int) else simplest(Fraction(repr(value)))


def attribute_number(attributes: Mapping[str, AttributeValue] | None, name: str) -> Number | None:
    """A local field as an exact number; missing if it is absent or no number."""
    return None if attributes is None else number_of(attributes.get(name))


def attribute_money(attributes: Mapping[str, AttributeValue] | None, name: str) -> Number | None:
    """A local field that is a number of yuan, in fen."""
    number = attribute_number(attributes, name)
    return None if number is None else simplest(Fraction(number) * 100)


def attribute_text(attributes: Mapping[str, AttributeValue] | None, name: str) -> str | None:
    """A local field as text; missing if it is absent or no text."""
    value = None if attributes is None else attributes.get(name)
    return value if isinstance(value, str) else None


def attribute_boolean(attributes: Mapping[str, AttributeValue] | None, name: str) -> bool | None:
    """A local field as a truth value; missing if it is absent or none."""
    value = None if attributes is None else attributes.get(name)
    return value if isinstance(value, bool) else None


def attribute_any(attributes: Mapping[str, AttributeValue] | None, name: str) -> AttributeValue | None:
    """A local field as it is."""
    return None if attributes is None else attributes.get(name)


def attribute_key(attributes: Mapping[str, AttributeValue] | None, name: str) -> str | None:
    """A local field of whatever type as the text that it is grouped by and counted as: 1, 1.0 and "1" are the same."""
    value = None if attributes is None else attributes.get(name)
    if value is None or isinstance(value, str):
        return value
    return ("false", "true")[value] if isinstance(value, bool) else str(number_of(value))


def sum_of(values: Iterable[Number], own: Number | None) -> Number:
    """The sum of the values and of the judged instruction's own, where it has one that counts."""
    return sum(values, own or 0)


def min_of(values: Iterable[Any], own: Any) -> Any:
    """The least of the values and the own one; missing if there is none."""
    return min(_with(values, own), default=None)


def max_of(values: Iterable[Any], own: Any) -> Any:
    """The greatest of the values and the own one; missing if there is none."""
    return max(_with(values, own), default=None)


def avg_of(values: Iterable[Number], own: Number | None) -> Number | None:
    """The exact mean of the values and the own one; missing if there is none."""
    everything = _with(values, own)
    return simplest(Fraction(sum(everything)) / len(everything)) if everything else None


def distinct_of(values: Iterable[Any], own: Any) -> int:
    """How many different values there are, the own one included."""
    return len(set(_with(values, own)))


def _with(values: Iterable[Any], own: Any) -> list[Any]:
    return [*values] if own is None else [*values, own]


def money_text(fen: Number) -> str:
    """Yuan with two places, half-even, of fen."""
    if isinstance(fen, int):  # nearly always, and ten times faster
        return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02}"
    return decimal_text(fen / 100, 2)


def decimal_text(value: Number, places: int) -> str:
    """A number with that many places, rounded half-even from its exact value."""
    scaled = round(Fraction(value) * 10**places)  # round() of a Fraction is exact and half-even
    return format(Decimal(scaled).scaleb(-places, context=_WIDE), "f")


def number_text(value: Number) -> str:
    """A whole number as it is, a ratio to four places."""
    return str(value) if isinstance(value, int) else decimal_text(value, 4)


def in_home_currency(fen: int, rate: Number) -> int | None:
    """Fen of CNY for an amount in another currency at a rate of CNY for one unit of it, rounded half-even; missing if
    that is more than an amount can be (10^16 yuan).
    """
    converted = round(Fraction(fen) * rate)
    return converted if abs(converted) < 10**18 else None
