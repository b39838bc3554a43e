"""One assigned partition of the payments topic: its engine, how far it has judged, and the one way through it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter, time

import numpy as np

from treasury_watch.adapters.kafka.admission import Admission, Record
from treasury_watch.adapters.kafka.driver import Batch
from treasury_watch.adapters.kafka.publisher import Judged, Publisher, Sent, acknowledged
from treasury_watch.adapters.metrics import Metrics
from treasury_watch.adapters.wire import decode_batch
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Refusal
from treasury_watch.engine import Engine

SLICE = 500  # messages judged without letting anything else run: about 15 ms


class Partition:
    """Judges the messages of one partition in order. `position` is the offset of the next message to be judged.

    What is judged is published, then absorbed, then done: a failure in between leaves `position` where it was.
    """

    def __init__(self, number: int, engine: Engine, admission: Admission, metrics: Metrics, position: int) -> None:
        self.number = number
        self.position = position
        self._engine = engine
        self._admission = admission
        self._metrics = metrics
        self._turn = asyncio.Lock()  # held from the beginning of a batch until it is done or has failed
        self._settling: asyncio.Task[None] | None = None

    def rebuild(self, records: Sequence[Record]) -> None:
        """Takes messages that were judged before into the windows again; nothing of it is published or counted."""
        admitted, _ = self._admit(records)
        self._engine.assess([each for each in admitted if isinstance(each, Instruction)])
        self._engine.absorb()
        self.position = records[-1].offset + 1

    async def judge(self, batch: Batch, publisher: Publisher, on_failure: Callable[[BaseException], None]) -> None:
        """Judges a batch and hands its outcomes to the producer, then returns; the brokers' answer is waited for aside.

        So the next partition is judged meanwhile, while the next batch of this partition waits. Raises PublishError, or
        calls `on_failure` with it; after that the partition is not to be used again.
        """
        await self._turn.acquire()
        try:
            records = [record for record in batch.records if record.offset >= self.position]  # read again after a seek
            sent: list[Sent] = []
            published: list[Judged] = []
            unknown_fields = 0
            for start in range(0, len(records), SLICE):
                judged, unknown = self._judge(records[start : start + SLICE])
                unknown_fields += unknown
                published.append(judged)
                sent += await publisher.send(self.number, judged)
                await asyncio.sleep(0)
        except BaseException:
            self._turn.release()
            raise
        self._settling = asyncio.create_task(self._settle(batch, sent, published, unknown_fields, on_failure))

    async def idle(self) -> None:
        """Waits until the batch that was begun is done, or has failed."""
        async with self._turn:
            pass

    async def _settle(
        self,
        batch: Batch,
        sent: Sequence[Sent],
        published: Sequence[Judged],
        unknown_fields: int,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        try:
            await acknowledged(sent)
            self._engine.absorb()
            self.position = batch.next_offset
            batch.done()
            self._count(published, unknown_fields)
        except Exception as error:
            on_failure(error)
        finally:
            self._turn.release()

    def _admit(self, records: Sequence[Record]) -> tuple[list[Instruction | Refusal], int]:
        decoded, unknown = decode_batch([record.value for record in records])
        return self._admission.check(records, decoded), sum(unknown.values())

    def _judge(self, records: Sequence[Record]) -> tuple[Judged, int]:
        admitted, unknown = self._admit(records)
        started = perf_counter()
        outcomes = iter(self._engine.assess([each for each in admitted if isinstance(each, Instruction)]))
        self._metrics.engine.observe(perf_counter() - started)
        return Judged(
            records, admitted, [each if isinstance(each, Refusal) else next(outcomes) for each in admitted]
        ), unknown

    def _count(self, published: Sequence[Judged], unknown_fields: int) -> None:
        now = time()
        for judged in published:
            self._metrics.count(judged.outcomes)
            received = [
                record.timestamp
                for record, outcome in zip(judged.records, judged.outcomes, strict=True)
                if isinstance(outcome, Decision)
            ]
            self._metrics.latency.observe(np.maximum(now - np.array(received, dtype=np.float64) / 1000, 0.0))
        self._metrics.unknown_fields.inc(unknown_fields)
        self._metrics.batch_size.observe(sum(len(judged.records) for judged in published))
