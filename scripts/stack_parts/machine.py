"""What this machine has: programs and the packages that bring them, ports, accounts, command lines."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
_POSTGRESQL: Final = Path("/usr/lib/postgresql")  # where Debian puts versions, off the path
_NEEDED: Final = (  # a program under one of its names, and the Debian package that brings it
    (("java",), "default-jre-headless"),
    (("mvn",), "maven"),
    (("postgres",), "postgresql"),
    (("prometheus",), "prometheus"),
    (("prometheus-alertmanager", "alertmanager"), "prometheus-alertmanager"),
    (("prometheus-node-exporter", "node_exporter"), "prometheus-node-exporter"),
)


class Failed(Exception):
    """A sentence for the person at the terminal, and the exit status."""

    def __init__(self, sentence: str, status: int = 1) -> None:
        super().__init__(sentence)
        self.status = status


def require_programs() -> None:
    """Raises Failed with status 2 that names all that is missing and how it comes here."""
    if Path(sys.prefix) != ROOT / ".venv":
        raise Failed("the project is not installed; run: make bootstrap", 2)
    missing = {names[0]: package for names, package in _NEEDED if _found(names) is None}
    if missing:
        packages = " ".join(missing.values())
        raise Failed(
            f"missing on this machine: {', '.join(missing)}; on Debian: "
            f"apt-get install --no-install-recommends {packages}",
            2,
        )


def program(*names: str) -> str:
    """The path of a program under the first of its names that is there. Raises Failed with status 2."""
    path = _found(names)
    if path is None:
        raise Failed(f"there is no {names[0]} on this machine", 2)
    return path


def _found(names: Sequence[str]) -> str | None:
    folders = sorted(_POSTGRESQL.glob("*/bin"), key=lambda each: float(each.parent.name), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, folders)])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def postgresql_account() -> str | None:
    """As whom PostgreSQL runs where we are root, which it refuses; None is ourselves. Raises Failed with status 2."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise Failed("PostgreSQL refuses to run as root, and there is no account `postgres` or `nobody` for it", 2)


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(but: Collection[int]) -> int:
    """A free port that no outgoing connection is ever given, so that it is still free when its owner comes back."""
    below = 32_768
    with contextlib.suppress(OSError, ValueError, IndexError):
        below = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = range(10_000, max(below, 20_000))
    return next(port for port in random.sample(candidates, len(candidates)) if port not in but and is_free(port))


def command_line(pid: int) -> str:
    """The command line of a living process, or nothing."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").rstrip()
        except OSError:
            return ""
    ps = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
    return ps.stdout.rstrip()
