"""What operators do about states on `treasury.state`: look whether they are good, have them built again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from treasury_watch.adapters.kafka.fencing import fence
from treasury_watch.adapters.kafka.publish import payments_producer
from treasury_watch.adapters.kafka.publisher import acknowledged, send
from treasury_watch.adapters.kafka.restore import StateDamaged, restore
from treasury_watch.adapters.kafka.statelog import RESET_HEADER
from treasury_watch.adapters.settings import Settings
from treasury_watch.engine import Program


@dataclass(frozen=True, slots=True)
class StateReport:
    """What is on the topic of one partition's state. All but `partition` and `problem` are `None` where there is no
    state that can be used; `problem` is what is damaged.
    """

    partition: int
    position: int | None = None  # the offset of the next payment
    digest: str | None = None
    scopes: int | None = None
    keys: int | None = None
    entries: int | None = None
    ids: int | None = None
    cases: int | None = None
    entities: int | None = None  # of anomaly models
    problem: str | None = None


async def verify_states(
    settings: Settings,
    program: Program,
    partitions: Sequence[int],
    progress: Callable[[int], object] = lambda done: None,
) -> list[StateReport]:
    """Makes the state of each partition of its records, and says what came of it. Raises BrokerError."""
    reports = []
    for done, number in enumerate(partitions, 1):
        reports.append(await _verify(settings, program, number))
        progress(done)
    return reports


async def _verify(settings: Settings, program: Program, number: int) -> StateReport:
    try:
        restored = await restore(settings, program, number)
    except StateDamaged as error:
        return StateReport(number, problem=str(error))
    if restored is None:
        return StateReport(number)
    digest = "sha256:" + hashlib.sha256(restored.engine.dump()).hexdigest()
    return StateReport(number, restored.position, digest, problem=restored.damage, **restored.engine.state.entries())


async def reset_states(settings: Settings, partitions: Sequence[int]) -> None:
    """Has the next worker of each partition build its windows from the payments again, whatever is on the topic.

    A worker that has the partition now is shut out, and stops. Raises BrokerError, Fenced and PublishError.
    """
    topic = settings.topic("state")
    async with payments_producer(settings) as producer:
        for number in partitions:
            identity = await fence(producer, settings, number) if settings.idempotence else None
            await acknowledged(await send(producer, topic, number, [(None, None, [(RESET_HEADER, b"1")])], identity))
