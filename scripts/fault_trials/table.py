"""Outcomes of trials, as lines and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from .kinds import KINDS
from .trial import Outcome


@dataclass(frozen=True)
class Row:
    """All trials of one kind."""

    kind: str
    trials: int
    passed: int
    messages: int
    decisions: int
    cases: int
    dead_letters: int
    duplicates: int
    rule_changes: int
    dispositions: int
    restarts: int


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    found = []
    for kind in KINDS:
        own = [each for each in outcomes if each.kind == kind]
        if own:
            found.append(_row(kind, own))
    return [*found, _row("all", outcomes)]


def _row(kind: str, own: Sequence[Outcome]) -> Row:
    return Row(
        kind,
        len(own),
        sum(each.result == "passed" for each in own),
        sum(each.messages for each in own),
        sum(each.decisions for each in own),
        sum(each.cases for each in own),
        sum(each.dead_letters for each in own),
        sum(each.duplicates for each in own),
        sum(each.rule_changes for each in own),
        sum(each.dispositions for each in own),
        sum(len(each.restarts) for each in own),
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """The table by kind, in Markdown. `stopped` counts workers that stopped by themselves."""
    names = ["messages", "decisions", "cases", "refused", "delivered again", "rule changes", "dispositions", "stopped"]
    lines = [
        f"| kind | what happens | trials | passed | {' | '.join(names)} |",
        "|---|---|" + "--:|" * (2 + len(names)),
    ]
    for row in rows(outcomes):
        about = KINDS[row.kind].about if row.kind in KINDS else ""
        counts = astuple(row)[3:]
        numbers = " | ".join(f"{count:,}" for count in counts)
        lines.append(f"| {row.kind} | {about} | {row.trials} | {row.passed} | {numbers} |")
    return "\n".join(lines)


def line(number: int, outcome: Outcome) -> str:
    """One trial in a line."""
    return (
        f"{number:4d}  {outcome.kind:<17} seed {outcome.seed:<6} {outcome.workers} workers  "
        f"{'standby' if outcome.standby else '':<8} {outcome.rate:5,d}/s  "
        f"{outcome.messages:7,d} messages  {outcome.seconds:5.1f} s  {outcome.result}"
        + (f"  ({len(outcome.restarts)} stopped by themselves)" if outcome.restarts else "")
    )


def complaint(outcome: Outcome) -> str:
    """What was wrong with a trial, and how to have it again."""
    again = f"scripts/fault-trials --trials 1 --seed {outcome.seed} --kinds {outcome.kind}"
    told = [f"{outcome.kind}, seed {outcome.seed}: {outcome.result}; again: {again}"]
    return "\n  ".join([*told, *outcome.findings, *outcome.restarts])
