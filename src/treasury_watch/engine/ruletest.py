"""Rule tests (规则测试): the inline tests of a rule file, run by the same engine that judges payments.

A test runs the rules of its file. Drafts and shadow rules that it expects by their ids count as live in it: their
tests are written as those of live rules, and stay as they are when the rule is promoted. What people decide of a
payment applies where its step stands, between two payments, as it does in a worker. No model judges in a test: the
p-value of a payment is what its step says, or missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from treasury_watch.domain.payment import AMOUNT, FIRST_YEAR, LAST_YEAR, Instruction
from treasury_watch.domain.verdict import SEVERITY, Decision, Duplicate, Outcome, Refusal
from treasury_watch.engine.assess import Engine
from treasury_watch.engine.exercise import Exercise
from treasury_watch.engine.explain import Explanation, explain, judged_by
from treasury_watch.engine.program import Program
from treasury_watch.rules.schema import Disposal, Expectation, Rule, RuleFile, RuleSet, RuleTest, Step

_LIKELY = 3  # rules that are explained where a step expects a verdict and says of no rule


@dataclass(frozen=True, slots=True)
class Difference:
    """What was expected of a step and what came, as text: of the verdict with its hits, or of a reason."""

    what: Literal["verdict", "reason_zh", "reason_en"]
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class TestFailure:
    """One step that did not come out as expected, and where it stands. `step` counts from 1.

    `differences` is empty where the step has no verdict. `explanations` are of the rules that were expected and did not
    hit, and of those that hit and were not expected.
    """

    file: str
    line: int
    column: int
    test: str
    step: int
    message: str
    differences: tuple[Difference, ...] = ()
    explanations: tuple[Explanation, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: test failed: {self.test}, step {self.step}: {self.message}"


@dataclass(frozen=True, slots=True)
class TestDone:
    """A test that was run."""

    file: str
    name: str
    failed: bool


@dataclass
class TestRun:
    """What the tests of a rule set came to: the tests, of how many files, and how they exercised the rules."""

    tests: list[TestDone] = field(default_factory=list)
    files: int = 0
    failures: list[TestFailure] = field(default_factory=list)
    exercise: Exercise = field(default_factory=Exercise)


def run_tests(ruleset: RuleSet) -> list[TestFailure]:
    """All failures, in the order of the files. Each test runs the rules of its own file from an empty history."""
    return run(ruleset).failures


def run(ruleset: RuleSet, rule_id: str | None = None) -> TestRun:
    """Runs the tests of all files or, with the id of a rule, those of its file that touch it: that expect it, have its
    id in their name, or make it hit.
    """
    result = TestRun()
    for file in ruleset.files:
        rules = [rule for rule in file.rules if rule_id in (None, rule.id)]
        if not rules:
            continue
        programs: dict[frozenset[str], Program] = {}
        result.files += 1
        all_tried = frozenset[str]().union(*(_tried(file, test) for test in file.tests))
        result.exercise.add(file.path, [rule for rule in rules if rule.mode == "live" or rule.id in all_tried])
        for test in file.tests:
            tried = _tried(file, test)
            if tried not in programs:
                programs[tried] = Program(replace(ruleset, files=(_trying(file, tried),), model=None))
            runner = _Runner(programs[tried], file, test, result.exercise)
            failures = list(runner.failures())
            if rule_id is None or runner.touches(rule_id):
                result.tests.append(TestDone(file.path, test.name, bool(failures)))
                result.failures += failures
    return result


def _tried(file: RuleFile, test: RuleTest) -> frozenset[str]:
    """The drafts and shadow rules that a test expects by their ids."""
    named = {rule_id for step in test.payments for rule_id in step.expect.rules or ()}
    return frozenset(rule.id for rule in file.rules if rule.id in named and rule.mode in ("draft", "shadow"))


def _trying(file: RuleFile, tried: frozenset[str]) -> RuleFile:
    return replace(file, rules=tuple(replace(rule, mode="live") if rule.id in tried else rule for rule in file.rules))


class _Runner:
    """One test on its way through an engine of its own."""

    def __init__(self, program: Program, file: RuleFile, test: RuleTest, exercise: Exercise) -> None:
        self._engine = Engine(program)
        self._file = file
        self._test = test
        self._exercise = exercise
        self._judged = frozenset(rule.id for rule in program.rules)
        self._fired: set[str] = set()
        self._decided: dict[int, tuple[Instruction, Decision]] = {}  # by the number of the step that paid

    def touches(self, rule_id: str) -> bool:
        """Whether the test, which has run, expects the rule, has its id in its name, or made it hit."""
        expected = any(rule_id in (step.expect.rules or ()) for step in self._test.payments)
        return expected or rule_id in self._test.name or rule_id in self._fired

    def failures(self) -> Iterator[TestFailure]:
        start = datetime.fromisoformat(self._test.start)
        for number, step in enumerate(self._test.steps, 1):
            span = step.span or self._test.span
            line, column = (span.line, span.column) if span is not None else (1, 1)
            failure = TestFailure(self._file.path, line, column, self._test.name, number, "")
            if isinstance(step, Disposal):
                message = self._dispose(step, number)
                if message is not None:
                    yield replace(failure, message=message)
                continue
            moment = timedelta(microseconds=step.at_us)
            try:
                instruction = _instruction({**self._file.test_base, **step.pay}, start + moment, number)
            except (OverflowError, ValueError) as error:
                yield replace(failure, message=f"not a valid instruction: {error}")
                continue
            found = self._judge(instruction, step, number)
            if found is not None:
                yield replace(failure, **found)

    def _dispose(self, step: Disposal, number: int) -> str | None:
        """What is wrong with a step that disposes, or None. The engine then has applied it."""
        nothing = f"nothing to {step.dispose}: step {step.of}"
        if step.of not in self._decided:
            return f"{nothing} has no verdict"
        instruction, decision = self._decided[step.of]
        key = self._engine.program.partition_key(instruction)
        applied = self._engine.dispose(key, instruction.instruction_id, f"step-{number}", step.dispose)
        if applied == "applied":
            return None
        if decision.verdict == "pass":
            return f"{nothing} passed, and only what is warned of, intercepted or prohibited opens a case"
        return f"{nothing} is so old that no window asks for it, and its case is forgotten"

    def _judge(self, instruction: Instruction, step: Step, number: int) -> dict[str, Any] | None:
        """What is wrong with a step that pays, or None. The engine then holds it."""
        engine = self._engine
        engine.given_p_value = step.p_value
        truths = self._exercise.truths(self._file.path, judged_by(engine, instruction), self._judged)
        outcome = _assess(engine, instruction)
        if isinstance(outcome, Refusal):
            engine.absorb()
            return {"message": f"no verdict, refused as {outcome.reason}: {outcome.detail}"}
        if isinstance(outcome, Duplicate):
            engine.absorb()
            return {"message": f"no verdict, {outcome.instruction_id} is the same instruction as in an earlier step"}
        self._decided[number] = (instruction, outcome)
        self._exercise.count(truths)
        self._fired |= {hit.rule for hit in outcome.hits}
        differences = _differences(outcome, step.expect)
        if not differences:
            engine.absorb()
            return None
        engine.discard()  # explained as of the moment at which it was judged
        judged = judged_by(engine, instruction)
        suspects = self._suspects(outcome, step.expect) if differences[0].what == "verdict" else []
        explanations = tuple(explain(rule, judged) for rule in suspects)
        _assess(engine, instruction)
        engine.absorb()
        message = "; ".join(_message(each) for each in differences) + self._retired(step.expect)
        return {"message": message, "differences": differences, "explanations": explanations}

    def _suspects(self, decision: Decision, expected: Expectation) -> list[Rule]:
        """The rules that a failure is about."""
        running, found = self._engine.program.rules, set(_live(decision))
        if expected.rules is not None:
            return [rule for rule in running if (rule.id in expected.rules) is not (rule.id in found)]
        if SEVERITY[decision.verdict] >= SEVERITY[expected.verdict] and found:
            return [rule for rule in running if rule.id in found]
        return [rule for rule in running if rule.mode == "live" and rule.action == expected.verdict][:_LIKELY]

    def _retired(self, expected: Expectation) -> str:
        retired = [rule.id for rule in self._file.rules if rule.mode == "retired" and rule.id in (expected.rules or ())]
        return "".join(f"; {rule_id} is retired, so nothing is judged by it" for rule_id in retired)


def _assess(engine: Engine, instruction: Instruction) -> Outcome:
    (outcome,) = engine.assess([instruction])
    return outcome


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


def _live(decision: Decision) -> list[str]:
    return [hit.rule for hit in decision.hits if hit.mode == "live" and hit.excepted is None]


def _differences(decision: Decision, expected: Expectation) -> tuple[Difference, ...]:
    found = _live(decision)
    verdict = "pass" if expected.verdict == "record" else expected.verdict
    wrong = decision.verdict != verdict or (expected.verdict == "record" and not found)
    if wrong or (expected.rules is not None and sorted(expected.rules) != sorted(found)):
        return (Difference("verdict", _listed(expected.verdict, expected.rules), _listed(decision.verdict, found)),)
    reasons = [hit.reason for hit in decision.hits if hit.rule in found]
    texts: tuple[tuple[Literal["reason_zh", "reason_en"], str | None, list[str]], ...] = (
        ("reason_zh", expected.reason_zh, [reason.zh for reason in reasons]),
        ("reason_en", expected.reason_en, [reason.en for reason in reasons]),
    )
    return tuple(
        Difference(what, f'"{wanted}"', ", ".join(f'"{text}"' for text in given) or "no hit")
        for what, wanted, given in texts
        if wanted is not None and wanted not in given
    )


def _message(difference: Difference) -> str:
    what = "" if difference.what == "verdict" else "the reason "
    return f"expected {what}{difference.expected}, found {difference.found}"


def _listed(verdict: str, rules: Any) -> str:
    return verdict if rules is None else f"{verdict} [{', '.join(rules)}]"
