"""The sink is killed and PostgreSQL falls over, again and again at random moments: nothing is lost, nothing doubled."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.integration import sink_stream
from treasury_watch.adapters.cases.migrating import migrate
from treasury_watch.adapters.cases.rows import COLUMNS
from treasury_watch.adapters.postgresql import NotInstalled, Server, postgresql
from treasury_watch.adapters.settings import load_settings

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

MOST_KILLS = 12
MOST_SECONDS = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that keeps what it has confirmed, whatever happens to it."""
    try:
        with postgresql() as running:
            yield running
    except NotInstalled as why:
        pytest.skip(str(why))


def database(server: Server) -> str:
    url = server.url(server.database())
    migrate(load_settings(database_url=url))
    return url


def content(url: str) -> dict[str, list[Any]]:
    """Every row of every table, and up to where each partition is written."""
    with psycopg.connect(url) as connection:
        found = {
            table: connection.execute(f"SELECT * FROM cases.{table} ORDER BY 1, 2, 3".encode()).fetchall()
            for table in COLUMNS
        }
        progress = b"SELECT source_topic, source_partition, next_offset FROM cases.progress ORDER BY 1, 2"
        return {**found, "progress": connection.execute(progress).fetchall()}


def decisions(url: str) -> int:
    with psycopg.connect(url) as connection:
        [count] = connection.execute("SELECT count(*) FROM cases.decision").fetchone() or [0]
        return int(count)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_killed_at_random_moments_it_writes_what_it_would_have_written_undisturbed(server: Server) -> None:
    undisturbed, disturbed = database(server), database(server)
    began = time.monotonic()
    sink_stream.run(undisturbed)
    whole = time.monotonic() - began
    expected = content(undisturbed)
    positions = {
        (record.topic, record.partition, record.offset) for each in sink_stream.stream().values() for record in each
    }
    written = [row[:3] for table in COLUMNS for row in expected[table]]
    assert len(written) == len(positions)
    assert set(written) == positions

    chance = random.Random()
    processes = multiprocessing.get_context("forkserver")  # warm, so that it is killed at work and not while it starts
    processes.set_forkserver_preload([sink_stream.__name__])
    killed = fell = 0
    while True:
        before = decisions(disturbed)
        sink = processes.Process(target=sink_stream.run, args=(disturbed,))
        sink.start()
        if killed == MOST_KILLS:
            sink.join(MOST_SECONDS)
            break
        until(lambda: sink.exitcode is not None or decisions(disturbed) > before)  # noqa: B023
        if killed % 3 == 1:
            server.stop(signal.SIGQUIT)
            fell += 1
            sink.join(chance.uniform(0, 1))
            server.start()
        sink.join(chance.uniform(0, whole / 10))  # so that it is killed several times, however fast the machine is
        if sink.exitcode is not None:
            break  # it was quicker than we are
        sink.kill()
        sink.join()
        killed += 1
    assert sink.exitcode == 0
    assert killed >= 4, "hardly ever killed while it wrote: the trial shows nothing"
    assert fell >= 1

    sink_stream.run(disturbed)  # all of it once more
    assert content(disturbed) == expected
