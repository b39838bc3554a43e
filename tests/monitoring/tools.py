"""Prometheus and Alertmanager as they are on this machine; where they are missing, their tests are skipped."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "prometheus"
INSTALL = "apt-get install --no-install-recommends prometheus prometheus-alertmanager"
TOOLS = ("promtool", "amtool", "prometheus", "prometheus-alertmanager")


def found(tool: str) -> str:
    """Its path; skips the test where it is not there."""
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not here; Debian: {INSTALL}")
    return path


def run(tool: str, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Runs it to its end, both outputs in `stdout`."""
    return subprocess.run(
        [found(tool), *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800
    )
