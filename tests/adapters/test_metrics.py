"""Metrics: all series from the start, counted by what was published."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import chain, islice
from typing import Any

import numpy as np
from msgspec import UNSET

from tests.builders import make_instruction
from tests.conftest import ROOT
from tests.rulesets import leaf, make_rule, make_ruleset, yuan
from treasury_watch.adapters.metrics import Metrics, Watched
from treasury_watch.adapters.rulefiles import default_rules, load
from treasury_watch.adapters.simulate import simulate
from treasury_watch.domain.verdict import REASONS, VERDICTS, Anomaly, Decision, Duplicate, Hit, Refusal, Text, Verdict
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.failsafe import failure_hit

RULESET = make_ruleset(make_rule("AMT-001", leaf("amount", "gte", yuan("50000.00"))))


def samples(metrics: Metrics) -> dict[str, float]:
    lines = (line for line in metrics.exposition().decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def decision(verdict: Verdict, amount: str = "60000.00", **overrides: Any) -> Decision:
    instruction = make_instruction()
    hit = Hit("AMT-001", 1, "intercept", "live", "red", None, Text("", ""), {})
    fields: dict[str, Any] = {
        "schema_version": 1, "decision_id": "d", "instruction_id": "i", "jurisdiction": "420100", "budget_unit": "1",
        "amount": amount, "currency": "CNY", "event_time": instruction.event_time, "verdict": verdict,
        "evidence_required": False, "late": False, "hits": () if verdict == "pass" else (hit,), "anomaly": UNSET,
        "ruleset": "", "reference": "", "engine": "",
    }  # fmt: skip
    return Decision(**fields | overrides)


def test_every_series_is_there_before_anything_happens() -> None:
    found = samples(Metrics(RULESET))
    for verdict in VERDICTS:
        assert found[f'treasury_watch_instructions_total{{verdict="{verdict}"}}'] == 0
    for reason in REASONS:
        assert found[f'treasury_watch_dead_letters_total{{reason="{reason}"}}'] == 0
    for mode in ("live", "shadow", "warming"):
        assert found[f'treasury_watch_hits_total{{mode="{mode}",rule="AMT-001"}}'] == 0
    for name in ("held_cny", "duplicates", "late", "engine_errors", "unknown_fields"):
        assert found[f"treasury_watch_{name}_total"] == 0
    for name in ("decision_latency_seconds", "engine_seconds", "batch_size"):
        assert found[f"treasury_watch_{name}_count"] == 0
    assert found[f'treasury_watch_ruleset_info{{hash="{RULESET.hash}"}}'] == 1


def test_scores_are_counted_and_their_p_values_once_there_are_any() -> None:
    metrics = Metrics(RULESET)
    said = [(None, False), (0.004, True), (0.5, False), (1.0, False)]
    metrics.count([decision("pass", anomaly=Anomaly(1.0, p_value, alert, "m")) for p_value, alert in said])
    metrics.count([decision("pass"), decision("pass", anomaly=Anomaly(9.0, 0.2, False, "m", creeping=True))])
    found = samples(metrics)
    assert found["treasury_watch_anomaly_scored_total"] == 5
    assert found["treasury_watch_anomaly_alerts_total"] == 1
    assert found["treasury_watch_anomaly_creeping_total"] == 1
    assert found['treasury_watch_anomaly_p_value_bucket{le="0.005"}'] == 1
    assert found['treasury_watch_anomaly_p_value_bucket{le="1.0"}'] == 4


def test_outcomes_are_counted_by_what_they_are() -> None:
    metrics = Metrics(RULESET)
    metrics.count([decision("pass"), decision("pass", late=True), decision("intercept"), decision("prohibit")])
    metrics.count([Refusal("too_late", ""), Duplicate("i"), Duplicate("i")])
    found = samples(metrics)
    assert found['treasury_watch_instructions_total{verdict="pass"}'] == 2
    assert found['treasury_watch_instructions_total{verdict="prohibit"}'] == 1
    assert found['treasury_watch_hits_total{mode="live",rule="AMT-001"}'] == 2
    assert found['treasury_watch_dead_letters_total{reason="too_late"}'] == 1
    assert found["treasury_watch_duplicates_total"] == 2
    assert found["treasury_watch_late_total"] == 1


def test_an_instruction_that_judging_failed_on_is_counted_as_that_and_as_the_hit_of_no_rule() -> None:
    metrics = Metrics(RULESET)
    metrics.count([decision("intercept", hits=(failure_hit("intercept", KeyError("x")),)), decision("intercept")])
    found = samples(metrics)
    assert found["treasury_watch_engine_errors_total"] == 1
    assert found['treasury_watch_instructions_total{verdict="intercept"}'] == 2
    assert found["treasury_watch_held_cny_total"] == 120_000
    assert [value for name, value in found.items() if name.startswith("treasury_watch_hits_total")] == [1, 0, 0]


def test_held_yuan_are_those_of_intercepts_and_prohibitions_in_yuan_and_never_shrink() -> None:
    metrics = Metrics(RULESET)
    metrics.count([decision("warn"), decision("intercept", "0.10"), decision("prohibit", "0.20")])
    metrics.count([decision("intercept", "-500.00"), decision("intercept", "7.00", currency="USD")])
    assert samples(metrics)["treasury_watch_held_cny_total"] == 0.3


def test_a_hit_that_an_exception_withheld_is_not_counted() -> None:
    from treasury_watch.domain.verdict import Excepted

    metrics = Metrics(RULESET)
    hit = Hit("AMT-001", 1, "intercept", "live", "red", None, Text("", ""), {}, (), Excepted("o", "b", "2025-01-01"))
    metrics.count([decision("pass", hits=(hit,))])
    assert samples(metrics)['treasury_watch_hits_total{mode="live",rule="AMT-001"}'] == 0


def test_latencies_fall_into_the_bucket_whose_edge_they_do_not_exceed() -> None:
    metrics = Metrics(RULESET)
    metrics.latency.observe(np.array([0.02, 0.0200001, 99.0, 0.0]))
    metrics.latency.observe(np.array([]))
    found = samples(metrics)
    bucket = 'treasury_watch_decision_latency_seconds_bucket{{le="{}"}}'
    assert [found[bucket.format(edge)] for edge in ("0.002", "0.02", "0.03", "60.0", "+Inf")] == [1, 2, 3, 3, 4]
    assert found["treasury_watch_decision_latency_seconds_count"] == 4
    assert found["treasury_watch_decision_latency_seconds_sum"] == 99.0400001


def test_lag_and_warming_of_a_partition_are_asked_for_when_scraped_and_go_with_it() -> None:
    metrics = Metrics(RULESET)
    lags = [3.0]
    metrics.watch_partition(2, Watched(lambda: lags[0], lambda: 7, lambda: 9, lambda: 3, lambda: 0.2, lambda: 4096))
    lags[0] = 5.0
    found = samples(metrics)
    assert found['treasury_watch_lag{partition="2"}'] == 5
    assert found['treasury_watch_warming_windows{partition="2"}'] == 7
    assert found['treasury_watch_state_keys{partition="2"}'] == 9
    assert found['treasury_watch_anomaly_drift_events{partition="2"}'] == 3
    assert found['treasury_watch_snapshot_age_seconds{partition="2"}'] == 0.2
    assert found['treasury_watch_snapshot_bytes{partition="2"}'] == 4096
    metrics.forget_partition(2)
    assert not [name for name in samples(metrics) if name.endswith('{partition="2"}')]


def test_a_worker_is_not_ready_until_it_says_so() -> None:
    metrics = Metrics(RULESET)
    ready = [False]
    assert samples(metrics)["treasury_watch_ready"] == 0
    metrics.watch_ready(lambda: ready[0])
    assert samples(metrics)["treasury_watch_ready"] == 0
    ready[0] = True
    assert samples(metrics)["treasury_watch_ready"] == 1


def test_how_long_ago_an_event_was_is_counted_from_its_own_time_and_as_nothing_when_that_is_yet_to_come() -> None:
    event_time = make_instruction().event_time
    metrics = Metrics(RULESET, lambda: event_time.timestamp() + 90.0)
    metrics.count([decision("pass"), decision("warn", event_time=event_time + timedelta(seconds=100))])
    metrics.count([Refusal("too_late", ""), Duplicate("i")])
    found = samples(metrics)
    bucket = 'treasury_watch_event_latency_seconds_bucket{{le="{}"}}'
    assert [found[bucket.format(edge)] for edge in ("0.1", "60.0", "300.0", "86400.0", "+Inf")] == [1, 1, 2, 2, 2]
    assert found["treasury_watch_event_latency_seconds_count"] == 2
    assert found["treasury_watch_event_latency_seconds_sum"] == 90


LABELS = {
    "verdict", "rule", "mode", "reason", "partition", "input", "outcome", "hash", "le",
    "generation",  # of Python's garbage collector
}  # fmt: skip


def labels_of(metrics: Metrics) -> Iterator[tuple[str, str]]:
    for family in metrics.registry.collect():
        for sample in family.samples:
            yield from sample.labels.items()


def test_no_label_names_a_payment_payee_card_or_unit_and_more_payments_make_no_more_series() -> None:
    program = Program(load(default_rules()), max_lateness=timedelta(days=31))
    engine, metrics = Engine(program), Metrics(program.ruleset)
    payments = [each.instruction for each in islice(simulate(seed=7, payments=2000, days=3), 2000)]
    before = len(samples(metrics))
    for start in range(0, len(payments), 500):
        metrics.count(engine.assess(payments[start : start + 500]))
        engine.absorb()
    assert samples(metrics)['treasury_watch_instructions_total{verdict="intercept"}'] > 0
    assert len(samples(metrics)) == before
    found = set(labels_of(metrics))
    assert {name for name, _ in found} <= LABELS
    texts = chain.from_iterable(
        (each.instruction_id, each.jurisdiction, each.budget_unit, each.budget_unit_name, each.payee_name,
         each.payee_account, each.payer_account, each.card_no, each.card_holder, each.initiator, each.approver)
        for each in payments
    )  # fmt: skip
    assert {text for text in texts if text} & {value for _, value in found} == set()


def test_the_guides_name_every_metric() -> None:
    guide = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("operations.md", "slo.md"))
    families = [each.name for each in Metrics(RULESET).registry.collect() if each.name.startswith("treasury_watch_")]
    assert len(families) > 10
    assert [name for name in families if f"`{name}" not in guide] == []
