"""Sums, counts, extremes, means and distinct values of what was paid within a window or since a period began."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Literal

from treasury_watch.domain.calendar import DAY_US, HOUR_US
from treasury_watch.domain.payment import Kind, field_of
from treasury_watch.rules import values
from treasury_watch.rules.conditions import read_condition
from treasury_watch.rules.evaluation import Coder, Expression, Judging
from treasury_watch.rules.schema import Condition, Feature, Operand, Population, Span, Table
from treasury_watch.rules.scope import Scope, field_name, field_names
from treasury_watch.rules.shapes import Duration, Key, Raw, Record, Word
from treasury_watch.rules.source import MappingNode
from treasury_watch.rules.types import Sort, Type, field_type

AggregateKind = Literal["sum", "count", "min", "max", "avg", "distinct"]
Period = Literal["day", "week", "month", "quarter", "fiscal_year"]

KINDS = {
    "sum": ("the sum of this field", "该字段之和"),
    "count": ("how many instructions have this field", "有该字段的支付指令笔数"),
    "min": ("the smallest value of this field", "该字段的最小值"),
    "max": ("the greatest value of this field", "该字段的最大值"),
    "avg": ("the mean of this field", "该字段的平均值"),
    "distinct": ("how many different values this field has", "该字段不同取值的个数"),
}
BY = Key(
    "by",
    Raw("fields"),
    "the fields that the counted instructions share; [] for all of the partition",
    "统计时按哪些字段分组；[] 为整个分区",
    True,
)
COUNTED = (
    Key("where", Raw("condition"), "which instructions count", "统计哪些支付指令"),
    Key(
        "population",
        Word("population", ("executed", "attempted")),
        "executed (default): passed or warned; attempted: all",
        "executed 已执行（默认）：放行或预警的；attempted 全部",
    ),
)
_BOUNDS = (
    Key("window", Duration(), "event time in (t − window, t]", "窗口：事件时间在 (t − window, t] 内"),
    Key(
        "period",
        Word("period", ("day", "week", "month", "quarter", "fiscal_year")),
        "from its start in the zone to t",
        "周期：从该时区内周期开始到 t",
    ),
)
RECORDS = {
    kind: Record(f"{kind} feature", (Key(kind, Raw("field"), *docs, True), BY, *_BOUNDS, *COUNTED))
    for kind, docs in KINDS.items()
}
# The longest a period can reach back, the odd hour of a zone change included. A fiscal year is known by its number,
# and counts for instructions of the calendar years before, of and after it.
_PERIOD_US = {
    "day": DAY_US + 3 * HOUR_US,
    "week": 7 * DAY_US + 3 * HOUR_US,
    "month": 31 * DAY_US + 3 * HOUR_US,
    "quarter": 92 * DAY_US + 3 * HOUR_US,
    "fiscal_year": 3 * 366 * DAY_US,
}
_OF_INTEGERS = {"sum": "total", "min": "least", "max": "greatest", "avg": "mean", "distinct": "distinct_of"}
_OF_VALUES: Mapping[str, Callable[..., Any]] = {
    "sum": values.sum_of,
    "min": values.min_of,
    "max": values.max_of,
    "avg": values.avg_of,
    "distinct": values.distinct_of,
}


@dataclass(frozen=True, slots=True)
class Aggregate(Feature):
    """`{sum: amount, by: […], where: …, window: 72h | period: day, population: …}` over earlier instructions and this
    one.

    Exactly one of `window_us` (microseconds, event time in (t − w, t]) and `period` is set.
    """

    kind: AggregateKind
    field: str
    by: tuple[str, ...]
    where: Condition | None = None
    window_us: int | None = None
    period: Period | None = None
    population: Population = "executed"
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)

    @property
    def reach_us(self) -> int:
        """How far back it asks, in microseconds, at most."""
        return self.window_us or 0 if self.period is None else _PERIOD_US[self.period]

    def type(self, tables: Mapping[str, Table]) -> Type:
        if self.kind in ("count", "distinct"):
            return Type(Sort.COUNT)
        sort = field_type(self.field).sort
        if sort is Sort.MONEY:
            return Type(Sort.MONEY)
        return Type(Sort.COUNT if sort is Sort.COUNT and self.kind != "avg" else Sort.NUMBER)

    def parts(self) -> Iterator[Condition | Operand]:
        if self.where is not None:
            yield self.where

    @property
    def _kind(self) -> Kind:
        known = field_of(self.field)
        if known is None or known.kind is Kind.ATTRIBUTE or self.kind in ("count", "distinct"):
            return Kind.INTEGER
        return known.kind

    def code(self, coder: Coder) -> Expression:
        cut = coder.cut(self)
        may_miss = bool(cut.absent) or self.kind in ("min", "max", "avg")

        def make() -> str:
            if self.kind == "count":
                own = "1" if cut.counted == "True" else f"(1 if {cut.counted} else 0)"  # it may be a bit, not one
                value = f"(0 if {cut.entries} is None else len({cut.part})) + {own}"
            else:
                absent = 0 if self.kind == "sum" and not cut.symbolic else None
                own = cut.own if cut.counted == "True" else f"({cut.own} if {cut.counted} else {absent})"
                if cut.symbolic:
                    value = f"{self.kind}_of(scope.symbols.of({cut.part}), {own})"
                elif self.kind == "sum":
                    value = f"({own} if {cut.entries} is None else total({cut.part}, {own}))"
                else:
                    value = f"{_OF_INTEGERS[self.kind]}({cut.part}, {own})"
            return f"None if {' or '.join(cut.absent)} else {value}" if cut.absent else value

        return Expression(coder.once(self, "f", make), may_miss, self._kind)

    def value(self, judged: Judging) -> tuple[Any, Kind]:
        earlier = judged.earlier(self)
        if earlier is None:
            return None, self._kind
        own = judged.own(self)
        if self.kind == "count":
            return len(earlier) + (own is not None), self._kind
        return _OF_VALUES[self.kind](earlier, own), self._kind

    def absent(self, judged: Judging) -> Iterator[str]:
        yield from (name for name in self.by if judged.field(name, Kind.ATTRIBUTE)[0] is None)


def read_aggregate(kind: str, read: dict[str, Any], node: MappingNode, scope: Scope) -> Aggregate | None:
    """The aggregate that a mapping says, or `None` after telling the author what is wrong."""
    report = scope.report
    before = len(report.diagnostics)
    field = field_name(read[kind], report)
    if field is not None and kind in ("sum", "min", "max", "avg"):
        sort = field_type(field).sort
        if sort not in (Sort.MONEY, Sort.COUNT, Sort.LOCAL):
            report.error(
                read[kind].span, "TW301", f"no {kind} of `{field}`: it is {sort.value}", "use `count` or `distinct`"
            )
    by = field_names(read["by"], report) if "by" in read else None
    where = read_condition(read["where"], scope, in_where=True) if "where" in read else None
    bounds = [name for name in ("window", "period") if node.get(name) is not None]
    if not bounds:
        report.error(node.span, "TW405", f"a {kind} without bound", "add `window: 72h` or `period: month`")
    elif len(bounds) == 2:
        report.error(node.span, "TW109", "`window` and `period` in one feature", "keep one of them")
    if field is None or by is None or len(report.diagnostics) > before:
        return None
    return Aggregate(
        kind,  # type: ignore[arg-type]
        field,
        by,
        where,
        read.get("window"),
        read.get("period"),
        read.get("population", "executed"),
        node.span,
    )
