"""A dashboard around its panels: where they stand, what may be chosen, where it leads, what is noted on its time"
" axes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard

from grafana.generator import variables
from grafana.generator.drawing import draw
from grafana.generator.panels import Row
from grafana.generator.queries import PROMETHEUS
from grafana.generator.texts import Language, Text, said
from grafana.generator.vocabulary import ALERTS

TAG: Final = "treasury-watch"
PROMETHEUS_CHOICE: Final = variables.Source("datasource", Text("指标", "Metrics"), "prometheus")
POSTGRESQL_CHOICE: Final = variables.Source("cases", Text("案件库", "Cases"), "grafana-postgresql-datasource")

_OTHER_LANGUAGE: Final = Text("English", "中文")
_RUNBOOKS: Final = Text("处置手册", "Runbooks")
_CONSOLE: Final = Text("处置台", "Console")
_RELEASES: Final = Text("规则发布", "Rule releases")
_FIRED: Final = Text("告警", "Alerts")

# A hash that was nowhere in force in the hour before; a worker that restarts releases nothing.
_NEW_RULES: Final = (
    "count by (hash) (treasury_watch_ruleset_info)"
    " unless on (hash) count by (hash) (max_over_time(treasury_watch_ruleset_info[1h] offset 1m))"
)
_FIRING: Final = f'ALERTS{{{ALERTS}, alertstate="firing"}}'


@dataclass(frozen=True)
class Addresses:
    """Where else dashboards lead, without a slash at the end; a path is one on Grafana's own host."""

    console: str = "/console"
    runbooks: str = "/runbooks"


@dataclass(frozen=True)
class Dashboard:
    """`uid` is the Chinese one's; the English one's ends in -en."""

    uid: str
    title: Text
    description: Text
    rows: tuple[Row, ...]
    choices: tuple[variables.Variable, ...]
    since: str
    refresh: str

    def uid_in(self, language: Language) -> str:
        return self.uid if language == "zh" else f"{self.uid}-{language}"


class _Note(dashboard.AnnotationQuery):
    """An annotation of Prometheus, with what the SDK has no fields for."""

    title: str
    text: str

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), "titleFormat": self.title, "textFormat": self.text, "step": "60s"}


def build(
    made: Dashboard, all_of_them: tuple[Dashboard, ...], language: Language, addresses: Addresses
) -> dashboard.Dashboard:
    """One dashboard in one language, with links to all others."""
    built = (
        builders.Dashboard(said(made.title, language))
        .uid(made.uid_in(language))
        .description(said(made.description, language))
        .tags([TAG, language])
        .readonly()
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .time(made.since, "now")
        .timezone("browser")
        .refresh(made.refresh)
        .version(1)
        .build()
    )
    constants = (variables.Constant("console", addresses.console), variables.Constant("runbooks", addresses.runbooks))
    built.templating.list_val = [variables.build(each, language) for each in (*made.choices, *constants)]
    built.annotations.list_val = [
        _note(_RELEASES, language, _NEW_RULES, "blue", "{{hash}}"),
        _note(_FIRED, language, _FIRING, "red", "{{alertname}} {{severity}} {{instance}} {{partition}}"),
    ]
    built.links = list(_links(made, all_of_them, language))
    built.panels = list(_placed(made.rows, language))
    return built


def _placed(rows: tuple[Row, ...], language: Language) -> Iterator[dashboard.Panel | dashboard.RowPanel]:
    y = number = 0
    for row in rows:
        if row.title:
            number += 1
            section = builders.Row(said(row.title, language)).id(number).collapsed(False)
            yield section.grid_pos(dashboard.GridPos(h=1, w=24, x=0, y=y)).build()
            y += 1
        x = 0
        for width, panel in row.panels:
            number += 1
            yield draw(panel, language, number, dashboard.GridPos(h=row.height, w=width, x=x, y=y))
            x += width
        y += row.height


def _links(
    made: Dashboard, all_of_them: tuple[Dashboard, ...], language: Language
) -> Iterator[dashboard.DashboardLink]:
    def link(title: str, url: str) -> Any:
        return builders.DashboardLink(title).type(dashboard.DashboardLinkType.LINK).url(url)

    for other in all_of_them:
        if other is not made:
            yield link(said(other.title, language), f"/d/{other.uid_in(language)}").keep_time(True).build()
    yield link(said(_CONSOLE, language), "${console}").target_blank(True).build()
    yield link(said(_RUNBOOKS, language), "${runbooks}").target_blank(True).build()
    there: Language = "en" if language == "zh" else "zh"
    yield link(said(_OTHER_LANGUAGE, language), f"/d/{made.uid_in(there)}").keep_time(True).include_vars(True).build()


def _note(title: Text, language: Language, expr: str, color: str, text: str) -> dashboard.AnnotationQuery:
    note = _Note(name=said(title, language), datasource=PROMETHEUS, enable=True, icon_color=color, expr=expr)
    note.title, note.text = said(title, language), text
    return note
