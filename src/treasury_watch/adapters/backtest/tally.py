"""What a rule set did with a file, counted: verdicts by day, hits by rule and month, money held, rules that hit
together. Its size depends on the rules and the days, not on the number of payments.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations

from treasury_watch.adapters.backtest.examples import Extremes, Seen
from treasury_watch.adapters.backtest.money import Held
from treasury_watch.domain.payment import Instruction, fen_of, microseconds
from treasury_watch.domain.verdict import VERDICTS, Decision, Hit
from treasury_watch.engine import Program
from treasury_watch.rules.schema import Rule

HOLDING = ("intercept", "prohibit")


@dataclass(slots=True)
class RuleTally:
    """The hits of one rule. Withheld ones (`excepted`) are no hits; `missing` are hits for want of data."""

    hits: int = 0
    excepted: int = 0
    missing: int = 0
    months: Counter[str] = field(default_factory=Counter)
    held: Held = field(default_factory=Held)  # by this rule's own action; of a rule that is not live: would be
    held_alone: Held = field(default_factory=Held)  # those of `held` that no other live rule holds
    examples: Extremes = field(default_factory=Extremes)


class Tally:
    """Counts the decisions of one rule set."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.rules = {rule.id: RuleTally() for rule in program.rules}
        self.by_day: dict[int, list[int]] = {}  # ordinal of the local day → payments by verdict, as in VERDICTS
        self.late = 0
        self.held = Held()
        self.together: Counter[tuple[str, str]] = Counter()  # pairs of rules, in the order of the set
        self._rank = {verdict: rank for rank, verdict in enumerate(VERDICTS)}
        self._month: dict[int, str] = {}

    def count(self, line: int, instruction: Instruction, decision: Decision) -> None:
        ordinal = self.program.days.of(microseconds(instruction.event_time)).ordinal
        verdicts = self.by_day.get(ordinal)
        if verdicts is None:
            verdicts = self.by_day[ordinal] = [0] * len(VERDICTS)
            self._month[ordinal] = date.fromordinal(ordinal).isoformat()[:7]
        verdicts[self._rank[decision.verdict]] += 1
        self.late += decision.late
        if decision.hits:
            self._count_hits(line, instruction, decision, ordinal)

    def _count_hits(self, line: int, instruction: Instruction, decision: Decision, ordinal: int) -> None:
        fen = self.fen(instruction, ordinal)
        seen = Seen(line, fen, instruction, decision)
        holders = [each.rule for each in decision.hits if holds(each) and each.mode == "live"]
        if decision.verdict in HOLDING:
            self.held.add(fen)
        hits = []
        for each in decision.hits:
            tally = self.rules[each.rule]
            if each.excepted:
                tally.excepted += 1
                continue
            hits.append(each.rule)
            tally.hits += 1
            tally.missing += bool(each.missing)
            tally.months[self._month[ordinal]] += 1
            tally.examples.add(seen)
            if holds(each):
                tally.held.add(fen)
                if not holders or holders == [each.rule]:
                    tally.held_alone.add(fen)
        if len(hits) > 1:
            self.together.update(combinations(hits, 2))

    def fen(self, instruction: Instruction, ordinal: int) -> int | None:
        """The amount in fen of CNY as rules see it."""
        return self.program.amount(instruction, fen_of(instruction.amount), ordinal)

    @property
    def payments(self) -> int:
        return sum(map(sum, self.by_day.values()))

    @property
    def verdicts(self) -> dict[str, int]:
        return self._summed(self.by_day)

    @property
    def months(self) -> dict[str, dict[str, int]]:
        """Payments by verdict of every month with payments, in order."""
        days: dict[str, list[int]] = {}
        for ordinal in sorted(self.by_day):
            days.setdefault(self._month[ordinal], []).append(ordinal)
        return {month: self._summed(ordinals) for month, ordinals in days.items()}

    def in_effect(self, rule: Rule) -> int:
        """The payments of the days on which the rule was in effect."""
        since = 0 if rule.effective_from is None else rule.effective_from.toordinal()
        until = date.max.toordinal() + 1 if rule.effective_until is None else rule.effective_until.toordinal()
        return sum(sum(verdicts) for ordinal, verdicts in self.by_day.items() if since <= ordinal < until)

    def _summed(self, ordinals: dict[int, list[int]] | list[int]) -> dict[str, int]:
        return {verdict: sum(self.by_day[day][rank] for day in ordinals) for rank, verdict in enumerate(VERDICTS)}


def holds(hit: Hit) -> bool:
    """Whether a hit, by itself and in force, would hold the payment."""
    return hit.excepted is None and hit.action in HOLDING
