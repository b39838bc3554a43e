"""The consumer commits what is done, and its thread ends, whatever aiokafka does when it is stopped."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from treasury_watch.adapters.kafka import driver as ours
from treasury_watch.adapters.kafka.driver import ConsumerThread


class Client:
    """What stays open when aiokafka's stop is broken off."""

    closed = False

    async def close(self) -> None:
        self.closed = True


class Consumer:
    def __init__(self) -> None:
        self._client = Client()


async def stopped(monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> Client:
    async def stop(self: Any) -> None:
        if error:
            raise error

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "on_thread_stop", stop)
    thread = ConsumerThread.__new__(ConsumerThread)
    consumer = Consumer()
    thread._consumer = consumer
    await thread.on_thread_stop()
    return consumer._client


async def test_a_stop_that_aiokafka_broke_off_is_a_stop_and_its_connections_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (await stopped(monkeypatch, asyncio.CancelledError())).closed
    assert not (await stopped(monkeypatch, None)).closed


async def test_what_fails_otherwise_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="no more"):
        await stopped(monkeypatch, OSError("no more"))


def test_an_offset_is_committed_again_when_faust_only_believes_that_it_is() -> None:
    """A commit that failed, as the group had rebalanced, is remembered by Faust like one that did not."""
    consumer = ours.Consumer.__new__(ours.Consumer)
    consumer.transport = SimpleNamespace(batch_topic="payments")
    consumer._committed_offset = {TP("payments", 0): 7, TP("other", 0): 7}
    assert consumer._should_commit(TP("payments", 0), 7)
    assert not consumer._should_commit(TP("other", 0), 7)
