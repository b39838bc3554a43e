"""The dashboard asks only for what a worker exposes, and explains itself in both languages."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

DASHBOARD = json.loads(
    (Path(__file__).resolve().parent.parent / "grafana" / "dashboards" / "treasury-overview.json").read_text("utf-8")
)
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
EXPRESSIONS: list[str] = [target["expr"] for panel in PANELS for target in panel["targets"]]
METRICS = {
    "treasury_watch_instructions_total",
    "treasury_watch_hits_total",
    "treasury_watch_held_cny_total",
    "treasury_watch_dead_letters_total",
    "treasury_watch_duplicates_total",
    "treasury_watch_late_total",
    "treasury_watch_unknown_fields_total",
    "treasury_watch_decision_latency_seconds_bucket",
    "treasury_watch_engine_seconds_bucket",
    "treasury_watch_batch_size_bucket",
    "treasury_watch_lag",
    "treasury_watch_ruleset_info",
}


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    assert set(re.findall(r"\btreasury_watch_\w+", "\n".join(EXPRESSIONS))) == METRICS


def test_every_panel_names_its_data_source_by_variable() -> None:
    sources = [part["datasource"]["uid"] for panel in PANELS for part in [panel, *panel["targets"]]]
    assert set(sources) == {"${datasource}"}


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_every_panel_explains_itself_in_both_languages(panel: dict[str, Any]) -> None:
    for text in (panel["title"], panel["description"]):
        assert re.search(r"[\u4e00-\u9fff].* / .*[A-Za-z]", text)
    assert panel["fieldConfig"]["defaults"]["unit"]
