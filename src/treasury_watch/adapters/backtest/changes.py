"""What one rule set does otherwise than another (新旧对比): payment by payment, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from treasury_watch.adapters.backtest.examples import Extremes, Seen
from treasury_watch.adapters.backtest.money import Held
from treasury_watch.adapters.backtest.tally import HOLDING, holds
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Duplicate, Outcome


@dataclass(slots=True)
class Moved:
    """Payments whose holding changed, and which rules hold or held them."""

    held: Held = field(default_factory=Held)
    rules: Counter[str] = field(default_factory=Counter)
    examples: Extremes = field(default_factory=Extremes)

    def add(self, seen: Seen, holding: Decision) -> None:
        self.held.add(seen.fen)
        self.rules.update(each.rule for each in holding.hits if holds(each) and each.mode == "live")
        self.examples.add(seen)


@dataclass(slots=True)
class RuleChange:
    """Payments that a rule hits with the new set only, and with the old set only."""

    gained: int = 0
    lost: int = 0


@dataclass(slots=True)
class Changes:
    """Old against new, for lines that were an instruction."""

    matrix: Counter[tuple[str, str]] = field(default_factory=Counter)  # (old, new): a verdict, or why there is none
    newly_held: Moved = field(default_factory=Moved)
    newly_let_go: Moved = field(default_factory=Moved)
    rules: dict[str, RuleChange] = field(default_factory=dict)

    def count(self, line: int, instruction: Instruction, old: Outcome, new: Outcome, fen: int | None) -> None:
        if not isinstance(old, Decision) or not isinstance(new, Decision):
            self.matrix[_told(old), _told(new)] += 1
            return
        self.matrix[old.verdict, new.verdict] += 1
        if not old.hits and not new.hits:
            return
        before, after = _hits(old), _hits(new)
        for rule in after - before:
            self.rules.setdefault(rule, RuleChange()).gained += 1
        for rule in before - after:
            self.rules.setdefault(rule, RuleChange()).lost += 1
        held, holds_now = old.verdict in HOLDING, new.verdict in HOLDING
        if holds_now and not held:
            self.newly_held.add(Seen(line, fen, instruction, new, old), new)
        elif held and not holds_now:
            self.newly_let_go.add(Seen(line, fen, instruction, new, old), old)


def _told(outcome: Outcome) -> str:
    if isinstance(outcome, Decision):
        return outcome.verdict
    return "duplicate" if isinstance(outcome, Duplicate) else "refused"


def _hits(decision: Decision) -> set[str]:
    return {each.rule for each in decision.hits if each.excepted is None}
