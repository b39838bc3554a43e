"""`anomaly`: what the online model says of an instruction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from treasury_watch.domain.payment import Kind
from treasury_watch.rules.evaluation import Coder, Expression, Judging
from treasury_watch.rules.schema import Feature, Span, Table
from treasury_watch.rules.scope import Scope
from treasury_watch.rules.shapes import Key, Record, Word
from treasury_watch.rules.source import MappingNode
from treasury_watch.rules.types import Sort, Type

RECORD = Record(
    "anomaly feature",
    (
        Key(
            "anomaly",
            Word("anomaly", ("p_value",)),
            "p_value: the share of payments that are as odd as this one, above 0, at most 1; missing without a model",
            "p_value：与本笔同样异常的支付所占比例，大于 0，不超过 1；没有模型时缺失",
            True,
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Anomaly(Feature):
    """`{anomaly: p_value}`: the model's calibrated p-value, in (0, 1], exact. Missing without a model, and while it
    has not seen enough payments.
    """

    statistic: str
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)

    def type(self, tables: Mapping[str, Table]) -> Type:
        return Type(Sort.NUMBER)

    def code(self, coder: Coder) -> Expression:
        return Expression(coder.once(self, "v", lambda: "scope.p_value"), True, Kind.INTEGER)

    def value(self, judged: Judging) -> tuple[Any, Kind]:
        return judged.p_value, Kind.INTEGER

    def absent(self, judged: Judging) -> Iterator[str]:
        yield f"anomaly.{self.statistic}"


def read_anomaly(form: str, read: dict[str, Any], node: MappingNode, scope: Scope) -> Anomaly:
    """The feature that a mapping says."""
    return Anomaly(read[form], node.span)
