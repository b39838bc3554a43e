"""Rule sets on disk: a directory of rule files, with `lists/` and `tables/` beside them."""

from __future__ import annotations

from pathlib import Path

from treasury_watch.rules import RuleErrors, read
from treasury_watch.rules.schema import RuleSet

_PATTERNS = ("*.yaml", "*.yml", "rules.lock", "lists/*.y*ml", "tables/*.y*ml", "tables/*.csv")


def load(directory: Path) -> RuleSet:
    """The rule set of a directory. Raises RuleErrors if its text is wrong, OSError if it cannot be read."""
    files = files_of(directory)
    ruleset, diagnostics = read(files)
    if ruleset is None:
        raise RuleErrors(diagnostics, files)
    return ruleset


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
