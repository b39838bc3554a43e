"""Waiting for brokers: a worker without them says so, is not ready, and goes on when they are there (again)."""

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
LOOK_SECONDS: Final = 2.0  # as often as the consumer asks its group's coordinator
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


Ask = Callable[[Settings], Coroutine[Any, Any, BrokerError | None]]  # as `connection.what_keeps_us_away`


class Contact:
    """Whether a running worker is in touch with the brokers. While it is not, it waits and says why, and its libraries,
    which say so a dozen times, do not.
    """

    def __init__(self, settings: Settings, what_keeps_us_away: Ask) -> None:
        self.lost = False
        self._settings = settings
        self._ask = what_keeps_us_away
        self._began = self._said = float("-inf")

    async def look(self, in_touch: bool) -> None:
        """Takes note of whether the consumer is in touch with its group's coordinator; to be told every few seconds."""
        if in_touch == self.lost:
            self.lost = not in_touch
            logging.getLogger("aiokafka").setLevel(logging.CRITICAL if self.lost else logging.WARNING)
            if in_touch:
                log.info("brokers answer again, after %.0f s", monotonic() - self._began)
            self._began, self._said = monotonic(), float("-inf")
        if self.lost and monotonic() - self._said >= SAID_EVERY_SECONDS:
            self._said = monotonic()
            found = await self._ask(self._settings)
            log.warning("waiting for brokers: %s", found or "there is no coordinator of the group")


async def brokers_answer(settings: Settings, what_keeps_us_away: Ask) -> bool:
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
