"""Prometheus beside the demo, where it is on this machine: one process on a free port, for as long as one looks."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from treasury_watch.adapters.embedded import ended, free_port

PROGRAM: Final = "prometheus"
_START_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 10.0
_CONFIGURATION: Final = """\
global:
  scrape_interval: 2s
scrape_configs:
  - job_name: treasury-watch
    static_configs:
      - targets: ["{target}"]
"""


@contextmanager
def prometheus(target: str, folder: Path) -> Iterator[str | None]:
    """Runs a Prometheus that scrapes a worker's `host:port`, with its files in `folder`; yields its address, or `None`
    where there is none on the machine or it does not start. It has ended when the context has.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        yield None
        return
    folder.mkdir()
    (folder / "prometheus.yml").write_text(_CONFIGURATION.format(target=target), encoding="utf-8")
    port = free_port()
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    try:
        with (folder / "prometheus.log").open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # an interrupt from the terminal is for the caller, which then ends it
            )
    except OSError:
        yield None
        return
    with ended(process, _STOP_SECONDS):
        address = f"http://127.0.0.1:{port}"
        yield address if _is_ready(process, address) else None


def _is_ready(process: subprocess.Popen[bytes], address: str) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(f"{address}/-/ready", timeout=1):
            return True
        time.sleep(0.05)
    return False
