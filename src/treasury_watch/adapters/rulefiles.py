"""Rule sets on disk: a directory of rule files, with `lists/` and `tables/` beside them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from treasury_watch.rules import Diagnostic, RuleErrors, lock_text, read
from treasury_watch.rules import check as check_set
from treasury_watch.rules.lock import FILE_NAME
from treasury_watch.rules.schema import RuleSet

_PATTERNS = ("*.yaml", "*.yml", FILE_NAME, "lists/*.y*ml", "tables/*.y*ml", "tables/*.csv", "calendars/*.y*ml")


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
    files = files_of(directory)
    ruleset, diagnostics = read(files)
    return diagnostics if ruleset is None else check_set(ruleset, files, as_of)


def write_lock(directory: Path) -> Path:
    """Writes rules.lock as the rules are now, and returns its path.

    Raises RuleErrors, and writes nothing, if the rules do not load, or the logic of one changed under its old revision.
    """
    ruleset, files = load(directory), files_of(directory)
    changed = [each for each in check_set(ruleset, files, date.min) if each.code == "TW604"]
    if changed:
        raise RuleErrors(changed, files)
    path = directory / FILE_NAME
    path.write_text(lock_text(ruleset), encoding="utf-8", newline="\n")
    return path


def files_of(directory: Path) -> dict[str, bytes]:
    """Path → content of the files that make up a rule set. Other directories below it are other rule sets."""
    if not directory.is_dir():
        raise NotADirectoryError(f"{directory} is not a directory")
    found = sorted({path for pattern in _PATTERNS for path in directory.glob(pattern) if path.is_file()})
    return {path.as_posix(): path.read_bytes() for path in found}


def default_rules() -> Path:
    """The rule pack that comes with the product: `rules/` of the checkout, or what the wheel installed."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_rules"
    return installed if installed.is_dir() else package.parents[1] / "rules"
