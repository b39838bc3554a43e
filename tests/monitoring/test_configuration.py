"""Rules, alerts and routes are what Prometheus and Alertmanager read, and each alert has its cases and its runbook."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from tests.conftest import ROOT
from tests.monitoring.tools import FOLDER, run
from treasury_watch.adapters.cases.metrics import Metrics as SinkMetrics
from treasury_watch.adapters.metrics import LATENCY_BUCKETS, Metrics, Watched
from treasury_watch.adapters.rulefiles import default_rules, load
from treasury_watch.cli import app

CASES = sorted(Path(__file__).parent.glob("*.test.yml"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules(file: str) -> Iterator[dict[str, Any]]:
    for group in read(FOLDER / "rules" / file)["groups"]:
        yield from group["rules"]


ALERTS = list(rules("alerts.yml"))
RECORDED = {rule["record"]: rule["expr"] for rule in rules("recording.yml")}
SEVERITIES = [(alert["alert"], alert["labels"]["severity"]) for alert in ALERTS]


WATCHDOG = "TreasuryWatchWatchdog"
RUNBOOKS = "{{ $externalLabels.runbooks }}/"  # and the name of a file in docs/runbooks/
FOLDER_OF_RUNBOOKS = ROOT / "docs" / "runbooks"


def of_worker() -> bytes:
    """The page of a worker that has a partition."""
    metrics = Metrics(load(default_rules()))
    metrics.watch_ready(lambda: True)
    metrics.watch_partition(0, Watched(*(lambda: 1.0,) * len(fields(Watched))))
    return metrics.exposition()


def of_sink() -> bytes:
    """The page of a sink that has a partition, and has written."""
    metrics = SinkMetrics()
    metrics.show_lag({("treasury.decisions", 0): 3})
    metrics.batch_seconds.observe(0.1)
    return metrics.exposition()


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
    assert any(severity not in fired for fired in expected) != (alert == WATCHDOG)  # which always fires


@pytest.mark.parametrize("alert", ALERTS, ids=["-".join(each) for each in SEVERITIES])
def test_an_alert_says_in_both_languages_what_is_wrong_and_where_it_is_told_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in (("none",) if alert["alert"] == WATCHDOG else ("critical", "warning"))
    for text in (alert["annotations"]["summary"], alert["annotations"]["description"]):
        assert re.search(r"[\u4e00-\u9fff].* / .*[A-Za-z]", text)
    assert f"\n`{alert['alert']}`" in runbook_of(alert).read_text(encoding="utf-8")


def runbook_of(alert: dict[str, Any]) -> Path:
    base, name = alert["annotations"]["runbook_url"].rsplit("/", 1)
    assert f"{base}/" == RUNBOOKS
    return FOLDER_OF_RUNBOOKS / name


def test_where_the_runbooks_are_is_said_in_one_place_and_goes_into_links_only() -> None:
    configuration = read(FOLDER / "prometheus.yml")
    assert [*configuration["global"]["external_labels"]] == ["runbooks"]
    assert configuration["alerting"]["alert_relabel_configs"] == [{"action": "labeldrop", "regex": "runbooks"}]


@pytest.mark.parametrize("content", ["", "[]\n", "# none\n", "- targets: []\n"])
def test_a_file_of_targets_may_be_empty(tmp_path: Path, content: str) -> None:
    shutil.copytree(FOLDER, tmp_path / "prometheus")
    for path in (tmp_path / "prometheus" / "targets").iterdir():
        path.write_text(content)
    done = run("promtool", "check", "config", str(tmp_path / "prometheus" / "prometheus.yml"))
    assert done.returncode == 0, done.stdout.decode()


def test_every_job_has_its_file_of_targets_and_every_file_its_job() -> None:
    configuration = read(FOLDER / "prometheus.yml")
    found = {job["job_name"]: job["file_sd_configs"] for job in configuration["scrape_configs"]}
    assert found == {
        job: [{"files": [f"targets/{name}.yml"]}]
        for job, name in (("treasury-watch", "workers"), ("treasury-watch-sink", "sinks"), ("node", "nodes"))
    }
    there = {path.stem for path in (FOLDER / "targets").iterdir()}
    assert there == {"workers", "sinks", "nodes", "alertmanagers"}


def test_no_runbook_is_left_without_an_alert() -> None:
    there = {path for path in FOLDER_OF_RUNBOOKS.glob("*.md") if path.name != "README.md"}
    assert there == {runbook_of(alert) for alert in ALERTS}


def test_the_index_has_every_alert_with_its_runbook_and_severities() -> None:
    index = (FOLDER_OF_RUNBOOKS / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| \[[^]]+\]\(([\w-]+\.md)\) \| ([\w, ]+) \|", index, flags=re.MULTILINE)
    told = {
        (
            alert["alert"],
            runbook_of(alert).name,
            ", ".join(sorted(said for name, said in SEVERITIES if name == alert["alert"])),
        )
        for alert in ALERTS
    }
    assert set(listed) == told
    assert len(listed) == len(told)


def commands(app: typer.Typer) -> set[tuple[str, ...]]:
    """Every command and group of commands, as words."""

    def below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield words
        for name, each in getattr(command, "commands", {}).items():
            yield from below(each, (*words, name))

    return set(below(typer.main.get_command(app), ()))


def test_what_runbooks_tell_to_run_and_to_look_at_exists() -> None:
    texts = [path.read_text(encoding="utf-8") for path in sorted(FOLDER_OF_RUNBOOKS.glob("*.md"))]
    code = [each for text in texts for each in re.findall(r"`([^`]+)`", text)]
    told = {tuple(each.split()) for text in code for each in re.findall(r"^treasury-watch((?: [a-z][a-z-]*)+)", text)}
    assert told
    assert told - commands(app) == set()
    named = {name for each in code for name in re.findall(r"(?<![\w:])treasury_watch_\w+|\b\w+:\w+:\w+", each)}
    exposed = set(re.findall(r"^(\w+)", (of_worker() + of_sink()).decode(), flags=re.MULTILINE))
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in exposed}
    assert named - exposed - families - RECORDED.keys() == set()


def test_the_rules_ask_only_for_what_a_worker_or_a_sink_exposes_or_is_recorded() -> None:
    exposed = set(re.findall(r"^(?:# HELP )?(\w+)", (of_worker() + of_sink()).decode(), flags=re.MULTILINE))
    asked = "\n".join([*RECORDED.values(), *(alert["expr"] for alert in ALERTS)])
    names = set(re.findall(r"(?<![\w:])(?:treasury_watch|process)_\w+", asked))
    assert names
    assert names <= exposed
    assert set(re.findall(r"\b\w+:\w+:\w+", asked)) <= RECORDED.keys()


def test_the_objectives_say_how_what_they_ask_for_is_computed() -> None:
    guide = (ROOT / "docs" / "slo.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(treasury_watch_\w+)", guide, flags=re.MULTILINE))
    objectives = "\n".join(expr for name, expr in RECORDED.items() if "slow" in name or "partitions_" in name)
    asked = {re.sub("_(bucket|count)$", "", name) for name in re.findall(r"(?<![\w:])treasury_watch_\w+", objectives)}
    assert asked == {"treasury_watch_decision_latency_seconds", "treasury_watch_lag", "treasury_watch_ready"}
    assert asked <= told


def test_the_latency_objective_is_a_bucket_of_the_histogram() -> None:
    bounds = set(re.findall(r'le="([^"]+)"', "\n".join(RECORDED.values())))
    assert bounds == {"0.1"}
    assert bounds <= {str(edge) for edge in LATENCY_BUCKETS}


def test_each_route_of_a_severity_leads_to_a_receiver_that_is_told_when_it_is_over() -> None:
    configuration = read(FOLDER / "alertmanager.yml")
    for receiver in configuration["receivers"]:
        assert all(
            hook.get("send_resolved", True) != (receiver["name"] == "watchdog") for hook in receiver["webhook_configs"]
        )
    for labels, expected in (
        (["severity=critical"], "on-call"),
        (["severity=warning"], "monitoring"),
        ([f"alertname={WATCHDOG}", "severity=none"], "watchdog"),
    ):
        done = run("amtool", "config", "routes", "test", f"--config.file={FOLDER / 'alertmanager.yml'}", *labels)
        assert done.stdout.decode().splitlines()[-1] == expected  # a warning may stand before it


def test_inhibition_names_alerts_that_exist() -> None:
    text = (FOLDER / "alertmanager.yml").read_text(encoding="utf-8")
    names = {alert["alert"] for alert in ALERTS}
    for first, group in re.findall(r"(TreasuryWatch\w*)(?:\(([\w|]+)\))?", text):
        assert {first + rest for rest in group.split("|")} <= names


@pytest.mark.parametrize("page", [of_worker, of_sink])
def test_promtool_finds_nothing_wrong_with_what_workers_and_sinks_expose(page: Callable[[], bytes]) -> None:
    text = page()
    families = re.findall(r"^# TYPE (treasury_watch_\w+) ", text.decode(), flags=re.MULTILINE)
    shown = set(re.findall(r"^(\w+?)(?:_bucket|_sum|_count)?[{ ]", text.decode(), flags=re.MULTILINE))
    assert {name for name in families if name not in shown} == set()  # a full page: no family without a sample
    done = run("promtool", "check", "metrics", stdin=text)
    assert (done.returncode, done.stdout) == (0, b"")
