"""The state on its topic: written, restored, restored although it is damaged, refused when nothing can be used."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from tests.builders import make_instruction
from tests.integration.installation import Installation
from tests.rulesets import DAY, aggregate, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch.adapters.kafka import standby
from treasury_watch.adapters.kafka.publish import payments_producer
from treasury_watch.adapters.kafka.publisher import Output, Sent, send
from treasury_watch.adapters.kafka.restore import StateDamaged, StateTopic, restore
from treasury_watch.adapters.kafka.standby import Standby
from treasury_watch.adapters.kafka.stateadmin import reset_states, verify_states
from treasury_watch.adapters.kafka.statelog import RESET_HEADER, StateLog
from treasury_watch.adapters.rulefiles import default_rules, load
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.journal import BEGIN, ENTRIES, Restoring, kind_of

SUM = ref(aggregate("sum", "amount", "budget_unit", window_us=30 * DAY), "total")
PROGRAM = Program(make_ruleset(make_rule("R", leaf(SUM, "gt", yuan("500.00")))))
PARTITION = 1

Harm = Callable[[bytes], bytes | None]


class Writing:
    """An engine whose state goes to the topic as the worker writes it, or as a test would have it."""

    def __init__(self, installation: Installation, producer: AIOKafkaProducer) -> None:
        self.settings = installation.settings
        self.topic = self.settings.topic("state")
        self._producer = producer
        self.engine = Engine(PROGRAM)
        self.harm: Harm = lambda value: value
        self.position = 0
        self.log = StateLog(self.engine, 0, self._send)

    async def _send(self, outputs: Sequence[Output]) -> list[Sent]:
        kept = [
            (key, found, headers) for key, value, headers in outputs if (found := self.harm(value or b"")) is not None
        ]
        return await send(self._producer, self.topic, PARTITION, kept)

    def restart(self, number: int, whole: int, engine: Engine) -> None:
        self.engine = engine
        self.log = StateLog(engine, self.position, self._send, number + 1, whole)

    def pay(self, count: int) -> None:
        self.engine.assess(
            [
                make_instruction(instruction_id=f"I{self.position + at}", budget_unit=f"{at % 7}", amount="10.00")
                for at in range(count)
            ]
        )
        self.engine.absorb()
        self.position += count

    async def everything(self) -> None:
        await self.changes()
        await self.log.write(self.log.everything())

    async def changes(self) -> None:
        await self.log.write(self.log.changes(self.position))

    async def reset(self) -> None:
        for each in await send(self._producer, self.topic, PARTITION, [(None, None, [(RESET_HEADER, b"1")])]):
            await each.future

    async def restored(self) -> Any:
        return await restore(self.settings, PROGRAM, PARTITION)


@pytest.fixture
async def writing(broker: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Writing]:
    name = "".join(each if each.isalnum() else "-" for each in request.node.name)
    installation = Installation.on(broker, tmp_path, name[:80], idempotence=False)
    await installation.topics()
    async with payments_producer(installation.settings) as producer:
        yield Writing(installation, producer)
    installation.close()


async def test_where_nothing_was_written_there_is_nothing_to_restore(writing: Writing) -> None:
    assert await writing.restored() is None


async def test_what_was_written_is_restored_with_the_position_that_it_had(writing: Writing) -> None:
    writing.pay(30)
    await writing.everything()
    for count in (1, 40, 5):
        writing.pay(count)
        await writing.changes()
    restored = await writing.restored()
    assert restored.position == 76
    assert restored.damage is None
    assert restored.engine.dump() == writing.engine.dump()


async def test_after_a_restart_it_goes_on_where_it_was(writing: Writing) -> None:
    writing.pay(30)
    await writing.everything()
    for _ in range(3):
        restored = await writing.restored()
        writing.restart(restored.number, restored.whole, restored.engine)
        for _ in range(4):
            writing.pay(9)
            await writing.changes()
    restored = await writing.restored()
    assert restored.position == writing.position == 30 + 3 * 36
    assert restored.engine.dump() == writing.engine.dump()
    assert restored.whole > 0  # rotations went on meanwhile


async def test_records_of_before_the_rotation_before_the_last_are_needed_no_more(writing: Writing) -> None:
    writing.pay(10)
    await writing.changes()
    assert writing.log.obsolete is None
    found = []
    for _ in range(30):
        writing.pay(5)
        await writing.changes()
        found.append(writing.log.obsolete)
    assert found[-1] is not None
    restored = await writing.restored()
    assert found[-1] <= restored.whole  # which the last record does not name yet


def turned(value: bytes) -> bytes:
    return value[:-1] + bytes([value[-1] ^ 1])


@pytest.mark.parametrize("harm", [turned, lambda value: value[:-2], lambda value: None, lambda value: b""])
async def test_behind_damage_the_state_of_before_is_used_and_said_to_be_damaged(writing: Writing, harm: Harm) -> None:
    writing.pay(30)
    await writing.everything()
    writing.pay(5)
    await writing.changes()
    before = writing.engine.dump()
    writing.harm = harm
    writing.pay(5)
    await writing.changes()
    writing.harm = lambda value: value
    writing.pay(5)
    await writing.changes()
    restored = await writing.restored()
    assert restored.position == 35
    assert restored.damage
    assert restored.engine.dump() == before


async def test_when_the_newest_rotation_is_damaged_the_one_before_is_used(writing: Writing) -> None:
    writing.pay(30)
    await writing.everything()
    writing.pay(5)
    await writing.changes()
    before, position = writing.engine.dump(), writing.position
    writing.harm = lambda value: turned(value) if kind_of(value) == ENTRIES else value
    await writing.log.write(writing.log.everything())
    writing.harm = lambda value: value
    writing.pay(5)
    await writing.changes()
    restored = await writing.restored()
    assert (restored.position, restored.engine.dump()) == (position, before)
    assert "not what was written" in restored.damage


async def test_when_none_can_be_used_it_is_refused_and_what_to_do_is_said(writing: Writing) -> None:
    writing.pay(30)
    writing.harm = lambda value: turned(value) if kind_of(value) == BEGIN else value
    await writing.everything()
    with pytest.raises(StateDamaged, match=r"state\[1\] cannot be used: .*state verify.*state rebuild"):
        await writing.restored()


async def test_what_is_before_a_reset_counts_nothing(writing: Writing) -> None:
    writing.pay(30)
    await writing.everything()
    await writing.reset()
    assert await writing.restored() is None
    writing.position = 0
    writing.restart(-1, -1, Engine(PROGRAM))
    writing.pay(3)
    await writing.everything()
    restored = await writing.restored()
    assert restored.position == 3
    assert restored.engine.dump() == writing.engine.dump()


class Following:
    """A standby that follows the partition; `until` waits for what it holds."""

    def __init__(self, writing: Writing) -> None:
        self.standby = Standby(writing.settings)
        self.program = PROGRAM
        self._task = asyncio.create_task(self.standby.follow(lambda: (self.program, [PARTITION])))

    async def until(self, position: int | None) -> None:
        async with asyncio.timeout(30):
            while self.position != position:  # noqa: ASYNC110  # what is waited for says nothing
                await asyncio.sleep(0.05)

    @property
    def position(self) -> int | None:
        followed = self.standby._followed.get(PARTITION)
        return None if followed is None or not followed.restoring.whole else followed.restoring.position

    async def restored(self, writing: Writing) -> Any:
        return await StateTopic(writing.settings, self.standby).restore(PROGRAM, PARTITION)

    async def stop(self) -> None:
        while not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=1)


@pytest.fixture
async def following(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Following]:
    monkeypatch.setattr(standby, "_AGAIN_SECONDS", 0.5)
    found = Following(writing)
    yield found
    await found.stop()


async def test_a_standby_has_what_was_written_and_reads_only_what_came_since(
    writing: Writing, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing.pay(30)
    await writing.everything()
    for _ in range(20):  # rotations come and go meanwhile
        writing.pay(9)
        await writing.changes()
    await following.until(writing.position)
    assert following.standby.partitions == 1
    await following.stop()
    writing.pay(5)
    await writing.changes()
    read: list[int] = []
    take = Restoring.take
    monkeypatch.setattr(Restoring, "take", lambda self, record: (read.append(len(record)), take(self, record))[1])
    restored = await following.restored(writing)
    assert 0 < len(read) < 10
    assert (restored.position, restored.damage) == (writing.position, None)
    assert restored.engine.dump() == writing.engine.dump() == (await writing.restored()).engine.dump()
    writing.restart(restored.number, restored.whole, restored.engine)
    writing.pay(9)
    await writing.changes()
    assert (await writing.restored()).engine.dump() == writing.engine.dump()
    assert following.standby.take(PARTITION, PROGRAM) is None  # it is handed over once


async def test_what_a_standby_holds_is_of_no_use_under_other_rules_behind_damage_or_after_a_reset(
    writing: Writing, following: Following
) -> None:
    async def write() -> None:
        writing.pay(30)
        await writing.everything()
        writing.pay(1)
        await writing.changes()  # which names the rotation before it
        await following.until(writing.position)

    await write()
    assert following.standby.take(PARTITION, Program(PROGRAM.ruleset)) is None

    await following.until(31)  # begun again
    writing.pay(5)
    writing.harm = turned
    await writing.changes()
    await following.until(None)
    restored = await following.restored(writing)
    assert (restored.position, bool(restored.damage)) == (31, True)

    await writing.reset()
    writing.harm = lambda value: value
    writing.position = 0
    writing.restart(-1, -1, Engine(PROGRAM))
    await write()
    assert (await following.restored(writing)).engine.dump() == writing.engine.dump()


async def test_a_standby_lets_go_what_it_followed_by_other_rules(writing: Writing, following: Following) -> None:
    writing.pay(3)
    await writing.everything()
    await following.until(3)
    engine = weakref.ref(following.standby._followed[PARTITION].restoring.engine)
    gc.disable()
    try:
        following.program = Program(PROGRAM.ruleset)
        async with asyncio.timeout(30):
            while engine() is not None:  # noqa: ASYNC110  # nothing says when it is gone
                await asyncio.sleep(0.05)
    finally:
        gc.enable()
    await following.until(3)


async def test_operators_see_what_states_there_are_and_have_them_built_again(installation: Installation) -> None:
    settings = installation.settings
    worker = await installation.worker().ready()
    await installation.pay([make_instruction(instruction_id=f"I{at}", jurisdiction="420100") for at in range(20)])
    await installation.read("decisions", until=20)
    assert worker.stop() == 0

    program = Program(load(default_rules()))
    reports = await verify_states(settings, program, range(4))
    (found,) = (each for each in reports if each.ids)
    assert (found.position, found.ids, found.problem) == (20, 20, None)
    assert found.digest is not None
    assert found.digest.startswith("sha256:")

    await reset_states(settings, [found.partition])
    again = await installation.worker().ready()
    assert again.metrics()["treasury_watch_restored_partitions_total"] == 3
    assert again.metrics()["treasury_watch_rebuilt_instructions_total"] == 20
    assert again.stop() == 0
    (rebuilt,) = (each for each in await verify_states(settings, program, [found.partition]))
    assert rebuilt == found
    assert len(await installation.read("decisions")) == 20
