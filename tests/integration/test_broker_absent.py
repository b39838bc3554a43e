"""Brokers that are not there when a worker starts, and output topics that are gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.installation import Installation, payments, until
from treasury_watch.adapters.embedded import free_port


@asynccontextmanager
async def forwarding(port: int, address: str) -> AsyncIterator[None]:
    """Lets a broker answer on this port, too."""
    host, _, to = address.rpartition(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection(host, int(to))
        await asyncio.gather(pump(reader, onward[1]), pump(onward[0], writer), return_exceptions=True)

    server = await asyncio.start_server(forward, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


@pytest.mark.kafka
async def test_a_worker_waits_for_brokers_says_so_and_judges_when_they_are_there(installation: Installation) -> None:
    port = free_port()
    await installation.pay(payments(10))
    worker = installation.worker(bootstrap_servers=f"127.0.0.1:{port}")
    await until(lambda: worker.get("/readyz") == (503, '{"status": "waiting for brokers"}'))
    assert worker.get("/healthz")[0] == 200
    assert f"waiting for brokers: no broker answers at 127.0.0.1:{port}" in worker.text()

    async with forwarding(port, installation.settings.bootstrap_servers):
        await worker.ready()
        await installation.read("decisions", until=10)
    assert "brokers answer, after" in worker.text()
    assert "Traceback" not in worker.text()
    assert worker.stop() == 0


async def test_a_worker_that_waits_for_brokers_stops_when_it_is_told_to(tmp_path: Path) -> None:
    alone = Installation.on("127.0.0.1:1", tmp_path, "alone")
    worker = alone.worker()
    try:
        await until(lambda: worker.get("/healthz")[0] == 200)
        assert worker.stop() == 0
        assert "told to stop while waiting for brokers" in worker.text().splitlines()[-1]
        assert "Traceback" not in worker.text()
    finally:
        alone.close()
