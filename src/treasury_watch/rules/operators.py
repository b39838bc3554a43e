"""The operators of conditions as a table: what they apply to, what stands on their right-hand side, what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from treasury_watch.rules.types import NUMERIC, ORDERED, Sort, Type


class Right(Enum):
    """What stands on the right-hand side."""

    ONE = "an operand"
    STEP = "a number above zero"
    TWO = "two operands"
    MANY = "operands"
    OTHER = "a field or feature"
    LIST = "the name of a list"
    WORDS = "words, or a list of them"
    PATTERN = "a regular expression"
    LENGTH = "a length, or bounds of one"
    FLAG = "true or false"


@dataclass(frozen=True, slots=True)
class Operator:
    """`sorts`: what it applies to; `local`: what it reads a local field as, if its right-hand side does not say.

    `free_text`: it applies only to texts that are not one of a closed set of words.
    """

    name: str
    sorts: frozenset[Sort]
    right: Right
    doc: str
    local: Sort = Sort.LOCAL
    free_text: bool = False

    def applies(self, subject: Type) -> bool:
        return subject.sort in self.sorts and not (self.free_text and subject.values)


_ANY = frozenset(Sort)


def _ordering(name: str, right: Right, doc: str, sorts: frozenset[Sort] = ORDERED) -> Operator:
    return Operator(name, sorts | {Sort.LOCAL}, right, doc, Sort.LOCAL_NUMBER)


def _text(name: str, right: Right, doc: str, *, free: bool = True) -> Operator:
    return Operator(name, frozenset({Sort.TEXT, Sort.LOCAL}), right, doc, Sort.TEXT, free)


OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        each.name: each
        for each in (
            Operator("eq", _ANY, Right.ONE, "equal; accounts and names in their normal form"),
            Operator("ne", _ANY, Right.ONE, "not equal"),
            _ordering("gt", Right.ONE, "greater"),
            _ordering("gte", Right.ONE, "greater or equal"),
            _ordering("lt", Right.ONE, "less"),
            _ordering("lte", Right.ONE, "less or equal"),
            _ordering("between", Right.TWO, "from the first to the second, both included"),
            Operator("in", _ANY, Right.MANY, "equal to one of these"),
            Operator("not_in", _ANY, Right.MANY, "equal to none of these"),
            _text("in_list", Right.LIST, "an entry of a named list that has not expired", free=False),
            _text("contains", Right.ONE, "has this text in it"),
            _text("contains_any", Right.WORDS, "has one of these words outside the excepted ones"),
            _text("starts_with", Right.ONE, "starts with this text"),
            _text("ends_with", Right.ONE, "ends with this text"),
            _text("matches", Right.PATTERN, "has a match of this RE2 regular expression in it"),
            _ordering("multiple_of", Right.STEP, "a multiple of this", NUMERIC),
            _text("length", Right.LENGTH, "its number of characters is so"),
            Operator("same_as", _ANY, Right.OTHER, "equal to another field or feature"),
            Operator("is_missing", _ANY, Right.FLAG, "true: absent; false: present. Never missing itself"),
        )
    }
)
COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte")
