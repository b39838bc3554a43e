"""Rule sets on disk: a directory of rule files, with `lists/` and `tables/` beside them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from treasury_watch.rules import Diagnostic, RuleErrors, read
from treasury_watch.rules import check as check_set
from treasury_watch.rules.fixes import Fix, fixed
from treasury_watch.rules.limits import FILE_BYTES, SET_FILES
from treasury_watch.rules.lock import FILE_NAME
from treasury_watch.rules.schema import RuleSet

PATTERNS = ("*.yaml", "*.yml", FILE_NAME, "lists/*.y*ml", "tables/*.y*ml", "tables/*.csv", "calendars/*.y*ml")


class NoRuleFiles(FileNotFoundError):
    """A directory without any file of a rule set."""


def load(directory: Path) -> RuleSet:
    """The rule set of a directory. Raises RuleErrors if its text is wrong, OSError if it cannot be read."""
    files = files_of(directory)
    ruleset, diagnostics = read(files)
    if ruleset is None:
        raise RuleErrors(diagnostics, files)
    return ruleset


def check(directory: Path, as_of: date) -> list[Diagnostic]:
    """Everything that is wrong with the rule set of a directory, or not in good keeping on a day; empty if nothing is.

    Raises OSError if it cannot be read.
    """
    return check_files(files_of(directory), as_of)


def check_files(files: Mapping[str, bytes], as_of: date) -> list[Diagnostic]:
    """The same of files that were read."""
    ruleset, diagnostics = read(files)
    return diagnostics if ruleset is None else check_set(ruleset, files, as_of)


def fix(directory: Path) -> list[Fix]:
    """Puts right what needs no knowledge of the rules, and says what it did. Raises OSError."""
    files = files_of(directory)
    now, done = fixed(files, (directory / FILE_NAME).as_posix())
    for path, data in now.items():
        if data != files.get(path):
            write(Path(path), data)
    return done


def write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all, with the permissions that it had. Raises OSError."""
    target = path.resolve()  # a link stays one
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        if target.exists():
            shutil.copymode(target, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def files_of(directory: Path) -> dict[str, bytes]:
    """Path → content of the files that make up a rule set. Other directories below it are other rule sets, and hidden
    files are those of editors.

    Of a file that is too large, no more is read than shows that. Raises NoRuleFiles if there is none, and OSError, as
    for a link that leads nowhere.
    """
    if not directory.is_dir():
        raise NotADirectoryError(f"{directory} is not a directory")
    found = {path for pattern in PATTERNS for path in directory.glob(pattern) if not path.name.startswith(".")}
    if not found:
        raise NoRuleFiles(f"{directory} has no rule file: one is a .yaml file that starts with `ruleset: name`")
    if len(found) > SET_FILES.most:
        raise OSError(f"{directory} has {len(found):,} rule files: a rule set has at most {SET_FILES.most:,}")
    return {path.as_posix(): _read(path) for path in sorted(found)}


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise OSError(f"{path} is not a file that can be read")  # a directory, a link in circles, a pipe
    with path.open("rb") as file:
        return file.read(FILE_BYTES.most + 1)


def default_rules() -> Path:
    """The rule pack that comes with the product: `rules/` of the checkout, or what the wheel installed."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_rules"
    return installed if installed.is_dir() else package.parents[1] / "rules"
