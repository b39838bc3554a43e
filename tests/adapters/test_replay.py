"""Replay of files: the same verdicts as any other way, and counts that add up."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.builders import make_instruction
from tests.rulesets import aggregate, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch.adapters.jsonl import Line
from treasury_watch.adapters.replay import Refused, ReplaySummary, replay
from treasury_watch.adapters.wire import decode_decision, encode_instruction
from treasury_watch.domain.verdict import Text
from treasury_watch.engine import Program

DAY_TOTAL = aggregate("sum", "amount", "budget_unit", period="day", population="attempted")
RULES = make_ruleset(
    make_rule("AMT-001", leaf("amount", "gte", yuan("500000.00")), reason=Text("支付{amount}元", "CNY {amount}")),
    make_rule("AMT-002", leaf("amount", "gte", yuan("100000.00")), mode="shadow"),
    make_rule("DAY-001", leaf(ref(DAY_TOTAL), "gt", yuan("600000.00")), action="warn"),
)


def file_of(*values: Any) -> list[Line]:
    return [
        Line(number, each if isinstance(each, bytes) else encode_instruction(each))
        for number, each in enumerate(values, 1)
    ]


def run(lines: list[Line], **options: Any) -> tuple[ReplaySummary, list[dict[str, Any]], list[Refused]]:
    out, refused = io.BytesIO(), []
    summary = replay(lines, Program(RULES, max_lateness=timedelta(days=31)), out, refused.append, **options)
    return summary, [json.loads(line) for line in out.getvalue().splitlines()], refused


def day(count: int) -> list[Line]:
    return file_of(
        *(
            make_instruction(
                instruction_id=f"PI-{number}",
                amount=f"{(number * 37_411) % 700_000}.{number % 100:02}",
                jurisdiction=("420100", "420200")[number % 2],
                event_time=f"2025-03-05T{number % 24:02}:15:00+08:00",
            )
            if number % 10
            else b'{"instruction_id":'
            for number in range(count)
        )
    )


def test_each_line_is_a_decision_a_duplicate_or_refused() -> None:
    first = make_instruction(amount="500000.00")
    summary, decisions, refused = run(
        file_of(
            first,
            make_instruction(instruction_id="PI-2", amount="100000.01"),
            b"not json",
            first,
            make_instruction(amount="1.00"),
            make_instruction(instruction_id="PI-3", event_time="2025-01-01T00:00:00+08:00"),
            b'{"x":1,"amount":"1"}',
        )
    )
    assert summary.lines == 7 == summary.decisions + summary.duplicates + summary.refused.total()
    assert [each["instruction_id"] for each in decisions] == ["PI-0001", "PI-2"]
    assert summary.verdicts == {"pass": 0, "warn": 1, "intercept": 1, "prohibit": 0}
    assert summary.rules == {"AMT-001": {"live": 1}, "AMT-002": {"shadow": 2}, "DAY-001": {"live": 1}}
    assert summary.duplicates == 1
    assert [(each.line, each.reason) for each in refused] == [
        (3, "malformed_json"), (5, "conflicting_duplicate"), (6, "too_late"), (7, "schema"),
    ]  # fmt: skip
    assert summary.unknown_fields == {"x": 1}


def test_decisions_have_no_decided_at_and_read_back() -> None:
    out = io.BytesIO()
    replay(file_of(make_instruction(amount="500000.00")), Program(RULES), out)
    decision = decode_decision(out.getvalue())
    assert decision.decided_at is None
    assert decision.hits[0].reason.zh == "支付500000.00元"


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_the_split_into_batches_changes_no_byte(batch: int) -> None:
    whole, parts = io.BytesIO(), io.BytesIO()
    replay(day(60), Program(RULES), whole, batch=60)
    replay(day(60), Program(RULES), parts, batch=batch)
    assert parts.getvalue() == whole.getvalue() != b""


def test_an_empty_file_is_judged_too() -> None:
    summary, decisions, refused = run([])
    assert (summary.lines, decisions, refused) == (0, [], [])
    assert summary.as_json()["verdicts"] == {"pass": 0, "warn": 0, "intercept": 0, "prohibit": 0}


def test_progress_tells_of_every_batch() -> None:
    seen: list[int] = []
    progress: Callable[[int], None] = seen.append
    run(day(25), batch=10, progress=progress)
    assert seen == [10, 20, 25]


def test_the_summary_for_machines_is_json() -> None:
    summary, _, _ = run(day(25))
    read = json.loads(json.dumps(summary.as_json()))
    assert read["lines"] == 25 == read["decisions"] + read["refused"]["malformed_json"]
    assert read["ruleset"] == RULES.hash
