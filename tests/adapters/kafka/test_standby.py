"""What a standby lets go is free at once: nothing but a full collection would find a state that hangs in a cycle."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.rulesets import make_ruleset
from treasury_watch.adapters.kafka.standby import Followed, Standby
from treasury_watch.adapters.settings import load_settings
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.journal import Journal, Restoring

PROGRAM = Program(make_ruleset())


@pytest.fixture(autouse=True)
def without_collections() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def standby() -> Standby:
    """It has read the whole state of partition 0."""
    made = Standby(load_settings())
    made._followed[0] = Followed(PROGRAM, Restoring(PROGRAM), 0)
    for offset, record in enumerate(Journal(Engine(PROGRAM)).rotate()):
        made._take_in(0, SimpleNamespace(offset=offset, value=record.data, headers=[]))
    assert made.partitions == 1
    return made


def state_of(standby: Standby) -> weakref.ref[Engine]:
    return weakref.ref(standby._followed[0].restoring.engine)


def test_what_was_taken_is_only_with_who_took_it(standby: Standby) -> None:
    state = state_of(standby)
    taken = standby.take(0, PROGRAM)
    assert taken is not None
    assert state() is taken.restoring.engine
    del taken
    assert state() is None


def test_what_is_damaged_is_gone(standby: Standby) -> None:
    state = state_of(standby)
    standby._take_in(0, SimpleNamespace(offset=1_000, value=b"damaged", headers=[]))
    assert standby.partitions == 0
    assert state() is None


async def test_what_is_not_wanted_any_more_is_gone(standby: Standby) -> None:
    state = state_of(standby)
    await standby._choose(PROGRAM, [])
    assert state() is None
