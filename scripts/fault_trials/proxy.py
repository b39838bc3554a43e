"""A TCP proxy between a worker and the broker, so that the connections of this worker can be cut and held.

A client asks the broker where brokers are, and would go there past the proxy. So in the broker's answers its address is
replaced by that of the proxy: host and port stand there as text and four bytes, of the same length for both.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator

HOST = "127.0.0.1"
LENGTH_BYTES = 4  # before every request and every answer
CHUNK = 65_536


class Proxy:
    """`cut` ends the connections that there are; while it `refuses`, new ones are ended at once; while `held`, nothing
    is passed on.
    """

    def __init__(self, broker: str) -> None:
        self._broker_port = int(broker.rpartition(":")[2])
        self.refuses = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._connections: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self._port}"

    @property
    def _port(self) -> int:
        assert self._server is not None, "started before it is asked"
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, 0)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.release()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Ends every connection as a broken line does: with what was under way lost."""
        for writer in self._connections:
            writer.transport.abort()

    def hold(self) -> None:
        self._flows.clear()

    def release(self) -> None:
        self._flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio runs this as a task"
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        async with self._closing(writer):
            if self.refuses:
                return
            try:
                from_broker, to_broker = await asyncio.open_connection(HOST, self._broker_port)
            except OSError:  # the broker is away
                return
            async with self._closing(to_broker):
                ways = [
                    asyncio.ensure_future(self._requests(reader, to_broker)),
                    asyncio.ensure_future(self._answers(from_broker, writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _closing(self, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        self._connections.add(writer)
        try:
            yield
        finally:
            self._connections.discard(writer)
            writer.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = _place(self._broker_port), _place(self._port)
        while True:
            length = await reader.readexactly(LENGTH_BYTES)
            answer = await reader.readexactly(struct.unpack(">i", length)[0])
            await self._flows.wait()
            writer.write(length + answer.replace(there, here))
            await writer.drain()


def _place(port: int) -> bytes:
    """Host and port as they stand in answers, old encodings and compact ones alike."""
    return HOST.encode() + struct.pack(">i", port)
