"""Watching (监视): which files of a rule set have changed since they were last looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from treasury_watch.adapters.rulefiles import PATTERNS

Looks = dict[str, tuple[int, int]]  # path → modification time (nanoseconds) and size


def changes(directory: Path, wait: Callable[[], object]) -> Iterator[list[str]]:
    """The files that were changed, added or removed, each time that some were; for ever. `wait` is called before each
    look, and may raise to end it. What changes after the call is seen, whenever the first of them is asked for.
    """
    return _changes(directory, wait, looks(directory))


def _changes(directory: Path, wait: Callable[[], object], before: Looks) -> Iterator[list[str]]:
    while True:
        wait()
        now = looks(directory)
        changed = sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
        before = now
        if changed:
            yield changed


def looks(directory: Path) -> Looks:
    """How the files of a rule set look from outside. A directory that is not there has none."""
    found: Looks = {}
    for path in (path for pattern in PATTERNS for path in directory.glob(pattern)):
        try:
            status = path.stat()
        except FileNotFoundError:  # between the listing and the look
            continue
        found[path.as_posix()] = (status.st_mtime_ns, status.st_size)
    return found
