"""Passwords in files, made once: the logins of PostgreSQL, each also as an address of the database, and Grafana's."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

DATABASE: Final = "treasury"
OWNER: Final = "treasury"
_LOGINS: Final = {"owner": OWNER, "sink": "sink", "grafana": "grafana"}  # file → login
_OTHERS: Final = ("grafana-admin",)
CONTAINERS: Final = 10001  # the group of the containers


def make(folder: Path, server: str, *, group: int | None = None) -> None:
    """Writes the files that are missing: passwords of 32 random bytes, and addresses of the database on `server`.

    `server` is `host:port`. Files are their owner's alone (0600); with a `group` it may read them, too (0640).
    Addresses are written anew where the server is another one; passwords that are there stay.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in (*_LOGINS, *_OTHERS):
        if not (folder / f"{name}.txt").exists():
            _write(folder / f"{name}.txt", secrets.token_urlsafe(32), group)
    for name, login in _LOGINS.items():
        url = f"postgresql://{login}:{read(folder, name)}@{server}/{DATABASE}"
        file = folder / f"{name}-url.txt"
        if not file.exists() or file.read_text() != url:
            _write(file, url, group)


def read(folder: Path, name: str) -> str:
    """A password that was made."""
    return (folder / f"{name}.txt").read_text()


def _write(file: Path, content: str, group: int | None) -> None:
    """At once or not at all, and at no moment for more eyes than it is meant for."""
    partial = file.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(content)
    if group is not None:
        os.chown(partial, -1, group)
        partial.chmod(0o640)
    partial.rename(file)
