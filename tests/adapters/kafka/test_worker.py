"""The worker process, where it needs no broker."""

from __future__ import annotations

import subprocess
import sys

HANGING = """
import asyncio, logging, signal, time
import faust
from treasury_watch.adapters.kafka import worker

logging.basicConfig(level=logging.INFO)
worker.STOP_SECONDS = 0.2
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
told = worker.Worker(faust.App("hanging", store="memory://"), loop=loop, override_logging=False, quiet=True)
told._schedule_shutdown(signal.SIGTERM)
time.sleep(30)  # the loop hangs
raise SystemExit(3)
"""


def test_told_to_stop_it_ends_with_a_warning_although_everything_hangs() -> None:
    done = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "told to stop, and not stopped after 0 s: ends as it is" in done.stderr
