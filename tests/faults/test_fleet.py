"""The workers of a trial: what it means that one ended, when somebody waits for its end and another kills it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scripts.fault_trials.fleet import Stuck, Worker

WAITS = "import signal, sys, time; signal.signal(signal.SIGTERM, {}); print('up', flush=True); time.sleep(60)"
HANGS = WAITS.format("signal.SIG_IGN")
FAILS = WAITS.format("lambda *_: sys.exit(3)")
SECONDS = 30.0


async def worker(folder: Path, program: str) -> Worker:
    """A process that is up and does that when it gets SIGTERM."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    log = folder / "worker-0.log"
    log.write_text("up\n")
    return Worker(0, process, 0, log)


@pytest.fixture
async def hanging(tmp_path: Path) -> AsyncIterator[Worker]:
    one = await worker(tmp_path, HANGS)
    yield one
    one.kill()
    await one.process.wait()


async def test_one_that_a_disturbance_kills_while_another_waits_for_its_end_has_ended_as_it_should(
    hanging: Worker,
) -> None:
    ending = asyncio.create_task(hanging.terminate(SECONDS))
    await asyncio.sleep(0)
    assert hanging.ended
    hanging.kill()
    await ending
    assert hanging.process.returncode == -signal.SIGKILL


async def test_one_that_nobody_of_the_trial_killed_has_not(hanging: Worker) -> None:
    ending = asyncio.create_task(hanging.terminate(SECONDS))
    await asyncio.sleep(0)
    os.kill(hanging.process.pid, signal.SIGKILL)
    with pytest.raises(Stuck, match="worker 0 ended with status -9 after SIGTERM: up"):
        await ending


async def test_one_that_ends_with_an_error_has_not(tmp_path: Path) -> None:
    with pytest.raises(Stuck, match="worker 0 ended with status 3 after SIGTERM: up"):
        await (await worker(tmp_path, FAILS)).terminate(SECONDS)


async def test_one_that_does_not_end_is_told(hanging: Worker) -> None:
    with pytest.raises(Stuck, match="did not end within 0 s of SIGTERM"):
        await hanging.terminate(0.1)
