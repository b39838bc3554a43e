"""The dashboard asks only for what a worker exposes, and explains itself in both languages."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from treasury_watch.adapters.metrics import Metrics
from treasury_watch.adapters.rulefiles import default_rules, load

DASHBOARD = json.loads(
    (Path(__file__).resolve().parent.parent / "grafana" / "dashboards" / "treasury-overview.json").read_text("utf-8")
)
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
EXPRESSIONS: list[str] = [target["expr"] for panel in PANELS for target in panel["targets"]]
LEFT_OUT = {  # for operators
    f"treasury_watch_{name}"
    for name in (
        "rebuild_seconds", "rebuilt_instructions_total", "restored_partitions_total", "state_bytes_total",
        "suppressed_outputs_total", "fenced_total", "control_inputs_total",
        "standby_partitions", "anomaly_shadow_scored_total", "anomaly_shadow_alerts_total",
        "anomaly_shadow_agreed_total", "anomaly_shadow_errors_total",
    )
}  # fmt: skip


def exposed() -> set[str]:
    """The names of the series that a worker exposes; of a histogram its buckets."""
    families = text_string_to_metric_families(Metrics(load(default_rules())).exposition().decode())
    names = {
        sample.name for family in families for sample in family.samples if sample.name.startswith("treasury_watch")
    }
    return {name for name in names if not name.endswith(("_created", "_count", "_sum"))}


def test_the_dashboard_asks_only_for_what_a_worker_exposes_and_leaves_out_nothing_by_chance() -> None:
    asked = set(re.findall(r"\btreasury_watch_\w+", "\n".join(EXPRESSIONS)))
    assert asked <= exposed() | {"treasury_watch_lag"}  # which is there once partitions are assigned
    assert exposed() - asked <= LEFT_OUT


def test_every_panel_names_its_data_source_by_variable() -> None:
    sources = [part["datasource"]["uid"] for panel in PANELS for part in [panel, *panel["targets"]]]
    assert set(sources) == {"${datasource}"}


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_every_panel_explains_itself_in_both_languages(panel: dict[str, Any]) -> None:
    for text in (panel["title"], panel["description"]):
        assert re.search(r"[\u4e00-\u9fff].* / .*[A-Za-z]", text)
    assert panel["fieldConfig"]["defaults"]["unit"]
