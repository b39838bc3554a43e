"""Following the topics of rule sets and reference data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from treasury_watch.adapters.approvals import Approvals
from treasury_watch.adapters.bundles import Bundle, bundle_of, encode
from treasury_watch.adapters.kafka.connection import NoAnswer
from treasury_watch.adapters.kafka.control import inputs
from treasury_watch.adapters.kafka.control.inputs import ControlInputs
from treasury_watch.adapters.settings import load_settings


class Stopped(Exception):
    pass


class Consumer:
    """Brings one record, then nothing, then ends the test."""

    def __init__(self) -> None:
        self.fetched: list[dict[TopicPartition, list[Any]]] = [
            {TopicPartition("treasury.rules", 0): [SimpleNamespace(offset=0, key=b"k", value=b"{}")]},
            {},
            {},
        ]

    def seek(self, tp: TopicPartition, offset: int) -> None:
        pass

    async def getmany(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        if not self.fetched:
            raise Stopped
        return self.fetched.pop(0)


class Hindered(ControlInputs):
    """Brokers go away when what was published is first to be read."""

    def __init__(self) -> None:
        super().__init__(load_settings(), Approvals())
        self.settled = 0

    async def _settle(self) -> None:
        self.settled += 1
        if self.settled == 1:
            raise NoAnswer("no broker answers")


async def test_what_could_not_be_read_for_want_of_brokers_is_read_when_they_are_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though nothing is published after it, by which it would be noticed."""
    consumer = Consumer()

    @asynccontextmanager
    async def reader(*_: Any) -> AsyncIterator[Consumer]:
        yield consumer

    monkeypatch.setattr(inputs, "reader", reader)
    monkeypatch.setattr(inputs, "_RETRY_SECONDS", 0)
    hindered, changes = Hindered(), []
    with pytest.raises(Stopped):
        await hindered.follow(lambda: changes.append(hindered.settled))
    assert changes == [2]


RULES = Path(__file__).parents[3] / "integration" / "pack" / "rules.yaml"
TP = TopicPartition("treasury.rules", 0)


def keyed_by(field: str, directory: Path) -> Bundle:
    directory.mkdir()
    text = RULES.read_text(encoding="utf-8").replace("partition_by: jurisdiction", f"partition_by: {field}")
    (directory / "rules.yaml").write_text(text, encoding="utf-8")
    return bundle_of(directory, "directory")[0]


async def test_by_what_payments_are_keyed_never_changes_whenever_a_worker_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, other = keyed_by("jurisdiction", tmp_path / "first"), keyed_by("budget_unit", tmp_path / "other")
    records = [
        SimpleNamespace(offset=offset, key=each.ruleset.encode(), value=encode(each))
        for offset, each in enumerate((first, other))
    ]

    async def record_at(settings: Any, name: str, offset: int) -> Any:
        return records[offset]

    monkeypatch.setattr(inputs, "record_at", record_at)
    running, started = (ControlInputs(load_settings(), Approvals()) for _ in range(2))
    for record in records:
        running._take(TP, record)
        await running._settle()
        started._take(TP, record)
    await started._settle()
    for each in (running, started):
        assert each.newest is not None
        assert each.newest.standing.ruleset == first.ruleset
        assert [(refused.input.offset, refused.reason) for refused in each.refused] == [
            (1, "payments are keyed by jurisdiction, not budget_unit")
        ]
