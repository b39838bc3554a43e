"""The worker process, where it needs no broker."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from treasury_watch.adapters.approvals import Approvals
from treasury_watch.adapters.kafka import ending, worker
from treasury_watch.adapters.kafka.app import App
from treasury_watch.adapters.kafka.connection import BrokerError, NoAnswer
from treasury_watch.adapters.kafka.control.inputs import ControlInputs
from treasury_watch.adapters.kafka.fencing import Fenced
from treasury_watch.adapters.kafka.publisher import PublishError
from treasury_watch.adapters.settings import load_settings

HANGING = """
import asyncio, logging, signal, sys, time
from treasury_watch.adapters.kafka import app, ending, worker

logging.basicConfig(level=logging.INFO)
ending.STOP_SECONDS = 0.2
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
hanging = app.App("hanging", store="memory://")
if sys.argv[1] == "told":
    told = worker.Worker(hanging, loop=loop, override_logging=False, quiet=True)
    told._schedule_shutdown(signal.SIGTERM)
else:
    hanging.stop_loudly(OSError("no more"))
time.sleep(30)  # the loop hangs
raise SystemExit(3)
"""


@pytest.mark.parametrize(("why", "status"), [("told", 0), ("failed", 1)])
def test_stopping_it_ends_with_a_warning_although_everything_hangs(why: str, status: int) -> None:
    done = subprocess.run([sys.executable, "-c", HANGING, why], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    assert "stopping, and not stopped after 0 s: ends as it is" in done.stderr


class Crashing(App):
    """An app that remembers for what it crashed."""

    def __init__(self) -> None:
        super().__init__("crashing", store="memory://")
        self.reasons: list[BaseException] = []

    async def crash(self, reason: BaseException) -> None:
        self.reasons.append(reason)


@pytest.mark.parametrize("told_to_stop", [False, True])
@pytest.mark.parametrize("error", [Fenced(2), PublishError("closed"), BrokerError("no right")])
async def test_only_one_that_is_stopping_anyway_may_be_kept_from_publishing_without_a_failure(
    told_to_stop: bool, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "STOP_SECONDS", 3600.0)
    app = Crashing()
    app.told_to_stop = told_to_stop
    app.stop_loudly(error)
    await asyncio.sleep(0)
    assert app.reasons == ([] if told_to_stop and not isinstance(error, BrokerError) else [error])


async def answers(*_: Any) -> bool:
    return True


async def test_brokers_that_are_gone_again_while_it_starts_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gone = [NoAnswer("no broker answers at b1:9092"), NoAnswer("b1:9092: no answer in time")]
    settings, approvals = load_settings(), Approvals()
    inputs = ControlInputs(settings, approvals)
    places: list[str] = []

    def place(name: str, result: Any) -> Callable[..., Awaitable[Any]]:
        async def come_to(*_: Any) -> Any:
            places.append(name)
            if gone and (name == "begin" or len(gone) == 2):
                raise gone.pop(0)
            return result

        return come_to

    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(worker, "brokers_answer", answers)
    monkeypatch.setattr(worker, "_check_brokers", place("check", None))
    monkeypatch.setattr(worker, "begin", place("begin", inputs))
    with caplog.at_level("WARNING"):
        assert await worker._inputs(settings, approvals) is inputs
    assert places == ["check", "check", "begin", "check", "begin"]
    assert [each.getMessage() for each in caplog.records] == [
        "waiting for brokers: no broker answers at b1:9092",
        "waiting for brokers: b1:9092: no answer in time",
    ]


async def test_what_time_does_not_mend_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> None:
        raise BrokerError("login worker has no right to do this with the topic (t)")

    monkeypatch.setattr(worker, "brokers_answer", answers)
    monkeypatch.setattr(worker, "_check_brokers", refuse)
    with pytest.raises(BrokerError, match="no right"):
        await worker._inputs(load_settings(), Approvals())
