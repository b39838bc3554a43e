"""Rule tests (规则测试): the inline tests of a rule file, run by the same engine that judges payments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from treasury_watch.domain.payment import AMOUNT, FIRST_YEAR, LAST_YEAR, Instruction
from treasury_watch.domain.verdict import Decision, Duplicate, Hit, Refusal
from treasury_watch.engine.assess import Engine
from treasury_watch.engine.program import Program
from treasury_watch.rules.schema import Expectation, RuleFile, RuleSet, RuleTest, Step


@dataclass(frozen=True, slots=True)
class TestFailure:
    """One step that did not come out as expected, and where it stands. `step` counts from 1."""

    file: str
    line: int
    column: int
    test: str
    step: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: test failed: {self.test}, step {self.step}: {self.message}"


def run_tests(ruleset: RuleSet) -> list[TestFailure]:
    """All failures, in the order of the files. Each test runs the rules of its own file from an empty history."""
    return [failure for file in ruleset.files for failure in _run_file(ruleset, file)]


def _run_file(ruleset: RuleSet, file: RuleFile) -> Iterator[TestFailure]:
    if not file.tests:
        return
    program = Program(replace(ruleset, files=(file,)))
    for test in file.tests:
        yield from _run_test(program, file, test)


def _run_test(program: Program, file: RuleFile, test: RuleTest) -> Iterator[TestFailure]:
    engine = Engine(program)
    start = datetime.fromisoformat(test.start)
    for number, step in enumerate(test.steps, 1):
        problem = _run_step(engine, start, file.test_base, step, number)
        if problem is not None:
            span = step.span or test.span
            line, column = (span.line, span.column) if span is not None else (1, 1)
            yield TestFailure(file.path, line, column, test.name, number, problem)


def _run_step(engine: Engine, start: datetime, base: Mapping[str, Any], step: Step, number: int) -> str | None:
    """What is wrong with a step, or None."""
    try:
        instruction = _instruction({**base, **step.pay}, start + timedelta(microseconds=step.at_us), number)
    except (OverflowError, ValueError) as error:
        return f"not a valid instruction: {error}"
    (outcome,) = engine.assess([instruction])
    engine.absorb()
    if isinstance(outcome, Refusal):
        return f"no verdict, refused as {outcome.reason}: {outcome.detail}"
    if isinstance(outcome, Duplicate):
        return f"no verdict, {outcome.instruction_id} is the same instruction as in an earlier step"
    return _difference(outcome, step.expect)


def _instruction(pay: Mapping[str, Any], event_time: datetime, number: int) -> Instruction:
    """An instruction of a test: fields that are `None` are left out, and steps are numbered if they have no id."""
    fields: dict[str, Any] = {"instruction_id": f"step-{number}", "event_time": event_time}
    attributes: dict[str, Any] = {}
    for name, value in pay.items():
        local = name.removeprefix("attributes.")
        if value is not None:
            (fields if local == name else attributes)[local] = value
    if attributes:
        fields["attributes"] = {
            name: float(value) if hasattr(value, "quantize") else value for name, value in attributes.items()
        }
    if "amount" in fields and not AMOUNT.fullmatch(fields["amount"]):
        raise ValueError(f"amount {fields['amount']} is not a decimal with two places")
    if not FIRST_YEAR <= event_time.year <= LAST_YEAR:
        raise ValueError(f"the event time lies in the year {event_time.year}, not in {FIRST_YEAR} to {LAST_YEAR}")
    return msgspec.convert(fields, Instruction)


def _difference(decision: Decision, expected: Expectation) -> str | None:
    live = [hit for hit in decision.hits if hit.mode == "live" and hit.excepted is None]
    found = [hit.rule for hit in live]
    verdict = "pass" if expected.verdict == "record" else expected.verdict
    if decision.verdict != verdict or (expected.verdict == "record" and not live):
        return f"expected {_listed(expected.verdict, expected.rules)}, found {_listed(decision.verdict, found)}"
    if expected.rules is not None and sorted(expected.rules) != sorted(found):
        return f"expected {_listed(expected.verdict, expected.rules)}, found {_listed(decision.verdict, found)}"
    return _reason_difference(live, "zh", expected.reason_zh) or _reason_difference(live, "en", expected.reason_en)


def _reason_difference(hits: list[Hit], language: str, expected: str | None) -> str | None:
    texts = [getattr(hit.reason, language) for hit in hits]
    if expected is None or expected in texts:
        return None
    return f'expected the reason "{expected}", found ' + (", ".join(f'"{text}"' for text in texts) or "no hit")


def _listed(verdict: str, rules: Any) -> str:
    return verdict if rules is None else f"{verdict} [{', '.join(rules)}]"
