"""The operators of conditions as a table: what they apply to, what stands on their right-hand side, what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from treasury_watch.rules.types import ORDERED, Sort, Type


class Right(Enum):
    """What stands on the right-hand side."""

    ONE = "an operand"
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
    """`sorts`: what it applies to; `free_text`: only to texts that are not one of a closed set of words."""

    name: str
    sorts: frozenset[Sort]
    right: Right
    doc: str
    free_text: bool = False

    def applies(self, subject: Type) -> bool:
        return subject.sort in self.sorts and not (self.free_text and subject.values)


_ANY = frozenset(Sort)
_ORDERED = ORDERED | {Sort.LOCAL}
_TEXTS = frozenset({Sort.TEXT, Sort.LOCAL})

OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        each.name: each
        for each in (
            Operator("eq", _ANY, Right.ONE, "equal; accounts and names in their normal form"),
            Operator("ne", _ANY, Right.ONE, "not equal"),
            Operator("gt", _ORDERED, Right.ONE, "greater"),
            Operator("gte", _ORDERED, Right.ONE, "greater or equal"),
            Operator("lt", _ORDERED, Right.ONE, "less"),
            Operator("lte", _ORDERED, Right.ONE, "less or equal"),
            Operator("between", _ORDERED, Right.TWO, "from the first to the second, both included"),
            Operator("in", _ANY, Right.MANY, "equal to one of these"),
            Operator("not_in", _ANY, Right.MANY, "equal to none of these"),
            Operator("in_list", _TEXTS, Right.LIST, "an entry of a named list that has not expired"),
            Operator("contains", _TEXTS, Right.ONE, "has this text in it", free_text=True),
            Operator(
                "contains_any", _TEXTS, Right.WORDS, "has one of these words outside the excepted ones", free_text=True
            ),
            Operator("starts_with", _TEXTS, Right.ONE, "starts with this text", free_text=True),
            Operator("ends_with", _TEXTS, Right.ONE, "ends with this text", free_text=True),
            Operator(
                "matches", _TEXTS, Right.PATTERN, "has a match of this RE2 regular expression in it", free_text=True
            ),
            Operator("multiple_of", _ORDERED - {Sort.DATE}, Right.ONE, "a multiple of this"),
            Operator("length", _TEXTS, Right.LENGTH, "its number of characters is so", free_text=True),
            Operator("same_as", _ANY, Right.OTHER, "equal to another field or feature"),
            Operator("is_missing", _ANY, Right.FLAG, "true: absent; false: present. Never missing itself"),
        )
    }
)
COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte")
