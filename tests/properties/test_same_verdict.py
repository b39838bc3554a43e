"""The same input gives the same verdict, byte for byte, however the instructions are divided and wherever they are
judged.
"""

from __future__ import annotations

from io import BytesIO
from zlib import crc32

import pytest

from treasury_watch.adapters.rulefiles import default_rules, load
from treasury_watch.adapters.simulate import write_simulation
from treasury_watch.adapters.wire import decode, encode_decision
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision
from treasury_watch.engine import Engine, Program


@pytest.fixture(scope="module")
def program() -> Program:
    return Program(load(default_rules()))


@pytest.fixture(scope="module")
def day() -> list[Instruction]:
    """A simulated day, with violations and late instructions among it."""
    out = BytesIO()
    write_simulation(seed=11, payments=3_000, out=out)
    instructions = [decode(line) for line in out.getvalue().splitlines()]
    return [each for each in instructions if isinstance(each, Instruction)]


def decisions(
    program: Program, day: list[Instruction], engines: int, batch: int, restart_every: int
) -> dict[str, bytes]:
    """Decisions by instruction, judged by so many engines in batches of that size, each engine dumped and loaded now
    and then.
    """
    found: dict[str, bytes] = {}
    for number in range(engines):
        engine = Engine(program)
        mine = [each for each in day if crc32(each.jurisdiction.encode()) % engines == number]
        for at in range(0, len(mine), batch):
            for outcome in engine.assess(mine[at : at + batch]):
                assert isinstance(outcome, Decision)
                found[outcome.instruction_id] = encode_decision(outcome)
            engine.absorb()
            if at // batch % restart_every == restart_every - 1:
                engine = Engine.load(program, engine.dump())
    return found


@pytest.mark.parametrize(("engines", "batch", "restart_every"), [(1, 1, 500), (1, 7, 40), (3, 500, 2), (16, 64, 1_000)])
def test_neither_batches_nor_partitions_nor_restarts_change_a_byte(
    program: Program, day: list[Instruction], engines: int, batch: int, restart_every: int
) -> None:
    expected = decisions(program, day, engines=1, batch=len(day), restart_every=1_000)
    assert len(expected) == len(day)
    assert len({each for each in expected.values() if b'"verdict":"pass"' not in each}) > 30
    assert decisions(program, day, engines, batch, restart_every) == expected


def test_a_rule_set_that_is_loaded_again_gives_the_same_bytes(program: Program, day: list[Instruction]) -> None:
    again = Program(load(default_rules()))
    assert decisions(again, day, 1, 500, 1_000) == decisions(program, day, 1, 500, 1_000)
