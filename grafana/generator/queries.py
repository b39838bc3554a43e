"""What panels ask: Prometheus for numbers, PostgreSQL for cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.generator.texts import Language, Words, said

PROMETHEUS: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
POSTGRESQL: Final = DataSourceRef(type_val="grafana-postgresql-datasource", uid="${cases}")


@dataclass(frozen=True)
class Prom:
    """An expression of PromQL over the chosen period; with `now`, its value at the end of it."""

    expr: Words
    legend: Words = ""
    now: bool = False


@dataclass(frozen=True)
class Sql:
    """A SELECT of PostgreSQL: rows of a table, or with the first column `time` points of series, one for each other
    column. `{language}` in it becomes zh or en.
    """

    sql: Words
    kind: Literal["table", "time_series"] = "table"


Query = Prom | Sql


@dataclass
class _SqlTarget(Dataquery):
    """PostgreSQL's query, of which the SDK has no class."""

    ref_id: str
    sql: str
    kind: str

    def to_json(self) -> dict[str, Any]:
        return {
            "refId": self.ref_id,
            "datasource": POSTGRESQL,
            "editorMode": "code",
            "format": self.kind,
            "rawQuery": True,
            "rawSql": self.sql,
        }


class _SqlBuilder(Builder[Dataquery]):
    def __init__(self, target: _SqlTarget) -> None:
        self._target = target

    def build(self) -> Dataquery:
        return self._target


def source(query: Query) -> DataSourceRef:
    """The data source of a query, by variable."""
    return PROMETHEUS if isinstance(query, Prom) else POSTGRESQL


def target(query: Query, ref_id: str, language: Language, *, table: bool) -> Builder[Dataquery]:
    """The query as Grafana wants it, in a table or not."""
    if isinstance(query, Sql):
        text = said(query.sql, language).strip().replace("{language}", language)
        return _SqlBuilder(_SqlTarget(ref_id, text, query.kind))
    built = prometheus.Dataquery().ref_id(ref_id).datasource(PROMETHEUS).expr(said(query.expr, language))
    if legend := said(query.legend, language):
        built.legend_format(legend)
    if query.now:
        built.instant()
    else:
        built.range()
    return built.format(PromQueryFormat.TABLE if table else PromQueryFormat.TIME_SERIES)
