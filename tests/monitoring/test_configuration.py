"""Rules, alerts and routes are what Prometheus and Alertmanager read, and each alert has its cases and its runbook."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.monitoring.tools import FOLDER, run
from treasury_watch.adapters.metrics import LATENCY_BUCKETS, Metrics
from treasury_watch.adapters.rulefiles import default_rules, load

CASES = sorted(Path(__file__).parent.glob("*.test.yml"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules(file: str) -> Iterator[dict[str, Any]]:
    for group in read(FOLDER / "rules" / file)["groups"]:
        yield from group["rules"]


ALERTS = list(rules("alerts.yml"))
RECORDED = {rule["record"]: rule["expr"] for rule in rules("recording.yml")}
SEVERITIES = [(alert["alert"], alert["labels"]["severity"]) for alert in ALERTS]


def exposition() -> bytes:
    return Metrics(load(default_rules())).exposition()


@pytest.mark.parametrize(
    "command",
    [
        ("promtool", "check", "config", str(FOLDER / "prometheus.yml")),
        ("amtool", "check-config", str(FOLDER / "alertmanager.yml")),
    ],
    ids=["prometheus", "alertmanager"],
)
def test_the_configuration_is_valid(command: tuple[str, ...]) -> None:
    done = run(*command)
    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.slow
@pytest.mark.parametrize("cases", CASES, ids=[path.name for path in CASES])
def test_alerts_fire_when_they_should_and_only_then(cases: Path) -> None:
    done = run("promtool", "test", "rules", str(cases))
    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.parametrize(("alert", "severity"), SEVERITIES)
def test_each_alert_has_a_case_that_fires_and_one_that_does_not(alert: str, severity: str) -> None:
    expected = [
        [each["exp_labels"]["severity"] for each in case["exp_alerts"]]
        for path in CASES
        for test in read(path)["tests"]
        for case in test.get("alert_rule_test", ())
        if case["alertname"] == alert
    ]
    assert any(severity in fired for fired in expected)
    assert any(severity not in fired for fired in expected)


@pytest.mark.parametrize("alert", ALERTS, ids=["-".join(each) for each in SEVERITIES])
def test_an_alert_says_in_both_languages_what_is_wrong_and_where_it_is_told_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    for text in (alert["annotations"]["summary"], alert["annotations"]["description"]):
        assert re.search(r"[\u4e00-\u9fff].* / .*[A-Za-z]", text)
    runbook = ROOT / alert["annotations"]["runbook_url"]
    assert f"\n`{alert['alert']}`" in runbook.read_text(encoding="utf-8")


def test_no_runbook_is_left_without_an_alert() -> None:
    named = {alert["annotations"]["runbook_url"] for alert in ALERTS}
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert there - {"docs/runbooks/README.md"} == named


def test_the_rules_ask_only_for_what_a_worker_exposes_or_is_recorded() -> None:
    exposed = set(re.findall(r"^(?:# HELP )?(\w+)", exposition().decode(), flags=re.MULTILINE))
    asked = "\n".join([*RECORDED.values(), *(alert["expr"] for alert in ALERTS)])
    names = set(re.findall(r"(?<![\w:])(?:treasury_watch|process)_\w+", asked))
    assert names
    assert names <= exposed
    assert set(re.findall(r"\b\w+:\w+:\w+", asked)) <= RECORDED.keys()


def test_the_latency_objective_is_a_bucket_of_the_histogram() -> None:
    bounds = set(re.findall(r'le="([^"]+)"', "\n".join(RECORDED.values())))
    assert bounds == {"0.1"}
    assert bounds <= {str(edge) for edge in LATENCY_BUCKETS}


def test_each_route_of_a_severity_leads_to_a_receiver_that_is_told_when_it_is_over() -> None:
    configuration = read(FOLDER / "alertmanager.yml")
    for receiver in configuration["receivers"]:
        assert all(hook.get("send_resolved", True) for hook in receiver["webhook_configs"])
    for severity, expected in (("critical", "on-call"), ("warning", "monitoring")):
        done = run(
            "amtool", "config", "routes", "test", f"--config.file={FOLDER / 'alertmanager.yml'}", f"severity={severity}"
        )
        assert done.stdout.decode().splitlines()[-1] == expected  # a warning may stand before it


def test_inhibition_names_alerts_that_exist() -> None:
    text = (FOLDER / "alertmanager.yml").read_text(encoding="utf-8")
    names = {alert["alert"] for alert in ALERTS}
    for first, group in re.findall(r"(TreasuryWatch\w*)(?:\(([\w|]+)\))?", text):
        assert {first + rest for rest in group.split("|")} <= names


def test_promtool_finds_nothing_wrong_with_what_a_worker_exposes() -> None:
    done = run("promtool", "check", "metrics", stdin=exposition())
    assert done.returncode == 0, done.stdout.decode()
