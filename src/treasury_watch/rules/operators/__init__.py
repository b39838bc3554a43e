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
    Comparison(
        "eq",
        "equal; accounts and names in their normal form",
        "等于；账号和名称按规范形式比较",
        template="{x} == {y}",
        test=operator.eq,
    ),
    Comparison("ne", "not equal", "不等于", template="{x} != {y}", test=operator.ne),
    Comparison("gt", "greater", "大于", _IN_ORDER, Sort.LOCAL_NUMBER, template="{x} > {y}", test=operator.gt),
    Comparison(
        "gte", "greater or equal", "大于或等于", _IN_ORDER, Sort.LOCAL_NUMBER, template="{x} >= {y}", test=operator.ge
    ),
    Comparison("lt", "less", "小于", _IN_ORDER, Sort.LOCAL_NUMBER, template="{x} < {y}", test=operator.lt),
    Comparison(
        "lte", "less or equal", "小于或等于", _IN_ORDER, Sort.LOCAL_NUMBER, template="{x} <= {y}", test=operator.le
    ),
)
OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        each.name: each
        for each in (
            *COMPARISONS,
            Between(
                "between",
                "from the first to the second, both included",
                "在两个值之间，含两端",
                _IN_ORDER,
                Sort.LOCAL_NUMBER,
            ),
            Choice("in", "equal to one of these", "等于其中之一"),
            Choice("not_in", "equal to none of these", "不等于其中任何一个", negated=True),
            InList(
                "in_list", "an entry of a named list that has not expired", "是指定名单中未到期的条目", _TEXT, Sort.TEXT
            ),
            Comparison(
                "contains",
                "has this text in it",
                "包含该文本",
                _TEXT,
                Sort.TEXT,
                True,
                template="{y} in {x}",
                test=operator.contains,
            ),
            ContainsAny(
                "contains_any",
                "has one of these words outside the excepted ones",
                "包含其中任一词，例外词之内的不算",
                _TEXT,
                Sort.TEXT,
                True,
            ),
            Comparison(
                "starts_with",
                "starts with this text",
                "以该文本开头",
                _TEXT,
                Sort.TEXT,
                True,
                template="{x}.startswith({y})",
                test=str.startswith,
            ),
            Comparison(
                "ends_with",
                "ends with this text",
                "以该文本结尾",
                _TEXT,
                Sort.TEXT,
                True,
                template="{x}.endswith({y})",
                test=str.endswith,
            ),
            Matches(
                "matches",
                "has a match of this RE2 regular expression in it",
                "其中有与该 RE2 正则表达式匹配的部分",
                _TEXT,
                Sort.TEXT,
                True,
            ),
            MultipleOf(
                "multiple_of",
                "a multiple of this",
                "是该数的整数倍",
                NUMERIC | {Sort.LOCAL},
                Sort.LOCAL_NUMBER,
                template="{x} % {y} == 0",
                test=lambda x, y: x % y == 0,
            ),
            Length("length", "its number of characters is so", "字符数符合该要求", _TEXT, Sort.TEXT, True, COMPARISONS),
            SameAs(
                "same_as",
                "equal to another field or feature",
                "等于另一个字段或特征",
                template="{x} == {y}",
                test=operator.eq,
            ),
            IsMissing(
                "is_missing",
                "true: absent; false: present. Never missing itself",
                "true：缺失；false：存在。结果本身不会缺失",
            ),
            WorkingTime(
                "working_time",
                "submitted in these hours of a working day of this calendar",
                "提交于该日历工作日的这一时段内",
            ),
        )
    }
)
