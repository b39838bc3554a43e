"""A bench for conditions: one rule for each, judged without an engine, with a spy in place of what settles verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from tests.rulesets import CALENDARS, make_rule, make_ruleset
from treasury_watch.domain.payment import Instruction, fen_of, microseconds
from treasury_watch.domain.verdict import Text
from treasury_watch.engine import Program
from treasury_watch.engine.conditions import Judged
from treasury_watch.engine.scopes import Scope
from treasury_watch.engine.state import State
from treasury_watch.rules.schema import Condition, Param, Rule


@dataclass(frozen=True)
class Answer:
    """What a judge is told in answer to the rules that fired."""

    executed: bool


class Bench:
    """Judges instructions one after the other and adds them to the windows, like the engine, with a spy as settle."""

    def __init__(
        self, conditions: tuple[Condition, ...], lists: Any = None, tables: Any = None, on_missing: Any = "warn"
    ) -> None:
        rules = [
            make_rule(
                f"R{index}", condition, on_missing=on_missing,
                params={f"p{n}": param for n, param in enumerate(params_in(condition))},
                reason=Text(zh="{amount}", en="{amount}"),
            )
            for index, condition in enumerate(conditions)
        ]  # fmt: skip
        self.rules: list[Rule] = rules
        self.program = Program(make_ruleset(*rules, lists=lists, tables=tables, calendars=CALENDARS))
        self.scope: Scope = State(list(self.program.series.values()), 0).scope("420100")

    def judged(self, instruction: Instruction) -> Judged:
        us = microseconds(instruction.event_time)
        day = self.program.days.of(us)
        amount = self.program.amount(instruction, fen_of(instruction.amount), day.ordinal)
        return Judged(self.program, instruction, us, amount, day, self.scope, None)

    def judge(self, instruction: Instruction, executed: bool = True) -> list[bool | None]:
        """The compiled answer of every rule. If any rule fired, `executed` says what became of the instruction."""
        told: list[tuple[tuple[int, bool], ...]] = []

        def settle(fired: tuple[tuple[int, bool], ...], *_: Any) -> Answer:
            told.append(fired)
            return Answer(executed)

        it = self.judged(instruction)
        answer = self.program.judge(it.day)(instruction, it.us, it.amount, it.day, it.scope, settle, [])
        assert answer == (Answer(executed) if told else None)
        answers: list[bool | None] = [False] * len(self.rules)
        for fired in told:
            for index, certain in fired:
                answers[index] = True if certain else None
        return answers


def params_in(node: Any) -> Iterator[Param]:
    """Every param that a condition uses."""
    if isinstance(node, Param):
        yield node
    elif isinstance(node, tuple):
        for each in node:
            yield from params_in(each)
    elif is_dataclass(node):
        for each in fields(node):
            yield from params_in(getattr(node, each.name))
