"""The batch driver: Faust's aiokafka transport, made to hand over one event per fetched partition batch (ADR 0010).

Faust costs about 100 µs per event whatever an event carries, so the records of the payments topic that one fetch
brought for one partition become one event. That breaks the assumptions of Faust's commit bookkeeping, which looks for
gaps between acknowledged offsets; it is replaced here, for that topic only, by the offset up to which the worker says
it is done. Faust's own acks are not asked: in its pure Python form Faust acks messages that it skips.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from time import monotonic
from typing import Any, cast

import aiokafka
from aiokafka.errors import IllegalStateError
from faust.serializers import codecs
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message

from treasury_watch.adapters.kafka.admission import Record

FETCH_MAX_WAIT_MS = 25  # how long a partition with news may wait behind a fetch of partitions without
# A batch of one message costs a millisecond of CPU, a batch of ten hardly more. So where a few are there already when
# they are asked for, the next are left to gather for a moment: at a thousand a second that shortens queues (ADR 0015).
GATHER_SECONDS = 0.003
GATHER_BELOW = 50  # messages: with more, a batch is worth its cost
THERE_ALREADY_SECONDS = 0.002
OUTPUT_BATCH_BYTES = 900_000  # below the brokers' default of 1 MiB for a batch


class Batch:
    """The records that one fetch brought for one partition, in order; `done()` lets the driver commit them."""

    def __init__(self, tp: TP, records: list[Record], on_done: Callable[[TP, int], None]) -> None:
        self.tp = tp
        self.records = records
        self.next_offset = records[-1].offset + 1
        self._on_done = on_done

    def cut(self, offset: int) -> tuple[Batch | None, Batch]:
        """What lies before an offset, if anything does, and the rest; there is a rest."""
        before = [each for each in self.records if each.offset < offset]
        rest = self.records[len(before) :]
        return Batch(self.tp, before, self._on_done) if before else None, Batch(self.tp, rest, self._on_done)

    def done(self) -> None:
        """Everything that follows from the records is published."""
        self._on_done(self.tp, self.next_offset)


class AsIs(codecs.Codec):
    """Hands values through undecoded: a value that Faust fails to decode crashes its agent again and again."""

    def _loads(self, s: bytes) -> Any:
        return s


class Consumer(driver.Consumer):
    """Hands over batches, and commits what the worker has done.

    `transport.positions()` says from which offset each assigned partition is to be read, and `transport.idle()` waits
    until nothing that was taken from a batch is unfinished.
    """

    transport: Transport

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._done: dict[TP, int] = {}  # next offset, of batches that are finished and not committed
        self._not_taken: set[tuple[TP, int]] = set()  # handed to Faust and not yet in the worker's hands
        self._all_taken = asyncio.Event()
        self._all_taken.set()
        self._seeks = 0
        self._trickles = False  # messages come faster than they are fetched one by one
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # --- handing over ---

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, list[Any]]:
        # Memory: at most one fetch waits in Faust's queue, one in the hands of the worker, one in aiokafka's buffers.
        await self._all_taken.wait()
        if self._trickles:
            await asyncio.sleep(GATHER_SECONDS)
        seeks = self._seeks
        asked = monotonic()
        fetched = await super()._getmany(active_partitions, timeout)
        if seeks != self._seeks:
            # Positions were set while this fetch was waiting, and it cannot tell from before or after: read again.
            await self.perform_seek()
            return {}
        few = 0 < sum(map(len, fetched.values())) < GATHER_BELOW
        self._trickles = few and monotonic() - asked < THERE_ALREADY_SECONDS
        batches: dict[TP, list[Any]] = {}
        for tp, records in fetched.items():
            if tp.topic != self.transport.batch_topic:
                batches[tp] = records
            elif records:
                batch = Batch(TP(tp.topic, tp.partition), records, self.batch_done)
                batches[tp] = [batch]
                self._not_taken.add((batch.tp, batch.next_offset))
        if self._not_taken:
            self._all_taken.clear()
        return batches

    def taken(self, batch: Batch) -> None:
        """The worker has this batch in hand; when all are taken the next may be fetched."""
        self._not_taken.discard((batch.tp, batch.next_offset))
        if not self._not_taken:
            self._all_taken.set()

    def _forget_not_taken(self) -> None:
        self._not_taken.clear()
        self._all_taken.set()

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        if not isinstance(record, Batch):
            return super()._to_message(tp, record)
        last = record.records[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000,
            0,
            None,
            None,
            cast(bytes, record),
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    # --- positions ---

    async def perform_seek(self) -> None:
        """Sets every assigned partition of the payments topic to where the worker stands.

        Faust seeks to committed offsets only, and where there are none it leaves the position as it was.
        """
        self._seeks += 1
        self._forget_not_taken()
        positions = self.transport.positions()
        if not positions:
            return
        with suppress(IllegalStateError):  # the next rebalance has begun, and sets positions when it is done
            await self._thread.seek_wait(positions)
            self._read_offset.update(positions)

    async def committed(self, tps: Iterable[TP]) -> dict[TP, int | None]:
        """The group's committed offset of each partition; None where nothing was ever committed."""
        client = self._thread._ensure_consumer()
        return {tp: await self._thread.call_thread(client.committed, driver.ensure_aiokafka_TP(tp)) for tp in tps}

    @property
    def in_touch(self) -> bool:
        """Whether the group's coordinator answers, as it is asked to every two seconds once the consumer runs."""
        client = self._thread._consumer
        return client is None or client._coordinator.coordinator_id is not None

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self._forget_not_taken()
        self.transport.revoked(revoked)
        await super().on_partitions_revoked(revoked)

    # --- committing ---

    def batch_done(self, tp: TP, next_offset: int) -> None:
        """Has that offset of a partition committed: everything before it is done."""
        self._done[tp] = next_offset

    def _should_commit(self, tp: TP, offset: int) -> bool:
        # Faust takes an offset for committed also where the commit failed, as the group had rebalanced.
        return tp.topic == self.transport.batch_topic or bool(super()._should_commit(tp, offset))

    def ack(self, message: Message) -> bool:
        return False if message.topic == self.transport.batch_topic else super().ack(message)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if tp.topic != self.transport.batch_topic:
            await super()._add_gap(tp, offset_from, offset_to)

    def _new_offset(self, tp: TP) -> int | None:
        return self._done.pop(tp, None) if tp.topic == self.transport.batch_topic else super()._new_offset(tp)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        # Faust forgets the acks of revoked partitions before it commits them; ours are kept until they are.
        ours = (tp for tp in list(self._done) if topics is None or tp in topics or tp.topic in topics)
        others = (tp for tp in super()._filter_tps_with_pending_acks(topics) if tp.topic != self.transport.batch_topic)
        return chain(ours, others)

    async def wait_empty(self) -> None:
        """Waits until what is in the worker's hands is done, and commits it."""
        await self.transport.idle()
        while self._done:  # a commit that was under way took only what was done when it began
            await self.commit_and_end_transactions()


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread with a fetch wait that suits a verdict within milliseconds, where Faust fixes 1.5 s.

    It reads committed messages only: a payment of a transaction that was aborted is none.
    """

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        consumer._isolation_level = "read_committed"
        return consumer

    async def on_thread_stop(self) -> None:
        """Stops for certain: aiokafka's consumer lets the cancellation of its own pending fetch through, as `reader`
        knows, and the worker would then wait for the end of this thread for ever.
        """
        stopping = asyncio.ensure_future(super().on_thread_stop())
        await asyncio.wait([stopping])
        if not stopping.cancelled():
            stopping.result()
        elif self._consumer is not None:
            await self._consumer._client.close()


class Producer(driver.Producer):
    """Faust's producer with its aiokafka client at hand for batches, which are signed one by one (`fencing`).

    It has no identity of its own: aiokafka gives a producer one for all partitions, and such batches cannot be refused
    by partition.
    """

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all"}

    @property
    def client(self) -> aiokafka.AIOKafkaProducer:
        """The running aiokafka producer. Raises faust's NotReady before the app has started."""
        return self._ensure_producer()


class Transport(driver.Transport):
    """The transport that the worker plugs into Faust: what the classes above share."""

    Consumer = Consumer
    Producer = Producer

    batch_topic: str
    positions: Callable[[], Mapping[TP, int]]
    revoked: Callable[[set[TP]], None]
    idle: Callable[[], Awaitable[None]]
