"""What is committed is what the generator writes, and keeps its promises without a Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from grafana.generator.__main__ import FOLDER
from grafana.generator.files import written
from grafana.generator.frame import Addresses
from grafana.generator.texts import LANGUAGES
from tests.conftest import ROOT
from tests.dashboards.checker import Panel, panels
from treasury_watch.adapters.cases.metrics import Metrics as SinkMetrics
from treasury_watch.adapters.metrics import Metrics
from treasury_watch.adapters.rulefiles import default_rules, load

WRITTEN = written(Addresses())
DASHBOARDS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in WRITTEN.items()}
PANELS = [(name, panel) for name, dashboard in DASHBOARDS.items() for panel in panels(dashboard)]
NAMES = [f"{name}: {panel['title']}" for name, panel in PANELS]
HAN = re.compile(r"[\u4e00-\u9fff]")
SCREEN, MARGINS = 1920, 40  # pixels across, and what of it frames and a scroll bar take
READABLE = 24 * 14  # pixels: as many Chinese characters a line
SENTENCES = {
    "最新案件": "reasons", "Newest cases": "reasons", "案件列表": "reasons", "Cases": "reasons",
    "死信": "detail", "Refused messages": "detail", "无法识别的记录": "reason", "Records not understood": "reason",
}  # fmt: skip
FIRST_SCREEN = 24  # of Grafana's rows of 38 pixels, below its own head, on a screen of 1080


def metrics() -> set[str]:
    """The names of the metrics that a worker and a sink expose, without the endings of histograms."""
    expositions = (Metrics(load(default_rules())).exposition(), SinkMetrics().exposition())
    return {
        family.name + ("_total" if family.type == "counter" else "_info" if family.type == "info" else "")
        for exposition in expositions
        for family in text_string_to_metric_families(exposition.decode())
        if family.name.startswith("treasury_watch")
    }


def asked_of_prometheus() -> set[str]:
    """The names of our metrics in all queries, without the endings of histograms."""
    expressions = [target["expr"] for _, panel in PANELS for target in panel["targets"] if "expr" in target]
    names = set(re.findall(r"\btreasury_watch_\w+", "\n".join(expressions)))
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in names}


def test_what_is_committed_is_what_the_generator_writes() -> None:
    committed = {str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.json")}
    differing = [name for name in WRITTEN.keys() | committed.keys() if WRITTEN.get(name) != committed.get(name)]
    assert not differing, "run python -m grafana.generator"


def test_every_metric_of_workers_and_sinks_is_on_some_dashboard_and_no_other_is_asked_for() -> None:
    assert asked_of_prometheus() == metrics()


def test_every_view_of_cases_is_on_some_dashboard_and_no_table_but_the_calendar_is() -> None:
    migration = ROOT / "src/treasury_watch/adapters/cases/migrations/0002-views.sql"
    views = set(re.findall(r"^CREATE VIEW (cases\.\w+)", migration.read_text(encoding="utf-8"), flags=re.MULTILINE))
    queries = "\n".join(target["rawSql"] for _, panel in PANELS for target in panel["targets"] if "rawSql" in target)
    assert set(re.findall(r"\bcases\.\w+", queries)) == views | {"cases.calendar"}


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=NAMES)
def test_every_panel_explains_itself_in_its_language_and_says_its_unit(name: str, panel: Panel) -> None:
    for text in (panel["title"], panel["description"]):
        if name.startswith("zh"):
            assert HAN.search(text)
        else:
            assert not HAN.search(text)
    assert panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_units_are_those_that_grafana_knows(name: str) -> None:
    units = set(re.findall(r'"unit": "([^"]+)"', WRITTEN[name]))
    units |= set(re.findall(r'"id": "unit",\s+"value": "([^"]+)"', WRITTEN[name]))
    known = {"none", "short", "locale", "percentunit", "s", "h", "ops", "Bps", "bytes", "dthms", "dateTimeAsIso"}
    assert {unit for unit in units if not unit.startswith(("suffix:", "currency:"))} <= known


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=NAMES)
def test_every_panel_names_its_data_source_by_variable(name: str, panel: Panel) -> None:
    variables = {each["name"]: each for each in DASHBOARDS[name]["templating"]["list"]}
    for part in (panel, *panel["targets"]):
        source = part["datasource"]
        variable = variables[source["uid"].removeprefix("${").removesuffix("}")]
        assert (variable["type"], variable["query"]) == ("datasource", source["type"])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_rates_are_taken_over_the_interval_that_grafana_gives_or_an_hour(name: str) -> None:
    spans = re.findall(r"rate\([^\[]*\[([^\]]+)\]", WRITTEN[name])
    assert set(spans) <= {"$__rate_interval", "1h"}


def test_every_text_of_sentences_is_broken_into_lines_wide_enough_to_read_and_can_be_opened() -> None:
    found = {panel["title"]: panel for _, panel in PANELS if panel["title"] in SENTENCES}
    assert found.keys() == SENTENCES.keys()
    for title, panel in found.items():
        columns = {
            each["matcher"]["options"]: {one["id"]: one["value"] for one in each["properties"]}
            for each in panel["fieldConfig"]["overrides"]
        }
        sentences = columns.pop(SENTENCES[title])
        assert sentences["custom.cellOptions"] == {"type": "auto", "wrapText": True}
        assert sentences["custom.inspect"] is True
        left = panel["gridPos"]["w"] / 24 * SCREEN - MARGINS - sum(each["custom.width"] for each in columns.values())
        assert READABLE <= sentences["custom.minWidth"] <= left, f"{title}: some columns would be out of sight"


@pytest.mark.parametrize("title", ["按期处置", "Decided in time", "准确率", "Precision"])
def test_a_share_of_nothing_is_none_and_not_zero(title: str) -> None:
    (panel,) = [each for _, each in PANELS if each["title"] == title]
    (target,) = panel["targets"]
    assert "/ nullif(" in target["rawSql"]
    assert "coalesce" not in target["rawSql"]
    assert panel["fieldConfig"]["defaults"]["noValue"] in ("无", "none")


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=NAMES)
def test_no_table_has_two_columns_of_broken_lines_as_rows_are_as_high_as_one_takes(name: str, panel: Panel) -> None:
    properties = [one for each in panel["fieldConfig"]["overrides"] for one in each["properties"]]
    assert sum("wrapText" in str(each["value"]) for each in properties) <= 1


@pytest.mark.parametrize("name", DASHBOARDS)
def test_titles_and_numbers_of_panels_are_unique_and_no_two_overlap(name: str) -> None:
    all_of_them = DASHBOARDS[name]["panels"]
    assert len({each["id"] for each in all_of_them}) == len({each["title"] for each in all_of_them}) == len(all_of_them)
    for one, other in combinations([each["gridPos"] for each in all_of_them], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above
    assert max(each["gridPos"]["x"] + each["gridPos"]["w"] for each in all_of_them) == 24


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_monitoring_staff_need_most_is_on_one_screen(language: str) -> None:
    needed = {
        "treasury_watch_instructions_total", "treasury_watch_hits_total", "treasury_watch_lag", "ALERTS",
        "treasury_watch_dead_letters_total", "cases.amounts_held", "cases.all_cases",
    }  # fmt: skip
    first = [
        target.get("expr") or target["rawSql"]
        for panel in panels(DASHBOARDS[f"{language}/treasury-overview.json"])
        if panel["gridPos"]["y"] + panel["gridPos"]["h"] <= FIRST_SCREEN
        for target in panel["targets"]
    ]
    assert not {name for name in needed if not any(name in query for query in first)}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_links_lead_to_dashboards_that_there_are_and_to_runbooks_that_are_written(name: str) -> None:
    uids = {each["uid"] for each in DASHBOARDS.values()}
    urls = list(addresses(DASHBOARDS[name]))
    dashboards = {url.removeprefix("/d/") for url in urls if url.startswith("/d/")}
    own = name.split("/")[0]
    others = {each["uid"] for path, each in DASHBOARDS.items() if path.startswith(own) and path != name}
    assert others < dashboards < uids
    assert "${console}" in urls
    for url in urls:
        if url.startswith("${runbooks}/"):
            assert (ROOT / "docs" / "runbooks" / url.removeprefix("${runbooks}/")).is_file()


@pytest.mark.parametrize("name", DASHBOARDS)
def test_releases_of_rules_and_alerts_are_noted_on_every_time_axis(name: str) -> None:
    notes = [each["expr"] for each in DASHBOARDS[name]["annotations"]["list"]]
    assert [("treasury_watch_ruleset_info" in each, "ALERTS" in each) for each in notes] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_console_of_another_site_is_where_cases_lead(language: str) -> None:
    path = f"{language}/treasury-cases.json"
    elsewhere = json.loads(written(Addresses(console="https://console.example"))[path])
    constants = {each["name"]: each["query"] for each in elsewhere["templating"]["list"] if each["type"] == "constant"}
    assert constants["console"] == "https://console.example"
    assert "${console}/cases/${__value.raw:percentencode}" in list(addresses(elsewhere))


def test_each_language_is_provisioned_in_a_folder_of_its_own_and_each_data_source_is_there() -> None:
    provisioning = ROOT / "grafana" / "provisioning"
    providers = yaml.safe_load((provisioning / "dashboards" / "treasury-watch.yaml").read_text(encoding="utf-8"))
    folders = {Path(each["options"]["path"]).name for each in providers["providers"]}
    assert folders == set(LANGUAGES)
    assert len({each["name"] for each in providers["providers"]}) == len(LANGUAGES)
    sources = [
        source["type"]
        for path in (provisioning / "datasources").glob("*.yaml")
        for source in yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"]
    ]
    wanted = {each["datasource"]["type"] for _, panel in PANELS for each in panel["targets"]}
    assert set(sources) == wanted


def addresses(part: Any) -> Iterator[str]:
    """Every `url` in it."""
    if isinstance(part, dict):
        if isinstance(part.get("url"), str):
            yield part["url"]
        for each in part.values():
            yield from addresses(each)
    elif isinstance(part, list):
        for each in part:
            yield from addresses(each)
