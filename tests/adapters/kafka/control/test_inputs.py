"""Following the topics of rule sets and reference data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from treasury_watch.adapters.approvals import Approvals
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
