"""The past of a partition, judged again: payments from the topic, by what the applied log says, offset by offset."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from treasury_watch.adapters.approvals import Approvals
from treasury_watch.adapters.kafka.admission import Admission, complete_from
from treasury_watch.adapters.kafka.control.applied import AppliedError, AppliedLog, Disposed, Switched, applied_log
from treasury_watch.adapters.kafka.control.inputs import ControlInputs
from treasury_watch.adapters.kafka.control.steering import Steering
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.kafka.reader import reader, until_now
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.wire import decode_batch
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Outcome, Refusal
from treasury_watch.engine import Engine

_SLICE = 500  # payments judged at once


@dataclass(frozen=True, slots=True)
class Again:
    """A payment message and what comes of it when it is judged again."""

    offset: int
    admitted: Instruction | Refusal
    outcome: Outcome


class Past:
    """One partition as it was: `engine` is in the state of before the payment at `position`."""

    def __init__(self, settings: Settings, partition: int, inputs: ControlInputs, log: AppliedLog, engine: Engine):
        self.engine = engine
        self.position = 0
        self.log = log
        self._settings = settings
        self._partition = partition
        self._steering = Steering(settings, inputs)
        partitioner = partitioner_of(settings.partitioner, settings.partitions)
        self._admission = Admission(engine.program.ruleset.partition_by, partitioner, partition)
        self._unknown_before = False

    @classmethod
    async def of(cls, settings: Settings, partition: int, approvals: Approvals) -> Past:
        """The past of a partition, from its first payment that is left on. Raises BrokerError."""
        inputs = ControlInputs(settings, approvals)
        await inputs.read()
        log = await applied_log(settings, partition)
        first = log.standing_at(0)
        if first is None:
            raise AppliedError(f"{settings.topic('applied')}[{partition}] says of no rules that they were ever applied")
        return cls(settings, partition, inputs, log, Engine(await inputs.program_of(first)))

    async def judge(self, end: int) -> AsyncIterator[Again]:
        """What comes of the payments before an offset, or before the end of the topic as it is now."""
        tp = TopicPartition(self._settings.topic("payments"), self._partition)
        async with reader(self._settings, [tp]) as consumer:
            begin = (await consumer.beginning_offsets([tp]))[tp]
            self._unknown_before = begin > 0
            applied = deque(each for each in self.log.entries if isinstance(each.applied, Switched | Disposed))
            records: list[Any] = []
            async for record in until_now(consumer, tp):
                if record.offset >= end:
                    break
                due = []
                while applied and applied[0].applied.first <= record.offset:
                    due.append(applied.popleft())
                if due or len(records) == _SLICE:
                    for again in self._judge(records):
                        yield again
                    records = []
                if due:
                    await self._apply(due)
                records.append(record)
            for again in self._judge(records):
                yield again
        await self._apply([each for each in applied if each.applied.first <= end])

    async def _apply(self, entries: Sequence[Any]) -> None:
        for each in await self._steering.again(entries):
            if each.program is not None and each.program is not self.engine.program:
                self.engine.switch(each.program)
            if each.disposition is not None:
                said = each.disposition
                self.engine.dispose(
                    each.key, said.instruction_id, said.disposition_id, said.disposition, said.label, said.decision_id
                )

    def admit(self, record: Any) -> Instruction | Refusal:
        """The instruction of the payment at `position`, or why it is refused."""
        decoded, _ = decode_batch([record.value])
        return self._admission.check([record], decoded)[0]

    def _judge(self, records: Sequence[Any]) -> list[Again]:
        if not records:
            return []
        if self._unknown_before:
            self._unknown_before = False
            self.engine.starts_at(complete_from(records[0].timestamp))
        decoded, _ = decode_batch([record.value for record in records])
        admitted = self._admission.check(records, decoded)
        outcomes = iter(self.engine.assess([each for each in admitted if isinstance(each, Instruction)]))
        found = [
            Again(record.offset, each, each if isinstance(each, Refusal) else next(outcomes))
            for record, each in zip(records, admitted, strict=True)
        ]
        self.engine.absorb()
        self.position = records[-1].offset + 1
        return found
