"""Promotion of a rule in a directory of rule files: everything is checked before the first byte is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from treasury_watch.adapters.rulefiles import files_of, write
from treasury_watch.engine.ruletest import run_tests
from treasury_watch.rules import RuleErrors, check, read
from treasury_watch.rules.diagnostics import did_you_mean
from treasury_watch.rules.fixes import fixed
from treasury_watch.rules.lock import FILE_NAME
from treasury_watch.rules.promotion import (
    Measured,
    NotPromoted,
    Target,
    check_target,
    measured,
    promoted,
    record_of,
)
from treasury_watch.rules.schema import Rule, RuleSet

_UNTESTED = ("TW601", "TW602")


@dataclass(frozen=True, slots=True)
class Promotion:
    """What was written, and what the back-test measured. `old_hash`: the hash of the rule set as it was."""

    written: tuple[str, ...]
    measured: Measured | None
    old_hash: str


def promote(directory: Path, rule_id: str, to: Target, backtest: str | None, today: Callable[[str], date]) -> Promotion:
    """Puts a rule into `to`; `backtest` is the text of a back-test's result, `today` the day in a time zone.

    Raises RuleErrors if the rules do not load, NotPromoted if the rule may not go there, OSError.
    """
    files = files_of(directory)
    ruleset = _read(files)
    rule = _rule(ruleset, rule_id)
    check_target(rule, to)
    found = None if backtest is None else measured(backtest, rule)
    record = {} if found is None else record_of(rule, found, today(ruleset.timezone))
    now, _ = fixed(promoted(files, rule, to, record), (directory / FILE_NAME).as_posix())
    after = _read(now)
    if to == "live":
        untested = [each for each in check(after, now, date.min) if each.code in _UNTESTED]
        for each in untested:
            if each.span == _rule(after, rule_id).span:
                raise NotPromoted(f"{each.message}: {each.hint}")
    place = _rule(after, rule_id).span
    failures = [each for each in run_tests(after) if place is not None and each.file == place.file]
    if failures:
        raise NotPromoted("\n".join([*map(str, failures[:5]), f"with `{rule_id}` {to}, tests of its file fail"]))
    written = tuple(path for path, data in now.items() if data != files.get(path))
    for path in written:
        write(Path(path), now[path])
    return Promotion(written, found, ruleset.hash)


def _read(files: dict[str, bytes]) -> RuleSet:
    ruleset, diagnostics = read(files)
    if ruleset is None:
        raise RuleErrors(diagnostics, files)
    return ruleset


def _rule(ruleset: RuleSet, rule_id: str) -> Rule:
    rules = {rule.id: rule for rule in ruleset.rules}
    if rule_id not in rules:
        raise NotPromoted(f"there is no rule `{rule_id}`: {did_you_mean(rule_id, rules, otherwise='see rules/')}")
    return rules[rule_id]
