"""What a value is: money, a count, a number, a text …, so that rules cannot compare what does not compare.

Literals and params of numbers are *bare*: compared with money they are amounts, else plain numbers. What is calculated
of them alone is a number: there is nothing in it to make it money.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from types import MappingProxyType

from treasury_watch.domain.payment import Kind, account_form, field_of, name_form
from treasury_watch.rules.schema import (
    Feature,
    FeatureRef,
    FieldRef,
    Operand,
    Param,
    Scalar,
    Table,
)


class Sort(Enum):
    """The sorts of values; the text completes "… is …" in messages."""

    TEXT = "a text"
    MONEY = "money"
    COUNT = "a whole number"
    NUMBER = "a number"
    BARE = "a plain number"
    BOOLEAN = "true or false"
    DATE = "a date"
    LOCAL = "a local field"
    LOCAL_NUMBER = "a local field read as a number"


@dataclass(frozen=True, slots=True)
class Type:
    """A sort; for texts also the form they are compared in and, if closed, the values they can have."""

    sort: Sort
    form: str = "text"  # text, account, name
    values: tuple[str, ...] = ()


NUMERIC = frozenset({Sort.MONEY, Sort.COUNT, Sort.NUMBER, Sort.BARE})
ORDERED = NUMERIC | {Sort.DATE}
COLUMN_TYPES: Mapping[str, Type] = MappingProxyType(
    {
        "text": Type(Sort.TEXT),
        "account": Type(Sort.TEXT, "account"),
        "name": Type(Sort.TEXT, "name"),
        "money": Type(Sort.MONEY),
        "integer": Type(Sort.COUNT),
        "number": Type(Sort.NUMBER),
        "date": Type(Sort.DATE),
        "boolean": Type(Sort.BOOLEAN),
    }
)
FORMS: Mapping[str, Callable[[str], str]] = MappingProxyType({"text": str, "account": account_form, "name": name_form})

_FIELD_TYPES = {
    Kind.TEXT: Type(Sort.TEXT),
    Kind.NAME: Type(Sort.TEXT, "name"),
    Kind.ACCOUNT: Type(Sort.TEXT, "account"),
    Kind.MONEY: Type(Sort.MONEY),
    Kind.INTEGER: Type(Sort.COUNT),
    Kind.BOOLEAN: Type(Sort.BOOLEAN),
    Kind.DATE: Type(Sort.DATE),
    Kind.TIME: Type(Sort.DATE),  # a rule means the local day of an instant
    Kind.ATTRIBUTE: Type(Sort.LOCAL),
}


def type_of(operand: Operand, tables: Mapping[str, Table]) -> Type:
    """What an operand or feature is. Its fields, tables and columns must exist; raises TypeError if it mixes sorts."""
    match operand:
        case FieldRef(name=name):
            return field_type(name)
        case FeatureRef(feature=feature):
            return feature.type(tables)
        case Feature():
            return operand.type(tables)
        case Param(segments=segments):
            return literal_type(next(iter(segments.values()))[0].value)
    return literal_type(operand)


def field_type(name: str) -> Type:
    """The type of a field of the contract."""
    field = field_of(name)
    if field is None:
        raise TypeError(f"no field {name}")
    if field.kind is Kind.ENUM:
        return Type(Sort.TEXT, values=tuple(field.values))
    return _FIELD_TYPES[field.kind]


def literal_type(value: Scalar) -> Type:
    if isinstance(value, bool):
        return Type(Sort.BOOLEAN)
    if isinstance(value, int | Decimal):
        return Type(Sort.BARE)
    return Type(Sort.DATE) if isinstance(value, date) else Type(Sort.TEXT)


def comparable(left: Sort, right: Sort) -> bool:
    """Whether two values can be compared. A local field is read as what it is compared with, but never as a date."""
    if Sort.LOCAL_NUMBER in (left, right):
        return left in NUMERIC or right in NUMERIC
    if Sort.LOCAL in (left, right):
        return Sort.DATE not in (left, right)
    if left in NUMERIC and right in NUMERIC:
        return Sort.BARE in (left, right) or (left is Sort.MONEY) == (right is Sort.MONEY)
    return left is right
