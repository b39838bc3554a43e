"""A new rule in a directory of rule files: written only once its test passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from treasury_watch.adapters.rulefiles import NoRuleFiles, files_of, write
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision
from treasury_watch.engine.assess import Engine
from treasury_watch.engine.program import Program
from treasury_watch.engine.ruletest import run_tests
from treasury_watch.rules import RuleErrors, read
from treasury_watch.rules.scaffold import (
    BASE,
    Answers,
    NoScaffold,
    base_line,
    head_lines,
    rule_lines,
    says_when,
    steps_of,
    test_lines,
    with_rule,
)
from treasury_watch.rules.schema import Expectation, Rule, RuleFile, RuleSet

_ZONE, _PARTITION_BY = "Asia/Shanghai", "jurisdiction"  # of the first file of a set
_AT = time(9)


@dataclass(frozen=True, slots=True)
class Draft:
    """Where the rule was written, and how many tests its file has now."""

    path: Path
    line: int
    tests: int


def scaffold(directory: Path, file: str, owner: str | None, answers: Answers, today: Callable[[str], date]) -> Draft:
    """Writes a draft and its test into a file of the directory, which need not be there yet; `owner` answers for a new
    file. `today` is the day in a time zone.

    Raises RuleErrors if the set does not load, NoScaffold if the rule cannot be made, OSError.
    """
    files = _files_of(directory)
    ruleset = _read(files) if files else None
    rules = {rule.id: rule for rule in ruleset.rules} if ruleset else {}
    if answers.id in rules:
        span = rules[answers.id].span
        raise NoScaffold(f"there is a rule `{answers.id}` already" + (f": {span.file}:{span.line}" if span else ""))
    if Path(file).name != file or not file.endswith(".yaml"):
        raise NoScaffold(f"--file {file}: a name such as cash.yaml, of a file in {directory}")
    path = (directory / file).as_posix()
    zone = ruleset.timezone if ruleset else _ZONE
    own = next((each for each in ruleset.files if each.path == path), None) if ruleset else None
    if path in files and own is None:
        raise NoScaffold(f"--file {file}: no rule file")
    since = None if own is not None and says_when(path, files[path]) else today(zone)
    steps = steps_of(answers, {} if own is None or own.test_base or not own.tests else BASE)

    def written(start: str, expected: Sequence[Expectation]) -> dict[str, bytes]:
        rule, test = rule_lines(answers, since), test_lines(answers, start, steps, expected)
        if own is not None:
            return {**files, path: with_rule(path, files[path], rule, test)}
        head = _head(ruleset, Path(file).stem, owner)
        return {**files, path: _new_file([*head, "", "rules:"], rule, test)}

    unknown = [Expectation("pass")] * len(steps)
    first = _own_rule(_read(written(f"{today(zone)}T09:00:00+00:00", unknown)), answers.id)
    day = first.effective_from or today(zone)
    start = datetime.combine(day, _AT, ZoneInfo(zone)).isoformat()
    tried = _read(written(start, unknown))
    expected = [*_expected(tried, path, answers, start, steps)]
    if answers.id not in (expected[1].rules or ()) or answers.id in (expected[0].rules or ()):
        raise NoScaffold("no payment could be made that just hits the rule and one that just does not")
    now = written(start, expected)
    done = _read(now)
    failures = [each for each in run_tests(done) if each.file == path]
    if failures:
        raise NoScaffold(f"the tests of {path} fail: {failures[0]}")
    directory.mkdir(parents=True, exist_ok=True)
    write(Path(path), now[path])
    span = _own_rule(done, answers.id).span
    tests = next(len(each.tests) for each in done.files if each.path == path)
    return Draft(Path(path), span.line if span else 1, tests)


def is_begun(directory: Path) -> bool:
    """Whether there are files of a rule set: their owner then answers for a new one as well. Raises OSError."""
    return bool(_files_of(directory))


def _files_of(directory: Path) -> dict[str, bytes]:
    try:
        return files_of(directory) if directory.exists() else {}
    except NoRuleFiles:
        return {}


def _read(files: Mapping[str, bytes]) -> RuleSet:
    ruleset, diagnostics = read(files)
    if ruleset is None:
        raise RuleErrors(diagnostics, files)
    return ruleset


def _own_rule(ruleset: RuleSet, rule_id: str) -> Rule:
    return next(rule for rule in ruleset.rules if rule.id == rule_id)


def _head(ruleset: RuleSet | None, stem: str, owner: str | None) -> list[str]:
    if owner is None:
        if ruleset is None:
            raise NoScaffold("--owner: who answers for the rules of a new file")
        owner = ruleset.files[0].owner
    zone, partition_by = (ruleset.timezone, ruleset.partition_by) if ruleset else (_ZONE, _PARTITION_BY)
    return head_lines(stem, owner, zone, partition_by)


def _new_file(head: Sequence[str], rule: Sequence[str], test: Sequence[str]) -> bytes:
    items = [f"- {rule[0]}", *(f"  {each}" for each in rule[1:])]
    tests = [f"- {test[0]}", *(f"  {each}" for each in test[1:])]
    return "".join(f"{line}\n" for line in [*head, *items, "", base_line(), "", "tests:", *tests]).encode()


def _expected(
    ruleset: RuleSet, path: str, answers: Answers, start: str, steps: Sequence[Mapping[str, Any]]
) -> Iterator[Expectation]:
    """The verdicts of the steps with the draft live, and the ids of all live hits."""
    file = next(each for each in ruleset.files if each.path == path)
    engine = Engine(Program(replace(ruleset, files=(_with_live(file, answers.id),))))
    for number, step in enumerate(steps):
        pay = {**file.test_base, **{key: _sent(value) for key, value in step.items()}}
        moment = datetime.fromisoformat(start) + timedelta(days=number)
        (outcome,) = engine.assess([_instruction(pay, number, moment)])
        engine.absorb()
        if not isinstance(outcome, Decision):
            raise NoScaffold(f"a payment with {answers.field} {step[answers.field]} is refused")
        ids = tuple(hit.rule for hit in outcome.hits if hit.mode == "live" and hit.excepted is None)
        recorded = outcome.verdict == "pass" and bool(ids)
        yield Expectation("record" if recorded else outcome.verdict, ids or None)


def _with_live(file: RuleFile, rule_id: str) -> RuleFile:
    rules = tuple(replace(rule, mode="live") if rule.id == rule_id else rule for rule in file.rules)
    return replace(file, rules=rules)


def _sent(value: Any) -> Any:
    """A value as a message carries it: amounts as text."""
    return f"{value:f}" if hasattr(value, "quantize") else value


def _instruction(pay: Mapping[str, Any], number: int, moment: datetime) -> Instruction:
    fields: dict[str, Any] = {"instruction_id": f"step-{number + 1}", "event_time": moment}
    attributes: dict[str, Any] = {}
    for name, value in pay.items():
        local = name.removeprefix("attributes.")
        if value is not None:
            (fields if local == name else attributes)[local] = value
    try:
        return msgspec.convert(fields | ({"attributes": attributes} if attributes else {}), Instruction)
    except msgspec.ValidationError as error:
        raise NoScaffold(f"no payment can be made of it: {error}") from error
