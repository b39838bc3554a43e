"""The consumer's thread: it ends, whatever aiokafka does when it is stopped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver

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
