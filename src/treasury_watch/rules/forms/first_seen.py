"""`first_seen`: whether a value is new to its keys, as a payee that a jurisdiction never paid before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from treasury_watch.domain.payment import Kind
from treasury_watch.rules.conditions import read_condition
from treasury_watch.rules.evaluation import Coder, Expression, Judging
from treasury_watch.rules.forms.aggregate import BY, COUNTED, Aggregate
from treasury_watch.rules.schema import Condition, Feature, Operand, Population, Span, Table
from treasury_watch.rules.scope import Scope, field_name, field_names
from treasury_watch.rules.shapes import Duration, Key, Raw, Record
from treasury_watch.rules.source import MappingNode
from treasury_watch.rules.types import Sort, Type

RECORD = Record(
    "first_seen feature",
    (
        Key("first_seen", Raw("field"), "the field whose value may be new", "判断取值是否首次出现的字段", True),
        BY,
        Key(
            "lookback",
            Duration(),
            "new: not seen in (t − lookback, t)",
            "首次出现：在 (t − lookback, t) 内未出现过",
            True,
        ),
        *COUNTED,
    ),
)


@dataclass(frozen=True, slots=True)
class FirstSeen(Feature):
    """`{first_seen: payee_account, by: […], lookback: 365d, …}`: true when no earlier instruction with the same keys
    had that value in the look-back, event time in (t − lookback_us, t], microseconds.

    Missing where the field or a key is missing. The judged instruction itself does not count as seen.
    """

    field: str
    by: tuple[str, ...]
    lookback_us: int
    where: Condition | None = None
    population: Population = "executed"
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)
    seen: Aggregate = dataclass_field(init=False, compare=False, repr=False)  # how often it was, under all of these

    def __post_init__(self) -> None:
        by = self.by if self.field in self.by else (*self.by, self.field)
        seen = Aggregate("count", self.field, by, self.where, self.lookback_us, None, self.population)
        object.__setattr__(self, "seen", seen)

    def type(self, tables: Mapping[str, Table]) -> Type:
        return Type(Sort.BOOLEAN)

    def parts(self) -> Iterator[Condition | Operand]:
        yield self.seen

    def code(self, coder: Coder) -> Expression:
        cut = coder.cut(self.seen)

        def make() -> str:
            new = f"({cut.entries} is None or not len({cut.part}))"
            return f"None if {' or '.join(cut.absent)} else {new}" if cut.absent else new

        return Expression(coder.once(self, "f", make), bool(cut.absent), Kind.BOOLEAN)

    def value(self, judged: Judging) -> tuple[Any, Kind]:
        earlier = judged.earlier(self.seen)
        return None if earlier is None else not earlier, Kind.BOOLEAN

    def absent(self, judged: Judging) -> Iterator[str]:
        return self.seen.absent(judged)


def read_first_seen(form: str, read: dict[str, Any], node: MappingNode, scope: Scope) -> FirstSeen | None:
    """The feature that a mapping says, or `None` after telling the author what is wrong."""
    report = scope.report
    before = len(report.diagnostics)
    field = field_name(read[form], report)
    by = field_names(read["by"], report) if "by" in read else None
    where = read_condition(read["where"], scope, in_where=True) if "where" in read else None
    if field is None or by is None or "lookback" not in read or len(report.diagnostics) > before:
        return None
    return FirstSeen(field, by, read["lookback"], where, read.get("population", "executed"), node.span)
