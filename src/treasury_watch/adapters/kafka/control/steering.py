"""The control inputs of one worker: what it follows, what its partitions were judged by, and what they are to be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from aiokafka import TopicPartition

from treasury_watch.adapters.kafka.control.applied import (
    AppliedError,
    AppliedLog,
    Disposed,
    Entry,
    Place,
    Standing,
    Switched,
    Unused,
    read_log,
)
from treasury_watch.adapters.kafka.control.applying import Again, Applying
from treasury_watch.adapters.kafka.control.dispositions import Coming, Dispositions, dead_letter, read_disposition
from treasury_watch.adapters.kafka.control.inputs import ControlInputs
from treasury_watch.adapters.kafka.control.topic import records
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.kafka.publisher import Output
from treasury_watch.adapters.kafka.reader import last_record, reader
from treasury_watch.adapters.kafka.restore import Restored, StateTopic
from treasury_watch.adapters.kafka.tails import source_offset
from treasury_watch.adapters.messages import DispositionMessage
from treasury_watch.adapters.settings import Settings
from treasury_watch.domain.verdict import Reason, Refusal
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
                    await last_record(consumer, letters[number]),
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

    def applying(self, partition: int, log: AppliedLog, again: Sequence[Again], owed: Sequence[Output]) -> Applying:
        """How control inputs go on in a partition."""
        return Applying(partition, self.inputs, self._dispositions, _now, log.standing, log.seen, again, owed)

    async def owed(self, log: AppliedLog, last_letter: Any) -> list[Output]:
        """The dead letters that a predecessor did not come to, of dispositions that it had put on record as refused.

        They follow the record and come before anything is judged behind it. So only those may be missing that were
        refused before the payment that the last record names, and none if the last dead letter is of a payment from
        that one on.
        """
        if not log.entries:
            return []
        first, topic = log.entries[-1].applied.first, self._settings.topic("dispositions")
        headers = () if last_letter is None else last_letter.headers
        of_payment = source_offset(headers)
        if of_payment is not None and of_payment >= first:
            return []
        there = source_offset(headers, "dispositions")
        refused = [
            each.applied
            for each in log.entries
            if isinstance(each.applied, Unused)
            and each.applied.input.topic == topic
            and each.applied.first == first
            and (there is None or each.applied.input.offset > there)
        ]
        records, now = await self._records([each.input for each in refused]), _now()
        letters = []
        for each in refused:
            reason, _, detail = each.reason.partition(": ")
            record = records[each.input.offset]
            refusal = Refusal(cast(Reason, reason), detail)
            letters.append(dead_letter(Coming(each.input, "", refusal, record.key, record.value), refusal, now))
        return letters

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
        found: dict[int, tuple[str, DispositionMessage]] = {}
        for offset, record in (await self._records(places)).items():
            message = read_disposition(record.value)
            if not isinstance(message, DispositionMessage) or record.key is None:
                raise _gone(places[0], offset)
            found[offset] = record.key.decode(), message
        return found

    async def _records(self, places: Sequence[Place]) -> dict[int, Any]:
        """The records of the dispositions topic at these places of one partition, by offset. Raises AppliedError."""
        if not places:
            return {}
        found: dict[int, Any] = {}
        wanted = {each.offset for each in places}
        async for record in records(self._settings, "dispositions", places[0].partition, min(wanted)):
            if record.offset > max(wanted):
                break
            if record.offset in wanted:
                found[record.offset] = record
        if missing := sorted(wanted - found.keys()):
            raise _gone(places[0], missing[0])
        return found

    async def log_of(self, partition: int, position: int) -> AppliedLog:
        """What was applied to a partition, as far back as judging from an offset on takes."""
        tp = TopicPartition(self._settings.topic("applied"), partition)
        async with reader(self._settings, [tp], _POLL_MS) as consumer:
            return await read_log(consumer, tp, position)


class Course:
    """What was applied to one partition that was taken over, and how it goes on from there."""

    def __init__(self, steering: Steering, partition: int, log: AppliedLog, last_letter: Any) -> None:
        self._steering = steering
        self._partition = partition
        self._log = log
        self._last_letter = last_letter

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
        owed = await self._steering.owed(self._log, self._last_letter)
        return self._steering.applying(self._partition, self._log, again, owed)

    async def _reach(self, position: int) -> None:
        if self._log.entries and not self._log.reaches(position):
            self._log = await self._steering.log_of(self._partition, position)


def _gone(place: Place, offset: int) -> AppliedError:
    return AppliedError(
        f"{place.topic}[{place.partition}] has no disposition at offset {offset} any more, which was applied or "
        "refused; it is to be kept for ever"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
