"""Runs a sink in this process until it is told to stop: its log, its pages, its signals."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from treasury_watch.adapters.acls import sink_group
from treasury_watch.adapters.cases.database import parameters
from treasury_watch.adapters.cases.metrics import Metrics
from treasury_watch.adapters.cases.rows import Reading
from treasury_watch.adapters.cases.sink import Sink
from treasury_watch.adapters.cases.source import kafka_source
from treasury_watch.adapters.cases.store import Store
from treasury_watch.adapters.kafka.connection import what_keeps_us_away
from treasury_watch.adapters.kafka.waiting import brokers_answer
from treasury_watch.adapters.logs import configure_logs
from treasury_watch.adapters.settings import PREFIX, Settings

log = logging.getLogger(__name__)

WEB_PORT: Final = 6067  # unless another one is set: a worker on the same machine has 6066
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class SinkError(Exception):
    """A sink that cannot start: one line that says why."""


async def run_sink(settings: Settings) -> None:
    """Writes until SIGTERM or SIGINT, after which the batch in hand is written.

    Raises DatabaseError, BrokerError or SinkError when it cannot start, and SourceLost.
    """
    configure_logs(settings.log_format)
    if "web_port" not in settings.model_fields_set:
        settings = settings.model_copy(update={"web_port": WEB_PORT})
    given = parameters(settings)
    if not await brokers_answer(settings, what_keeps_us_away):
        return
    reading, metrics = Reading(settings), Metrics()
    store = Store(given, reading)
    try:
        async with kafka_source(settings, reading.topics) as source:
            sink = Sink(source, store, metrics)
            metrics.watch_ready(lambda: sink.lacks is None)
            async with _pages(settings, sink, metrics), _told_to_stop(sink):
                log.info(
                    "sink of %s*, group %s, http://%s:%d",
                    *(settings.topic_prefix, sink_group(settings.group), settings.web_host, settings.web_port),
                )
                await sink.run()
    finally:
        await store.close()
    log.info("stopped")


@asynccontextmanager
async def _told_to_stop(sink: Sink) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    for each in _SIGNALS:
        loop.add_signal_handler(each, sink.stop)
    try:
        yield
    finally:
        for each in _SIGNALS:
            loop.remove_signal_handler(each)


@asynccontextmanager
async def _pages(settings: Settings, sink: Sink, metrics: Metrics) -> AsyncIterator[None]:
    async def healthz(request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok"})

    async def readyz(request: web.Request) -> web.StreamResponse:
        lacks = sink.lacks
        if lacks is None:
            return web.json_response({"status": "ready"})
        return web.json_response({"status": f"waiting for {lacks}"}, status=503)

    async def exposition(request: web.Request) -> web.StreamResponse:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    pages = web.Application()
    pages.router.add_get("/healthz", healthz)
    pages.router.add_get("/readyz", readyz)
    pages.router.add_get("/metrics", exposition)
    runner = web.AppRunner(pages, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.web_host, settings.web_port).start()
        except OSError as error:
            raise SinkError(
                f"{PREFIX}WEB_PORT: cannot listen on {settings.web_host}:{settings.web_port}: {error.strerror}; "
                "set another port"
            ) from error
        yield
    finally:
        await runner.cleanup()
