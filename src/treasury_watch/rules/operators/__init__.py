"""The operators of conditions. One is a module here, or a row of one, and a line of this table."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from types import MappingProxyType

from treasury_watch.rules.operators.base import Operator
from treasury_watch.rules.operators.choice import Between, Choice, InList
from treasury_watch.rules.operators.comparison import Comparison, IsMissing, MultipleOf, SameAs
from treasury_watch.rules.operators.text import WORDS, ContainsAny, Length, Matches
from treasury_watch.rules.operators.working_time import WORKING_TIME, WorkingTime
from treasury_watch.rules.types import NUMERIC, ORDERED, Sort

__all__ = ["COMPARISONS", "OPERATORS", "WORDS", "WORKING_TIME", "Operator"]

_TEXT = frozenset({Sort.TEXT, Sort.LOCAL})
_IN_ORDER = ORDERED | {Sort.LOCAL}

COMPARISONS = (
    Comparison("eq", "equal; accounts and names in their normal form", template="{x} == {y}", test=operator.eq),
    Comparison("ne", "not equal", template="{x} != {y}", test=operator.ne),
    Comparison("gt", "greater", _IN_ORDER, Sort.LOCAL_NUMBER, template="{x} > {y}", test=operator.gt),
    Comparison("gte", "greater or equal", _IN_ORDER, Sort.LOCAL_NUMBER, template="{x} >= {y}", test=operator.ge),
    Comparison("lt", "less", _IN_ORDER, Sort.LOCAL_NUMBER, template="{x} < {y}", test=operator.lt),
    Comparison("lte", "less or equal", _IN_ORDER, Sort.LOCAL_NUMBER, template="{x} <= {y}", test=operator.le),
)
OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        each.name: each
        for each in (
            *COMPARISONS,
            Between("between", "from the first to the second, both included", _IN_ORDER, Sort.LOCAL_NUMBER),
            Choice("in", "equal to one of these"),
            Choice("not_in", "equal to none of these", negated=True),
            InList("in_list", "an entry of a named list that has not expired", _TEXT, Sort.TEXT),
            Comparison(
                "contains", "has this text in it", _TEXT, Sort.TEXT, True,
                template="{y} in {x}", test=operator.contains,
            ),
            ContainsAny("contains_any", "has one of these words outside the excepted ones", _TEXT, Sort.TEXT, True),
            Comparison(
                "starts_with", "starts with this text", _TEXT, Sort.TEXT, True,
                template="{x}.startswith({y})", test=str.startswith,
            ),
            Comparison(
                "ends_with", "ends with this text", _TEXT, Sort.TEXT, True,
                template="{x}.endswith({y})", test=str.endswith,
            ),
            Matches("matches", "has a match of this RE2 regular expression in it", _TEXT, Sort.TEXT, True),
            MultipleOf(
                "multiple_of", "a multiple of this", NUMERIC | {Sort.LOCAL}, Sort.LOCAL_NUMBER,
                template="{x} % {y} == 0", test=lambda x, y: x % y == 0,
            ),
            Length("length", "its number of characters is so", _TEXT, Sort.TEXT, True, COMPARISONS),
            SameAs("same_as", "equal to another field or feature", template="{x} == {y}", test=operator.eq),
            IsMissing("is_missing", "true: absent; false: present. Never missing itself"),
            WorkingTime("working_time", "submitted in these hours of a working day of this calendar"),
        )
    }
)  # fmt: skip
