"""Runs the Faust worker in this process until it is told to stop, or stops by itself because something failed."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any, cast

import faust

from treasury_watch.adapters.approvals import ApprovalError, Approvals, approvals_of
from treasury_watch.adapters.bundles import BundleError
from treasury_watch.adapters.history import HistoryError
from treasury_watch.adapters.kafka.app import App, create_app
from treasury_watch.adapters.kafka.collector import collect_the_young_only
from treasury_watch.adapters.kafka.connection import NoAnswer, what_keeps_us_away
from treasury_watch.adapters.kafka.control.beginning import begin
from treasury_watch.adapters.kafka.control.inputs import ControlInputs
from treasury_watch.adapters.kafka.ending import end_at_last
from treasury_watch.adapters.kafka.publish import payments_producer
from treasury_watch.adapters.kafka.topics import advice, check_topics
from treasury_watch.adapters.kafka.waiting import RETRY_SECONDS, brokers_answer
from treasury_watch.adapters.logs import configure_logs
from treasury_watch.adapters.secretfiles import SecretFileError
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.verdictsigning import signing_key

log = logging.getLogger(__name__)


class WorkerError(Exception):
    """A worker that cannot start: one line per reason."""


def run_worker(settings: Settings) -> int:
    """Judges payments until SIGTERM or SIGINT; returns the process's exit status, 0 after a clean stop.

    Raises WorkerError, BrokerError or RuleErrors when it cannot start.
    """
    configure_logs(settings.log_format)
    approvals = _approvals(settings)
    _read_signing_key(settings)
    _make_data_dir(settings)
    settings = settings.model_copy(update={"web_port": _free_port(settings)})
    try:
        inputs = asyncio.run(_inputs(settings, approvals))
        if inputs is None:
            return 0
        app = create_app(settings, inputs)
    except OSError as error:
        raise WorkerError(f"TREASURY_WATCH_RULES_DIR: {error}") from error
    except (BundleError, HistoryError) as error:
        raise WorkerError(str(error)) from error
    rules = app.steering.ruleset.hash
    log.info("rules %s, group %s, http://%s:%d", rules, settings.group, settings.web_host, settings.web_port)
    if settings.status_page:
        log.warning("TREASURY_WATCH_STATUS_PAGE is true: who reaches the web port can read held payments on /status")
    if not settings.idempotence:
        log.warning("TREASURY_WATCH_IDEMPOTENCE is false: nothing shuts out a worker that was replaced and comes back")
    collect_the_young_only()
    return _run(app)


async def _inputs(settings: Settings, approvals: Approvals) -> ControlInputs | None:
    """What there is to judge by, once brokers are there; None when it was told to stop before they were.

    What would keep the worker from working is found before Faust does, which would say so with a stack trace. Brokers
    that are gone again meanwhile are waited for as before.
    """
    while await brokers_answer(settings, what_keeps_us_away):
        try:
            await _check_brokers(settings)
            return await begin(settings, approvals)
        except NoAnswer as error:
            log.warning("waiting for brokers: %s", error)
            await asyncio.sleep(RETRY_SECONDS)
    return None


async def _check_brokers(settings: Settings) -> None:
    if findings := await check_topics(settings, "worker"):
        raise WorkerError("\n".join([*map(str, findings), advice(findings)]))
    async with payments_producer(settings):
        pass


def _approvals(settings: Settings) -> Approvals:
    try:
        return approvals_of(settings)
    except ApprovalError as error:
        raise WorkerError(str(error)) from error


def _read_signing_key(settings: Settings) -> None:
    """Has a key that cannot be used found out now and not with the first verdict."""
    try:
        key = signing_key(settings.signing_key_file)
    except SecretFileError as error:
        raise WorkerError(f"TREASURY_WATCH_SIGNING_KEY_FILE: {error}") from error
    if key:
        log.info("verdicts are signed with key %s", key.id)


def _run(app: App) -> int:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = Worker(app, loop=loop, override_logging=False, quiet=True)
    try:
        worker.execute_from_commandline()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1


class Worker(faust.Worker):
    """Faust's worker without its banner, spinner and process title. Told to stop it ends, also when Faust or brokers
    hang: while threads start, a stop may go unheard.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.spinner = None

    def _schedule_shutdown(self, signal: Any) -> None:
        end_at_last(0)
        cast(App, self.app).told_to_stop = True
        super()._schedule_shutdown(signal)

    def _setproctitle(self, info: str, **kwargs: Any) -> None:
        pass


def _make_data_dir(settings: Settings) -> None:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkerError(f"TREASURY_WATCH_DATA_DIR: {settings.data_dir}: {error.strerror}") from error


def _free_port(settings: Settings) -> int:
    """The web port, found to be free. Raises WorkerError when it is not: Faust would say so with a stack trace."""
    try:
        with socket.create_server((settings.web_host, settings.web_port)) as server:
            return int(server.getsockname()[1])
    except OSError as error:
        raise WorkerError(
            f"TREASURY_WATCH_WEB_PORT: cannot listen on {settings.web_host}:{settings.web_port}: {error.strerror}; "
            "set another port, or 0 for any free one"
        ) from error
