"""The instructions that everything is measured with: a simulated city, five days, always the same for the same count.

The simulator plants a violation in about one instruction in a hundred, which is what a real pack may hit.
"""

from __future__ import annotations

from datetime import date

from treasury_watch.adapters.rulefiles import default_rules, load
from treasury_watch.adapters.simulate import simulate
from treasury_watch.adapters.wire import decode, encode_instruction
from treasury_watch.domain.payment import Instruction
from treasury_watch.engine import Program
from treasury_watch.rules.schema import RuleSet

SEED = 1
DAYS = 5
START = date(2025, 3, 3)  # a Monday; the default pack is in force, and no event time lies ahead of the broker's clock


def values(count: int) -> list[bytes]:
    """The messages, as a payment system publishes them."""
    return [encode_instruction(each.instruction) for each in simulate(SEED, count, DAYS, START)]


def instructions(count: int) -> list[Instruction]:
    """The same as the worker has them: decoded from messages, so that no text is shared between instructions."""
    return [decoded(value) for value in values(count)]


def decoded(value: bytes) -> Instruction:
    instruction = decode(value)
    assert isinstance(instruction, Instruction), instruction
    return instruction


def default_program() -> Program:
    """The default pack, compiled."""
    return Program(default_ruleset())


def default_ruleset() -> RuleSet:
    """The default pack, read."""
    return load(default_rules())
