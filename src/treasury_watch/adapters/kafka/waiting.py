"""Waiting for brokers: a worker that starts before they are there says so, is not ready, and goes on when they are."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any, Final, TypeVar

from aiohttp import web

from treasury_watch.adapters.kafka.connection import BrokerError, NoAnswer
from treasury_watch.adapters.settings import Settings

T = TypeVar("T")

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0
SAID_EVERY_SECONDS: Final = 5.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


async def brokers_answer(
    settings: Settings, what_keeps_us_away: Callable[[Settings], Coroutine[Any, Any, BrokerError | None]]
) -> bool:
    """Waits until nothing keeps us away from the brokers; False when SIGTERM or SIGINT came first.

    Meanwhile the web port says that the worker lives and is not ready. Raises what waiting does not mend.
    """
    began, said = monotonic(), float("-inf")
    async with _told_to_stop() as stop, AsyncExitStack() as pages:
        while not stop.is_set():
            found = await _unless(stop, what_keeps_us_away(settings))
            if stop.is_set():
                break
            if found is None:
                if said > began:
                    log.info("brokers answer, after %.0f s", monotonic() - began)
                return True
            if not isinstance(found, NoAnswer):
                raise found
            if said < began:
                await pages.enter_async_context(_not_ready(settings))
            if monotonic() - said >= SAID_EVERY_SECONDS:
                said = monotonic()
                log.warning("waiting for brokers: %s", found)
            await _unless(stop, asyncio.sleep(RETRY_SECONDS))
    log.info("told to stop while waiting for brokers")
    return False


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What the work returns; None when it is to stop, which the work then does."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        return working.result()
    working.cancel()
    await asyncio.wait([working])
    return None


@asynccontextmanager
async def _told_to_stop() -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in _SIGNALS:
        loop.add_signal_handler(each, stop.set)
    try:
        yield stop
    finally:
        for each in _SIGNALS:
            loop.remove_signal_handler(each)


@asynccontextmanager
async def _not_ready(settings: Settings) -> AsyncIterator[None]:
    """The worker's pages while it has no brokers: it lives, and everything else is not to be had yet."""
    pages = web.Application()
    pages.router.add_get("/healthz", _answer(200, "ok"))
    pages.router.add_get("/{page:.*}", _answer(503, "waiting for brokers"))
    runner = web.AppRunner(pages, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.web_host, settings.web_port).start()
        yield
    finally:
        await runner.cleanup()


def _answer(status: int, text: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": text}, status=status)

    return answer
