"""The control inputs of one worker: what it follows, what its partitions were judged by, and what they are to be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiokafka import TopicPartition

from treasury_watch.adapters.kafka.control.applied import (
    NOT_YET,
    AppliedError,
    AppliedLog,
    Disposed,
    Entry,
    Place,
    Standing,
    Switched,
    read_log,
)
from treasury_watch.adapters.kafka.control.applying import Again, Applying
from treasury_watch.adapters.kafka.control.dispositions import Dispositions, read_disposition
from treasury_watch.adapters.kafka.control.inputs import ControlInputs
from treasury_watch.adapters.kafka.control.topic import records
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.kafka.reader import last_record, reader
from treasury_watch.adapters.kafka.restore import Restored, StateTopic
from treasury_watch.adapters.messages import DispositionMessage
from treasury_watch.adapters.settings import Settings
from treasury_watch.engine import Program
from treasury_watch.rules.schema import RuleSet

_POLL_MS = 20


class Steering:
    """Says what each partition is judged by. `changed` is set whenever something may be due."""

    def __init__(self, settings: Settings, inputs: ControlInputs) -> None:
        """`inputs` were read once, and something can be judged by."""
        self.changed = asyncio.Event()
        self.inputs = inputs
        self._settings = settings
        partition_of = partitioner_of(settings.partitioner, settings.partitions)
        self._dispositions = Dispositions(
            settings, partition_of, self.ruleset.partition_by, lambda _: self.changed.set()
        )

    @property
    def ruleset(self) -> RuleSet:
        """The newest rule set that can be judged by."""
        if self.inputs.newest is None:
            raise AppliedError("there is no rule set that can be judged by")
        return self.inputs.newest.program.ruleset

    async def follow(self) -> None:
        """Follows all control inputs, for ever."""
        await asyncio.gather(self.inputs.follow(self.changed.set), self._dispositions.follow())

    async def taken(self, positions: Mapping[int, int]) -> dict[int, Course]:
        """What was applied to partitions that were taken over: number → offset from which they may be judged again.

        Nobody else writes there any more. Raises BrokerError.
        """
        logs = {number: TopicPartition(self._settings.topic("applied"), number) for number in positions}
        letters = {number: TopicPartition(self._settings.topic("dead-letters"), number) for number in positions}
        async with reader(self._settings, [*logs.values(), *letters.values()], _POLL_MS) as consumer:
            return {
                number: Course(
                    self,
                    number,
                    await read_log(consumer, logs[number], position),
                    self._disposition_of(await last_record(consumer, letters[number])),
                )
                for number, position in positions.items()
            }

    async def program_of(self, standing: Standing | None) -> Program:
        """By what is judged: where nothing is on record, by the newest."""
        if standing is not None:
            return await self.inputs.program_of(standing)
        if self.inputs.newest is None:
            raise AppliedError("there is no rule set that can be judged by")
        return self.inputs.newest.program

    def applying(self, partition: int, log: AppliedLog, again: Sequence[Again], letters_until: int) -> Applying:
        """How control inputs go on in a partition."""
        return Applying(partition, self.inputs, self._dispositions, _now, log.standing, log.seen, again, letters_until)

    def hold(self, partitions: Mapping[int, Applying]) -> None:
        """These are the partitions of the worker now."""
        self._dispositions.hold({number: each.seen.dispositions + 1 for number, each in partitions.items()})
        self.changed.set()

    async def again(self, entries: Sequence[Entry]) -> list[Again]:
        """What entries of the log say, to be done again: nothing for refusals, but nothing new comes before them."""
        places = [each.applied.input for each in entries if isinstance(each.applied, Disposed)]
        dispositions = await self._read(places)
        again = []
        for each in entries:
            if isinstance(each.applied, Switched):
                again.append(Again(each.applied.first, await self.inputs.program_of(each.applied.standing)))
            elif isinstance(each.applied, Disposed):
                again.append(Again(each.applied.first, None, *dispositions[each.applied.input.offset]))
            else:
                again.append(Again(each.applied.first))
        return again

    async def _read(self, places: Sequence[Place]) -> dict[int, tuple[str, DispositionMessage]]:
        """The dispositions at these places of one partition, by offset, each with its key. Raises AppliedError."""
        if not places:
            return {}
        found: dict[int, tuple[str, DispositionMessage]] = {}
        wanted = {each.offset for each in places}
        async for record in records(self._settings, "dispositions", places[0].partition, min(wanted)):
            if record.offset > max(wanted):
                break
            message = read_disposition(record.value) if record.offset in wanted else None
            if isinstance(message, DispositionMessage) and record.key is not None:
                found[record.offset] = record.key.decode(), message
        if missing := sorted(wanted - found.keys()):
            raise AppliedError(
                f"{places[0].topic}[{places[0].partition}] has no disposition at offset {missing[0]} any more, which "
                "was applied; it is to be kept for ever"
            )
        return found

    async def log_of(self, partition: int, position: int) -> AppliedLog:
        """What was applied to a partition, as far back as judging from an offset on takes."""
        tp = TopicPartition(self._settings.topic("applied"), partition)
        async with reader(self._settings, [tp], _POLL_MS) as consumer:
            return await read_log(consumer, tp, position)

    def _disposition_of(self, letter: Any) -> int:
        """The offset of the disposition of which a dead letter is; -1 if it is none of a disposition."""
        headers = {} if letter is None else {name: value.decode() for name, value in letter.headers}
        if headers.get("source_topic") != self._settings.topic("dispositions"):
            return NOT_YET
        return int(headers["source_offset"])


class Course:
    """What was applied to one partition that was taken over, and how it goes on from there."""

    def __init__(self, steering: Steering, partition: int, log: AppliedLog, letters_until: int) -> None:
        self._steering = steering
        self._partition = partition
        self._log = log
        self._letters_until = letters_until

    async def program_at(self, position: int) -> Program:
        """By what the payment of an offset is judged."""
        await self._reach(position)
        return await self._steering.program_of(self._log.standing_at(position))

    async def restored(self, states: StateTopic, end: int, abandoned: Callable[[], bool]) -> Restored | None:
        """The partition's state, made with the rules by which it was judged there. `end` is the committed offset."""
        program = await self._program_behind(end)
        while True:
            restored = await states.restore(program, self._partition, abandoned)
            if restored is None:
                return None
            right = await self._program_behind(restored.position)
            if right is program:
                return restored
            program = right  # other rules came between the committed offset and the state's

    async def _program_behind(self, position: int) -> Program:
        await self._reach(position)
        return await self._steering.program_of(self._log.behind_state(position)[0])

    async def dispositions(self, begin: int, end: int) -> list[Again]:
        """Those that count from a payment between two offsets on, for who builds windows again."""
        await self._reach(begin)
        found = [each for each in self._log.entries if begin <= each.applied.first < end]
        return await self._steering.again([each for each in found if isinstance(each.applied, Disposed)])

    async def applying(self, position: int, restored: bool = False) -> Applying:
        """How control inputs go on where the partition's state is that of an offset; whether it is a `restored` one."""
        await self._reach(position)
        entries = self._log.behind_state(position)[1] if restored else self._log.since(position)
        again = await self._steering.again(entries)
        return self._steering.applying(self._partition, self._log, again, self._letters_until)

    async def _reach(self, position: int) -> None:
        if self._log.entries and not self._log.reaches(position):
            self._log = await self._steering.log_of(self._partition, position)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
