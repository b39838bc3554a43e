"""Rule sets as they were at a git revision, read from git's objects: no work tree is touched."""

from __future__ import annotations

import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

from treasury_watch.adapters.rulefiles import PATTERNS, files_of
from treasury_watch.rules.limits import FILE_BYTES, SET_FILES

_REGULAR = ("100644", "100755")


class UnknownRevision(Exception):
    """What was named is neither a directory nor a revision with rules in it: one line for the user."""


def files_at(name: str, beside: str) -> dict[str, bytes]:
    """Path → content of a rule set. `name` is a directory; or a git revision, as of the directory `beside` (the other
    one of two; the current directory if that is none); or `REVISION:PATH`, with a path from the top of the repository.

    Of a file that is too large, no more is read than shows that. Raises UnknownRevision, and OSError if a directory
    cannot be read.
    """
    if Path(name).is_dir():
        return files_of(Path(name))
    folder = Path(beside) if Path(beside).is_dir() else Path()
    revision, colon, path = name.partition(":")
    commit = _git(folder, name, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if not colon:
        path = _git(folder, name, "rev-parse", "--show-prefix").decode().strip()
    path = "" if path in (".", "./") else path.rstrip("/")
    tree = f"{commit.decode().strip()}:{path}"
    listed = _git(folder, name, "ls-tree", "-r", "-z", "--full-tree", tree).decode("utf-8", "surrogateescape")
    blobs = {}
    for line in filter(None, listed.split("\0")):
        about, _, file = line.partition("\t")
        mode, _, blob = about.split(" ")
        if any(file.count("/") == each.count("/") and fnmatchcase(file, each) for each in PATTERNS):
            if mode not in _REGULAR:
                raise UnknownRevision(f"{name}: {file} is a link there, and links are not followed in git")
            blobs[f"{revision}:{path}/{file}" if path else f"{revision}:{file}"] = blob
    if not blobs:
        raise UnknownRevision(f"{name}: no rule file there")
    if len(blobs) > SET_FILES.most:
        raise UnknownRevision(f"{name}: {len(blobs):,} rule files: a rule set has at most {SET_FILES.most:,}")
    return {file: _blob(folder, name, blob) for file, blob in blobs.items()}


def _blob(folder: Path, name: str, blob: str) -> bytes:
    """The content of a file, cut off where it is larger than a rule set's may be."""
    with subprocess.Popen(
        ["git", "-C", str(folder), "cat-file", "blob", blob], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as git:
        assert git.stdout is not None
        data = git.stdout.read(FILE_BYTES.most + 1)
        if len(data) > FILE_BYTES.most:
            git.kill()
    if git.returncode and len(data) <= FILE_BYTES.most:
        raise UnknownRevision(f"{name}: git cannot read the file {blob}")
    return data


def _git(folder: Path, name: str, *arguments: str) -> bytes:
    """What git says. Raises UnknownRevision, in words about `name`, if it fails."""
    try:
        ran = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise UnknownRevision(f"{name}: no such directory, and git is not installed") from None
    if ran.returncode == 0:
        return ran.stdout
    told = ran.stderr.decode("utf-8", "replace").strip().splitlines()
    why = told[0].removeprefix("fatal: ") if told else f"{name.partition(':')[0]} is no revision of the repository"
    raise UnknownRevision(f"{name}: no such directory, and no rules of a git revision: {why}")
