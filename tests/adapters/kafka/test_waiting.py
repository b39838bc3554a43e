"""Waiting for brokers: until they answer, until it is told to stop, or not at all where waiting does not help."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import urllib.error
import urllib.request

import pytest

from treasury_watch.adapters.embedded import free_port
from treasury_watch.adapters.kafka import waiting
from treasury_watch.adapters.kafka.connection import BrokerError, NoAnswer, what_keeps_us_away
from treasury_watch.adapters.kafka.waiting import Contact, brokers_answer
from treasury_watch.adapters.settings import Settings, load_settings


class Brokers:
    """What keeps us away from them at each time that they are asked, and what the pages said then."""

    def __init__(self, *found: BrokerError | None) -> None:
        self.found = iter(found)
        self.pages: list[tuple[int, int]] = []

    async def __call__(self, settings: Settings) -> BrokerError | None:
        pages = [asyncio.to_thread(status_of, settings, page) for page in ("healthz", "readyz")]
        self.pages.append(tuple(await asyncio.gather(*pages)))  # type: ignore[arg-type]
        return next(self.found)


def status_of(settings: Settings, page: str) -> int:
    """0 when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.web_port}/{page}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "RETRY_SECONDS", 0.01)


@pytest.fixture
def settings() -> Settings:
    return load_settings(bootstrap_servers="127.0.0.1:1", web_port=free_port())


async def test_brokers_that_answer_are_not_waited_for_and_nothing_is_said(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    brokers = Brokers(None)
    assert await brokers_answer(settings, brokers)
    assert (brokers.pages, caplog.messages) == ([(0, 0)], [])


async def test_until_they_answer_it_lives_and_is_not_ready_and_then_the_port_is_free_again(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    brokers = Brokers(NoAnswer("nobody"), NoAnswer("nobody"), None)
    assert await brokers_answer(settings, brokers)
    assert brokers.pages == [(0, 0), (200, 503), (200, 503)]
    assert status_of(settings, "readyz") == 0
    assert caplog.messages == ["waiting for brokers: nobody", "brokers answer, after 0 s"]


async def test_what_keeps_us_away_is_said_again_every_few_seconds(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "SAID_EVERY_SECONDS", 0.0)
    assert await brokers_answer(settings, Brokers(NoAnswer("nobody"), NoAnswer("no route"), None))
    assert caplog.messages == ["waiting for brokers: nobody", "waiting for brokers: no route"]


async def test_a_refusal_is_not_waited_out(settings: Settings) -> None:
    with pytest.raises(BrokerError, match="wrong name or password"):
        await brokers_answer(settings, Brokers(NoAnswer("nobody"), BrokerError("wrong name or password")))


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_waiting_also_while_a_broker_is_being_asked(
    settings: Settings, signal_: signal.Signals
) -> None:
    async def silent(settings: Settings) -> BrokerError | None:
        os.kill(os.getpid(), signal_)
        await asyncio.Event().wait()
        return None

    assert not await brokers_answer(settings, silent)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_brokers_that_go_are_told_of_every_few_seconds_and_so_is_their_return(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    contact = Contact(settings, Brokers(NoAnswer("nobody"), None))
    await contact.look(True)
    assert (contact.lost, caplog.messages) == (False, [])
    await contact.look(False)
    await contact.look(False)  # not again at once
    assert (contact.lost, caplog.messages) == (True, ["waiting for brokers: nobody"])
    assert not logging.getLogger("aiokafka.consumer").isEnabledFor(logging.ERROR)
    monkeypatch.setattr(waiting, "SAID_EVERY_SECONDS", 0.0)
    await contact.look(False)
    await contact.look(True)
    assert not contact.lost
    assert logging.getLogger("aiokafka.consumer").isEnabledFor(logging.ERROR)
    assert caplog.messages[1:] == [
        "waiting for brokers: there is no coordinator of the group",
        "brokers answer again, after 0 s",
    ]


async def test_where_nobody_listens_and_where_no_name_leads_there_is_no_answer() -> None:
    for server in ("127.0.0.1:1", "nobody.invalid:9092"):
        assert isinstance(await what_keeps_us_away(load_settings(bootstrap_servers=server)), NoAnswer)
