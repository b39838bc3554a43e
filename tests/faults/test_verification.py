"""What the trials look for, each seen when it is there."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.fault_trials.durable import UNKNOWN, Written
from scripts.fault_trials.load import messages
from scripts.fault_trials.topics import OUTPUTS, Sample
from scripts.fault_trials.trial import RULES
from scripts.fault_trials.undisturbed import Judge, Run
from scripts.fault_trials.verification import committed_before_written, committed_early, compare
from treasury_watch.adapters.rulefiles import load
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.wire import stamp
from treasury_watch.engine import Program

SETTINGS = Settings()
PARTITION = 2
NOW_MS = 1_750_000_000_000
Published = dict[str, list[Any]]


@pytest.fixture(scope="module")
def run() -> Run:
    sent = [each for each, _ in zip(messages(1, 4), range(2400), strict=False) if each.partition == PARTITION]
    payments = [
        SimpleNamespace(offset=offset, timestamp=NOW_MS, key=each.key, value=each.value)
        for offset, each in enumerate(sent)
    ]
    program = Program(load(RULES), max_lateness=SETTINGS.max_lateness)
    return Judge(PARTITION, {program.ruleset.hash: program}, SETTINGS).run(payments)


@pytest.fixture
def published(run: Run) -> Published:
    """As a worker publishes it."""
    return {name: [record(offset, each) for offset, each in enumerate(run.outputs[name])] for name in OUTPUTS}


def record(offset: int, expected: Any, **overrides: Any) -> Any:
    headers = dict(expected.headers)
    value = expected.value
    if "reason" in headers:
        headers["failed_at"] = "2026-01-01T00:00:00.000Z"
    else:
        value = stamp(value, "2026-01-01T00:00:00.000Z")
    fields = {"offset": offset, "key": expected.key, "value": value, "headers": headers} | overrides
    fields["headers"] = [(name, text.encode()) for name, text in fields["headers"].items()]
    return SimpleNamespace(**fields)


def test_every_topic_has_something_that_can_be_wrong(run: Run) -> None:
    assert all(len(run.outputs[name]) > 9 for name in OUTPUTS)
    assert run.duplicates > 10


def test_what_was_to_be_published_is_found_right(run: Run, published: Published) -> None:
    assert compare(run, published, PARTITION) == []


def lose(records: list[Any]) -> None:
    del records[5]


def repeat(records: list[Any]) -> None:
    records.append(records[5])


def swap(records: list[Any]) -> None:
    records[5], records[6] = records[6], records[5]


def add(records: list[Any]) -> None:
    records.append(record_of(records[-1], source_offset="999999"))


def rekey(records: list[Any]) -> None:
    records[5].key = b"another"


def rewrite(records: list[Any]) -> None:
    records[5].value = (records[5].value or b"") + b" "


def misplace(records: list[Any]) -> None:
    records[5] = record_of(records[5], source_partition="1")


def add_header(records: list[Any]) -> None:
    records[5].headers.append(("source_partition", b"0"))


def record_of(other: Any, **headers: str) -> Any:
    changed = [(name, headers.get(name, value.decode()).encode()) for name, value in other.headers]
    return SimpleNamespace(**{**vars(other), "headers": changed})


WRONGS: tuple[tuple[Callable[[list[Any]], None], str], ...] = (
    (lose, "missing"),
    (repeat, "published again"),
    (swap, "out of order"),
    (add, "nobody expects"),
    (rekey, "other key"),
    (rewrite, "other content"),
    (misplace, "other headers"),
    (add_header, "other headers"),
)


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize(("wrong", "told"), WRONGS)
def test_each_wrong_is_told_and_only_it(
    run: Run, published: Published, name: str, wrong: Callable[[list[Any]], None], told: str
) -> None:
    wrong(published[name])
    findings = compare(run, published, PARTITION)
    assert [each.partition(": ")[2].partition(":")[0] for each in findings] == [told]
    assert findings[0].startswith(f"{name}[{PARTITION}]: ")


def test_a_decision_without_the_time_at_which_it_was_decided_is_wrong(run: Run, published: Published) -> None:
    published["decisions"][5].value = run.outputs["decisions"][5].value
    assert len(compare(run, published, PARTITION)) == 1


def test_a_commit_behind_its_outputs_is_right_and_one_before_them_is_told(run: Run, published: Published) -> None:
    all_of_them = {name: len(published[name]) for name in OUTPUTS}
    last = run.outputs["decisions"][-1].source
    short = all_of_them | {"decisions": all_of_them["decisions"] - 1}
    assert committed_early(run, published, [Sample(PARTITION, last + 1, all_of_them)], PARTITION) == []
    assert committed_early(run, published, [Sample(PARTITION, last, short)], PARTITION) == []
    assert committed_early(run, published, [Sample(1, last + 1, short)], PARTITION) == []
    assert committed_early(run, published, [Sample(PARTITION, last + 1, short)], PARTITION) == [
        f"payments[{PARTITION}]: committed offset {last + 1} without the outputs on decisions of {last}"
    ]


def test_a_repeated_output_counts_from_its_first_time(run: Run, published: Published) -> None:
    last = run.outputs["decisions"][-1]
    ends = {name: len(published[name]) for name in OUTPUTS}
    published["decisions"].append(record(ends["decisions"], last))
    assert committed_early(run, published, [Sample(PARTITION, last.source + 1, ends)], PARTITION) == []


def test_a_commit_behind_the_state_is_right_and_one_before_it_is_told() -> None:
    written = [Written(0, 100), Written(7, 200)]
    assert committed_before_written(written, [Sample(0, 100, {"state": 7}), Sample(0, 200, {"state": 8})], 0) == []
    assert committed_before_written(written, [Sample(1, 200, {"state": 7})], 0) == []
    assert committed_before_written(written, [Sample(0, 101, {"state": 7})], 0) == [
        "payments[0]: committed offset 101 when the state was that of 100"
    ]
    assert len(committed_before_written([], [Sample(0, 1, {"state": 0})], 0)) == 1
    assert committed_before_written([Written(5, UNKNOWN)], [Sample(0, 1, {"state": 6})], 0) == []
