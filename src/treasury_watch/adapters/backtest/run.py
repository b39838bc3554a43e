"""The back-test (回测): a file of past payments judged by a rule set, or by two of them side by side.

Drafts are judged as shadow rules are: their hits are counted, and have no effect on a verdict or on a window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice

from treasury_watch.adapters.backtest.changes import Changes
from treasury_watch.adapters.backtest.labels import Labels, Scores
from treasury_watch.adapters.backtest.tally import Tally
from treasury_watch.adapters.jsonl import Line
from treasury_watch.adapters.replay import DEFAULT_BATCH, Refused
from treasury_watch.adapters.shadow import shadow_of
from treasury_watch.adapters.wire import decode_batch
from treasury_watch.domain.payment import Instruction, microseconds
from treasury_watch.domain.verdict import Decision, Outcome, Refusal
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.failsafe import raise_failure
from treasury_watch.engine.program import DEFAULT_MAX_LATENESS
from treasury_watch.rules.schema import Rule, RuleSet


class Side:
    """A rule set at work on the file: its engine, what is counted of its decisions, and its shadow detector."""

    def __init__(self, name: str, ruleset: RuleSet, max_lateness: timedelta, labels: Labels | None) -> None:
        self.name = name
        self.ruleset = ruleset
        program = Program(_trying_drafts(ruleset), max_lateness)
        judged = {rule.id for rule in program.rules}
        self.judged: tuple[Rule, ...] = tuple(rule for rule in ruleset.rules if rule.id in judged)
        self.modes = {rule.id: rule.mode for rule in self.judged}
        self.zone = program.days.zone
        self.engine = Engine(program)
        self.engine.on_failure = raise_failure
        self.shadow = shadow_of(program.model)
        if self.shadow is not None:
            self.engine.on_scored = self.shadow.see
        self.tally = Tally(program)
        self.scores = None if labels is None else Scores(labels)
        self.duplicates = 0
        self.refused: Counter[str] = Counter()

    def refuse(self, refusal: Refusal) -> None:
        self.refused[refusal.reason] += 1

    def count(self, line: int, instruction: Instruction, outcome: Outcome) -> None:
        if isinstance(outcome, Decision):
            self.tally.count(line, instruction, outcome)
            if self.scores is not None:
                self.scores.count(outcome)
        elif isinstance(outcome, Refusal):
            self.refuse(outcome)
        else:
            self.duplicates += 1


@dataclass
class BackTest:
    """What came of the file: `lines` are the decisions, duplicates and refusals of either side."""

    new: Side
    old: Side | None
    lines: int = 0
    changes: Changes = field(default_factory=Changes)


def _trying_drafts(ruleset: RuleSet) -> RuleSet:
    files = (
        replace(
            file,
            rules=tuple(replace(rule, mode="shadow") if rule.mode == "draft" else rule for rule in file.rules),
        )
        for file in ruleset.files
    )
    return replace(ruleset, files=tuple(files))


def back_test(
    lines: Iterable[Line],
    ruleset: RuleSet,
    against: tuple[str, RuleSet] | None = None,
    labels: Labels | None = None,
    max_lateness: timedelta = DEFAULT_MAX_LATENESS,
    refused: Callable[[Refused], object] = lambda refused: None,
    progress: Callable[[int], object] = lambda lines: None,
    batch: int = DEFAULT_BATCH,
) -> BackTest:
    """Judges the lines in order with the set, and with `against` (its name and the set) beside it.

    Lines that get no verdict of the set go to `refused`; `progress` gets the number of lines judged after every batch.
    Memory holds the windows, the labels and the counts, never the decisions. The split into batches changes nothing.
    """
    new = Side("", ruleset, max_lateness, labels)
    old = None if against is None else Side(*against, max_lateness, labels)
    test = BackTest(new, old)
    remaining = iter(lines)
    while chunk := list(islice(remaining, batch)):
        test.lines += len(chunk)
        _judge(chunk, test, refused)
        progress(test.lines)
    return test


def _judge(chunk: list[Line], test: BackTest, refused: Callable[[Refused], object]) -> None:
    new, old = test.new, test.old
    decoded = decode_batch([line.value for line in chunk])
    instructions = [each for each in decoded.outcomes if isinstance(each, Instruction)]
    outcomes = iter(new.engine.assess(instructions))
    before = None if old is None else iter(old.engine.assess(instructions))
    for line, found in zip(chunk, decoded.outcomes, strict=True):
        if isinstance(found, Refusal):
            for side in (new, old):
                if side is not None:
                    side.refuse(found)
            refused(Refused(line.number, found.reason, found.detail))
            continue
        outcome = next(outcomes)
        new.count(line.number, found, outcome)
        if isinstance(outcome, Refusal):
            refused(Refused(line.number, outcome.reason, outcome.detail))
        if old is not None and before is not None:
            earlier = next(before)
            old.count(line.number, found, earlier)
            test.changes.count(line.number, found, earlier, outcome, _fen(new, found, earlier, outcome))
    for side in (new, old):
        if side is not None:
            side.engine.absorb()


def _fen(side: Side, instruction: Instruction, *outcomes: Outcome) -> int | None:
    """The amount in fen of CNY, asked for where a rule hit only."""
    if not any(isinstance(each, Decision) and each.hits for each in outcomes):
        return None
    return side.tally.fen(instruction, side.tally.program.days.of(microseconds(instruction.event_time)).ordinal)
