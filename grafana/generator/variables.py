"""What a reader may choose at the top of a dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard

from grafana.generator.panels import Named
from grafana.generator.queries import Prom, Query, source
from grafana.generator.texts import Language, Text, said

_ALL: Final = dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])


@dataclass(frozen=True)
class Source:
    """A data source of a kind: `prometheus` or that of PostgreSQL."""

    name: str
    title: Text
    kind: str


@dataclass(frozen=True)
class Choice:
    """Any number of the values that a query gives or that are named; all, to begin with. `everything` stands for all
    of them in queries, where naming each would be too long.
    """

    name: str
    title: Text
    query: Query | None = None
    values: Mapping[str, Named] = field(default_factory=dict)
    everything: str | None = None


@dataclass(frozen=True)
class Constant:
    """A value that the site sets when it generates the dashboards; nobody sees it."""

    name: str
    value: str


Variable = Source | Choice | Constant


def build(variable: Variable, language: Language) -> dashboard.VariableModel:
    """The variable as Grafana wants it."""
    if isinstance(variable, Source):
        return (
            builders.DatasourceVariable(variable.name).label(said(variable.title, language)).type(variable.kind).build()
        )
    if isinstance(variable, Constant):
        return builders.ConstantVariable(variable.name).value(variable.value).build()
    if variable.query is None:
        return _named(variable, language)
    built = (
        builders.QueryVariable(variable.name)
        .label(said(variable.title, language))
        .datasource(source(variable.query))
        .query(_asked(variable.query, language))
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .current(_ALL)
    )
    if variable.everything is not None:
        built.all_value(variable.everything)
    return built.build()


def _named(variable: Choice, language: Language) -> dashboard.VariableModel:
    texts = {value: said(named.title, language) for value, named in variable.values.items()}
    return (
        builders.CustomVariable(variable.name)
        .label(said(variable.title, language))
        .values(", ".join(f"{text} : {value}" for value, text in texts.items()))
        .options([dashboard.VariableOption(selected=False, text=text, value=value) for value, text in texts.items()])
        .multi(True)
        .include_all(True)
        .current(_ALL)
        .build()
    )


def _asked(query: Query, language: Language) -> str | dict[str, object]:
    if isinstance(query, Prom):
        return {"qryType": 1, "query": said(query.expr, language), "refId": "values"}
    return said(query.sql, language)
