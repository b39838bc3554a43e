"""Files that hold one secret, a key or a password: who may read them is looked at, and what they hold is never told."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

_TOO_OPEN: Final = stat.S_IWGRP | stat.S_IRWXO  # a group may read: that is how containers are given their secrets
_MOST_BYTES: Final = 65_536


class SecretFileError(Exception):
    """A file that is to hold a key or a password does not, or too many may read it: one line with the file and why."""


def read_secret(path: Path) -> bytes:
    """The content of a file that only its owner, and perhaps a group, may read.

    Raises SecretFileError, which shows nothing of the content.
    """
    return _read(path, private=True)


def read_password(path: Path) -> str:
    """The one line of a file that only its owner, and perhaps a group, may read. Raises SecretFileError."""
    try:
        lines = read_secret(path).decode().splitlines()
    except UnicodeDecodeError:
        raise SecretFileError(f"{path}: found bytes that are not UTF-8, expected one line with a password") from None
    if len(lines) != 1 or not lines[0]:
        found = f"{len(lines)} lines" if lines[1:] else "no password"
        raise SecretFileError(f"{path}: found {found}, expected one line with a password")
    return lines[0]


def read_file(path: Path) -> bytes:
    """The content of a file of the same size that everyone may read, such as a public key. Raises SecretFileError."""
    return _read(path, private=False)


def _read(path: Path, *, private: bool) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SecretFileError(f"{path}: {error.strerror}") from None
    if private and os.name == "posix" and status.st_mode & _TOO_OPEN:
        mode = stat.S_IMODE(status.st_mode)
        raise SecretFileError(
            f"{path}: everyone may use it, or a group may write it (mode {mode:04o}); expected at most 0640, try: "
            f"chmod 600 {path}"
        )
    if len(content) > _MOST_BYTES:
        raise SecretFileError(f"{path}: found more than {_MOST_BYTES:,} bytes, expected a key or a password")
    return content
