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
            "p_value: the share of ordinary payments that are as odd as this one, 0 to 1; missing without a model",
            "p_value：与本笔同样异常的正常支付所占比例，0 到 1；没有模型时缺失",
            True,
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Anomaly(Feature):
    """`{anomaly: p_value}`: the model's calibrated p-value, in [0, 1]. No model judges yet: it is always missing."""

    statistic: str
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)

    def type(self, tables: Mapping[str, Table]) -> Type:
        return Type(Sort.NUMBER)

    def code(self, coder: Coder) -> Expression:
        return Expression(coder.once(self, "v", lambda: "None"), True, Kind.INTEGER)

    def value(self, judged: Judging) -> tuple[Any, Kind]:
        return None, Kind.INTEGER

    def absent(self, judged: Judging) -> Iterator[str]:
        yield f"anomaly.{self.statistic}"


def read_anomaly(form: str, read: dict[str, Any], node: MappingNode, scope: Scope) -> Anomaly:
    """The feature that a mapping says."""
    return Anomaly(read[form], node.span)
