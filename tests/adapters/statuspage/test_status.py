"""What the status says of a worker, from what it counts."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import cast

import numpy as np
from faust.types import TP

from tests.builders import make_instruction
from tests.rulesets import leaf, make_rule, make_ruleset, yuan
from treasury_watch.adapters.kafka.assignment import Assignment
from treasury_watch.adapters.metrics import Metrics, Watched
from treasury_watch.adapters.settings import load_settings
from treasury_watch.adapters.statuspage.serving import Status
from treasury_watch.domain.verdict import Refusal
from treasury_watch.engine import Engine, Program

RULESET = make_ruleset(make_rule("HOLD-001", leaf("amount", "gte", yuan("50000.00")), action="intercept"))


def status(metrics: Metrics, *held: int) -> Status:
    assignment = SimpleNamespace(positions=lambda: {TP("payments", number): 7 for number in held})
    return Status(load_settings(partitions=2), metrics, cast(Assignment, assignment), lambda: "ready")


def test_a_worker_that_has_done_nothing_says_so() -> None:
    found = status(Metrics(RULESET)).as_json()
    assert found["verdicts"] == {"pass": 0, "warn": 0, "intercept": 0, "prohibit": 0}
    assert (found["held_cny"], found["refused"], found["lag"], found["seen"]) == ("0.00", 0, 0, 0)
    assert (found["per_second"], found["latency_ms"]) == (None, {"p50": None, "p99": None})
    assert [each["judged"] for each in found["partitions"]] == [False, False]
    assert found["ruleset"] == RULESET.hash


def test_it_says_what_the_worker_counted() -> None:
    metrics = Metrics(RULESET)
    of = status(metrics, 1)
    watched = dict.fromkeys(Watched.__annotations__, lambda: 0.0) | {"lag": lambda: 4.0, "warming": lambda: 2.0}
    metrics.watch_partition(1, Watched(**watched))
    of.note(0.0)
    payments = [make_instruction(instruction_id=f"P{n}", amount="60000.00" if n == 0 else "9.00") for n in range(10)]
    metrics.count([*Engine(Program(RULESET)).assess(payments), Refusal("schema", "amount: missing")])
    metrics.latency.observe(np.full(10, 0.009))
    of.note(1.0)

    found = of.as_json()
    assert found["verdicts"] == {"pass": 9, "warn": 0, "intercept": 1, "prohibit": 0}
    assert (found["held_cny"], found["refused"], found["lag"]) == ("60000.00", 1, 4)
    assert found["per_second"] == 10
    assert 5 < found["latency_ms"]["p50"] < found["latency_ms"]["p99"] <= 10
    assert found["partitions"] == [
        {"number": 0, "judged": False, "lag": 0, "warming": 0},
        {"number": 1, "judged": True, "lag": 4, "warming": 2},
    ]
    json.dumps(found)
