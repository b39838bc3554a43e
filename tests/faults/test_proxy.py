"""The proxy between a worker and the broker, with a broker that only answers with where it is."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest

from scripts.fault_trials.proxy import HOST, Proxy


def place(port: int) -> bytes:
    return HOST.encode() + struct.pack(">i", port)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """To every byte an answer that holds the broker's address between other things."""
    port = writer.get_extra_info("sockname")[1]
    while await reader.read(1):
        told = b"\x00\x0a" + place(port) + b"rack" + place(port)
        writer.write(struct.pack(">i", len(told)) + told)
    writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(answer, HOST, 0)
    made = Proxy(f"{HOST}:{server.sockets[0].getsockname()[1]}")
    await made.start()
    yield made
    await made.stop()
    server.close()


async def connect(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = proxy.address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"?")
    length = struct.unpack(">i", await reader.readexactly(4))[0]
    return await reader.readexactly(length)


async def test_where_the_broker_is_becomes_where_the_proxy_is(proxy: Proxy) -> None:
    here = place(int(proxy.address.rpartition(":")[2]))
    connection = await connect(proxy)
    for _ in range(2):
        assert await ask(*connection) == b"\x00\x0a" + here + b"rack" + here
    connection[1].close()


async def test_a_connection_that_is_cut_is_over_and_a_new_one_works(proxy: Proxy) -> None:
    reader, writer = await connect(proxy)
    await ask(reader, writer)
    proxy.cut()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await ask(reader, writer)
    writer.close()
    connection = await connect(proxy)
    assert await ask(*connection)
    connection[1].close()


async def test_while_it_refuses_nothing_is_answered(proxy: Proxy) -> None:
    proxy.refuses = True
    reader, writer = await connect(proxy)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await ask(reader, writer)
    writer.close()


async def test_what_is_held_comes_when_it_is_released(proxy: Proxy) -> None:
    reader, writer = await connect(proxy)
    proxy.hold()
    asked = asyncio.create_task(ask(reader, writer))
    await asyncio.sleep(0)
    assert not asked.done()
    proxy.release()
    assert await asyncio.wait_for(asked, 10)
    writer.close()
