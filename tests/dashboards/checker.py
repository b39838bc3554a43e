"""Asks everything that a dashboard asks, as Grafana would, of a real Prometheus and a real PostgreSQL.

A dashboard is good when every variable has values, and every query of every panel, for all values and for each one,
runs without an error or a warning and gives at least one finite number (or one row), with the labels, columns and
series that its legends and columns name.
"""

from __future__ import annotations

import json
import math
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg

Dashboard = dict[str, Any]
Panel = dict[str, Any]
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)")
_PROMETHEUS, _POSTGRESQL = "prometheus", "grafana-postgresql-datasource"
_ALL = "$__all"


class Failed(Exception):
    """A query that a data source refused, or warned of."""


@dataclass(frozen=True)
class Answer:
    """What came back: labels or columns of all series or rows, and all numbers; or, of a table, how many rows."""

    names: list[set[str]]
    numbers: list[float]
    rows: int

    @property
    def empty(self) -> bool:
        return not (self.rows or any(map(math.isfinite, self.numbers)))


@dataclass(frozen=True)
class Sources:
    """Where to ask, and of which time: `now` back to `prometheus_since`, and cases from `cases_since` on."""

    prometheus: str
    viewer: str
    now: datetime
    prometheus_since: datetime
    cases_since: datetime
    scrape_seconds: float

    def page(self, path: str, **parameters: str) -> Any:
        address = f"{self.prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                body = json.load(answer)
        except urllib.error.HTTPError as error:
            body = json.load(error)
        if body["status"] != "success" or body.get("warnings"):
            raise Failed(body.get("error") or str(body["warnings"]))
        return body["data"]

    def rows(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        try:
            with psycopg.connect(self.viewer) as connection:
                done = connection.execute(query.encode())
                return [column.name for column in done.description or ()], done.fetchall()
        except psycopg.Error as error:
            raise Failed(str(error)) from error


@dataclass
class Choices:
    """The values of a dashboard's variables, and which of them is chosen; all, to begin with."""

    values: dict[str, list[str]] = field(default_factory=dict)
    all_value: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, str] = field(default_factory=dict)
    chosen: tuple[str, str] | None = None

    def put_into(self, text: str, *, regular_expression: bool) -> str:
        """A query with values for its variables. Raises KeyError for a variable that there is not."""

        def value(found: re.Match[str]) -> str:
            name, form = found[1] or found[3], found[2]
            if name in self.fixed:
                return self.fixed[name]
            if self.chosen and self.chosen[0] == name:
                values = [self.chosen[1]]
            elif name in self.all_value:
                return self.all_value[name]  # put in as it is
            else:
                values = self.values[name]
            if form == "sqlstring":
                return ",".join("'" + each.replace("'", "''") + "'" for each in values)
            assert regular_expression, f"${name} needs a form in SQL"
            escaped = [re.sub(r"([\\^$.*+?()\[\]{}|/])", r"\\\\\1", each) for each in values]
            return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"

        return _VARIABLE.sub(value, text)


def panels(dashboard: Dashboard) -> Iterator[Panel]:
    """All panels but the titles of sections."""
    yield from (each for each in dashboard["panels"] if each["type"] != "row")


class Checker:
    """Checks one dashboard. `may_be_empty` gives panels by title with the reason why nothing may come back for all
    values; `empty_for_some` for single ones.
    """

    def __init__(
        self,
        dashboard: Dashboard,
        sources: Sources,
        may_be_empty: Mapping[str, str],
        empty_for_some: Mapping[str, str],
    ) -> None:
        self._dashboard, self._sources = dashboard, sources
        self._may_be_empty, self._empty_for_some = may_be_empty, empty_for_some
        self._choices = Choices(fixed=self._of_the_period())
        self.asked = 0

    def problems(self) -> Iterator[str]:
        """One line for each thing that is wrong."""
        for variable in self._dashboard["templating"]["list"]:
            yield from self._resolve(variable)
        for annotation in self._dashboard["annotations"]["list"]:
            try:
                self._prometheus(annotation["expr"], instant=False)
            except (Failed, KeyError) as wrong:
                yield f"annotation {annotation['name']}: {wrong!r}"
        for panel in panels(self._dashboard):
            yield from self._check(panel, self._may_be_empty)
        for name, values in self._choices.values.items():
            for value in values:
                self._choices.chosen = (name, value)
                for panel in panels(self._dashboard):
                    if any(name in _variables(_text(target)) for target in panel["targets"]):
                        for problem in self._check(panel, {**self._may_be_empty, **self._empty_for_some}):
                            yield f"{name}={value}: {problem}"
                self._choices.chosen = None

    def _of_the_period(self) -> dict[str, str]:
        seconds = (self._sources.now - self._sources.prometheus_since).total_seconds()
        scrape = self._sources.scrape_seconds
        step = max(scrape, seconds / 300)
        return {
            "__interval": f"{step * 1000:.0f}ms",
            "__rate_interval": f"{max(step + scrape, 4 * scrape) * 1000:.0f}ms",
            "__range": f"{seconds:.0f}s",
        }

    def _resolve(self, variable: dict[str, Any]) -> Iterator[str]:
        name, kind = variable["name"], variable["type"]
        if kind == "datasource":
            if variable["query"] not in (_PROMETHEUS, _POSTGRESQL):
                yield f"${name}: a data source of kind {variable['query']}"
            return
        if kind == "constant":
            if not variable["query"]:
                yield f"${name}: no value"
            self._choices.fixed[name] = variable["query"]
            return
        try:
            values = self._custom(variable) if kind == "custom" else self._queried(variable)
        except (Failed, KeyError) as wrong:
            yield f"${name}: {wrong!r}"
            return
        if not values:
            yield f"${name}: no values"
        if variable["current"]["value"] != [_ALL] or not variable["includeAll"]:
            yield f"${name}: not all values are chosen to begin with"
        self._choices.values[name] = values
        if variable.get("allValue"):
            self._choices.all_value[name] = variable["allValue"]

    def _custom(self, variable: dict[str, Any]) -> list[str]:
        values = [each.split(" : ")[-1].strip() for each in variable["query"].split(",")]
        if values != [each["value"] for each in variable["options"] if each["value"] != _ALL]:
            raise Failed("its options are not its values")
        return values

    def _queried(self, variable: dict[str, Any]) -> list[str]:
        if variable["datasource"]["type"] == _POSTGRESQL:
            columns, rows = self._sources.rows(self._sql(variable["query"]))
            at = columns.index("__value") if "__value" in columns else 0
            return [str(row[at]) for row in rows]
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        if asked is None:
            raise Failed(f"not a query of label values: {variable['query']}")
        values: list[str] = self._sources.page(f"label/{asked[2]}/values", **{"match[]": asked[1]})
        return values

    def _check(self, panel: Panel, may_be_empty: Mapping[str, str]) -> Iterator[str]:
        title, answers = panel["title"], []
        for target in panel["targets"]:
            self.asked += 1
            try:
                answer = self._ask(target)
            except (Failed, KeyError) as wrong:
                yield f"{title} [{target['refId']}]: {wrong!r}\n    {_text(target)}"
                continue
            answers.append((target["refId"], answer))
            if answer.empty and title not in may_be_empty:
                yield f"{title} [{target['refId']}]: nothing came back\n    {_text(target)}"
            for label in re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")):
                if not all(label in names for names in answer.names):
                    yield f"{title} [{target['refId']}]: a series has no label {label}"
        if panel["type"] == "table":
            yield from self._columns(panel, answers)

    def _columns(self, panel: Panel, answers: list[tuple[str, Answer]]) -> Iterator[str]:
        values = {f"Value #{ref_id}" for ref_id, _ in answers} if len(answers) > 1 else {"Value"}
        there = values.union(*(names for _, answer in answers for names in answer.names))
        if any(answer.rows for _, answer in answers):
            for override in panel["fieldConfig"]["overrides"]:
                if override["matcher"]["options"] not in there:
                    yield f"{panel['title']}: no column {override['matcher']['options']}"

    def _ask(self, target: dict[str, Any]) -> Answer:
        if target["datasource"]["type"] == _PROMETHEUS:
            table = target["format"] == "table"
            return self._prometheus(target["expr"], instant=bool(target.get("instant")), table=table)
        columns, rows = self._sources.rows(self._sql(target["rawSql"]))
        numbers = [float(each) for row in rows for each in row if isinstance(each, int | float | Decimal)]
        if target["format"] == "time_series":
            if columns[0] != "time" or not all(isinstance(row[0], datetime) for row in rows):
                raise Failed("the first column is not `time`")
            return Answer([set(columns)], numbers, 0)
        return Answer([set(columns)], numbers, len(rows))

    def _prometheus(self, expr: str, *, instant: bool, table: bool = False) -> Answer:
        query = self._choices.put_into(expr, regular_expression=True)
        end, start = self._sources.now.timestamp(), self._sources.prometheus_since.timestamp()
        if instant:
            data = self._sources.page("query", query=query, time=str(end))
        else:
            step = max(self._sources.scrape_seconds, (end - start) / 300)
            data = self._sources.page("query_range", query=query, start=str(start), end=str(end), step=str(step))
        series = data["result"]
        if data["resultType"] == "scalar":
            return Answer([], [float(series[1])], 0)
        numbers = [float(point[1]) for each in series for point in each.get("values") or [each["value"]]]
        return Answer([set(each["metric"]) for each in series], numbers, len(series) if table else 0)

    def _sql(self, query: str) -> str:
        since, until = (moment.isoformat() for moment in (self._sources.cases_since, self._sources.now))
        query = query.replace("$__timeFrom()", f"'{since}'").replace("$__timeTo()", f"'{until}'")
        query = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN '{since}' AND '{until}'", query)
        return self._choices.put_into(query, regular_expression=False)


def _text(target: dict[str, Any]) -> str:
    return str(target.get("expr") or target.get("rawSql"))


def _variables(text: str) -> set[str]:
    return {found[1] or found[3] for found in _VARIABLE.finditer(text)}
