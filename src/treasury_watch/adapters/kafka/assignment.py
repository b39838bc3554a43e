"""The partitions that this worker has now: taken over with whole windows, judged, given back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from time import monotonic

from faust.types import TP

from treasury_watch.adapters.history import Feed, HistoryError
from treasury_watch.adapters.kafka.admission import Admission
from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.control.steering import Course, Steering
from treasury_watch.adapters.kafka.driver import Batch, Consumer
from treasury_watch.adapters.kafka.feeding import held, take_history
from treasury_watch.adapters.kafka.fencing import Abandoned, Fenced
from treasury_watch.adapters.kafka.partition import Partition
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.kafka.publisher import Judged, Publisher, PublishError
from treasury_watch.adapters.kafka.rebuild import rebuild
from treasury_watch.adapters.kafka.restore import StateDamaged, StateTopic
from treasury_watch.adapters.kafka.tails import end_of_payments
from treasury_watch.adapters.metrics import Metrics, Watched
from treasury_watch.adapters.settings import Settings
from treasury_watch.engine import Engine, Program

DELETE_SECONDS = 60.0  # between two deletions of records that are needed no more; each is a connection of its own

log = logging.getLogger(__name__)

# Publishers for partitions whose outputs nobody else sends any more; asks in between whether that is still wanted.
TakeOutputs = Callable[[Sequence[int], Callable[[], bool]], Awaitable[Mapping[int, Publisher]]]


class Assignment:
    """Partitions by topic partition. A partition is judged only while it is held: taken over and not given back.

    `on_failure` is told of the first failure; from then on nothing is held, so that nothing is judged behind a batch
    that was not published.
    """

    def __init__(
        self,
        settings: Settings,
        steering: Steering,
        metrics: Metrics,
        on_failure: Callable[[Exception], None],
        take_outputs: TakeOutputs,
        states: StateTopic,
        feeds: Sequence[Feed] = (),
    ) -> None:
        self.ready = False  # every assigned partition has whole windows
        self.on_published: Callable[[Judged], None] | None = None  # as `Partition.on_published`, of every partition
        self._on_failure = on_failure
        self._take_outputs = take_outputs
        self._states = states
        self._taking_outputs = asyncio.Lock()
        self._failed = False
        self._settings = settings
        self._feeds = feeds
        self._steering = steering
        self._partition_by = steering.ruleset.partition_by
        self._partitioner = partitioner_of(settings.partitioner, settings.partitions)
        self._metrics = metrics
        self._held: dict[TP, Partition] = {}
        self._given_back: dict[TP, Partition] = {}
        self._consumers: dict[TP, Consumer] = {}
        self._rounds = 0  # rebalances begun
        self._obsolete: dict[int, int] = {}  # partition → offset before which its state is to be deleted from the topic
        self._deleted_at = float("-inf")

    async def take_over(self, assigned: Iterable[TP], consumer: Consumer) -> bool:
        """Makes the assigned partitions fit for judging; False when another rebalance or a failure came first.

        Their outputs are taken first: whoever published there until now is shut out. A partition that this worker had,
        and of which nobody else has written since, keeps its state; that of any other is restored or, where none was
        ever written, rebuilt from the payments up to the committed offset. Raises BrokerError when there are more
        partitions than the settings say, since keys then belong elsewhere.
        """
        this_round = self._rounds
        started, messages = monotonic(), 0
        tps = sorted(assigned)
        if tps and tps[-1].partition >= self._settings.partitions:
            raise BrokerError(
                f"{tps[-1].topic} has a partition {tps[-1].partition}, expected {self._settings.partitions} partitions"
            )
        publishers = await self._outputs_of(tps, lambda: self._rounds != this_round)
        if publishers is None:
            return False
        committed = await consumer.committed(tps)
        earliest = dict(await consumer.earliest_offsets(*tps)) if tps else {}
        ends: dict[TP, int] = {}
        for tp in tps:
            end, begin = committed[tp], earliest[tp]
            if end is not None and end < begin:
                _tell_deleted(tp, end, begin)
            ends[tp] = begin if end is None else max(end, begin)
        courses = await self._courses({tp.partition: end for tp, end in ends.items()})
        for tp in tps:
            begin, end, course = earliest[tp], ends[tp], courses.get(tp.partition)
            if course is None:
                return False
            partition = self._given_back.pop(tp, None)
            try:
                await self._check_there(tp, end, begin, publishers[tp.partition])
                if partition is not None and await self._is_as_left(partition, end, course):
                    partition.publisher = publishers[tp.partition]
                    partition.applying = await course.applying(end)
                else:
                    if partition is not None:
                        partition.let_go()
                    partition, count = await self._made(
                        tp, begin, end, publishers[tp.partition], course, lambda: self._rounds != this_round
                    )
                    messages += count
                if partition is not None and self._rounds == this_round:
                    await partition.apply()
            except (HistoryError, StateDamaged, BrokerError, PublishError, Fenced) as error:
                self._fail(error)
            if self._rounds != this_round or self._failed or partition is None:
                if partition is not None:
                    partition.let_go()
                return False
            self._hold(tp, partition, consumer)
            if partition.position > end:  # written by a predecessor who did not come to committing it
                consumer.batch_done(tp, partition.position)
        for left in self._given_back.values():
            left.let_go()
        self._given_back.clear()
        self._steering.hold({tp.partition: held.applying for tp, held in self._held.items() if held.applying})
        self._metrics.rebuilt(messages, monotonic() - started)
        self.ready = True
        log.info("partitions held: %s", ", ".join(str(tp.partition) for tp in tps) or "none")
        return True

    def give_back(self, revoked: Iterable[TP]) -> None:
        """Begins no further batch of these partitions; what is begun is finished (see `idle`)."""
        self._rounds += 1
        self.ready = False
        for tp in revoked:
            partition = self._held.pop(tp, None)
            if partition:
                self._given_back[tp] = partition
                self._metrics.forget_partition(tp.partition)

    async def idle(self) -> None:
        """Waits until every batch that was begun is done or has failed, and nobody is being shut out any more.

        Who went on with that after giving a partition back would shut out its next worker.
        """
        async with self._taking_outputs:
            pass
        for partition in [*self._held.values(), *self._given_back.values()]:
            await partition.idle()

    def positions(self) -> Mapping[TP, int]:
        """From which offset each held partition is to be read."""
        return {tp: partition.position for tp, partition in self._held.items()}

    def of_others(self) -> tuple[Program, Collection[int]] | None:
        """The rules of now, and the partitions that other workers have; `None` while any are taken over."""
        newest = self._steering.inputs.newest
        if not self.ready or newest is None:
            return None
        held = {tp.partition for tp in self._held}
        return newest.program, [number for number in range(self._settings.partitions) if number not in held]

    async def judge(self, batch: Batch) -> None:
        """Judges a batch of a held partition; that of any other is left to whoever is to have the partition next."""
        partition = self._held.get(batch.tp)
        if partition and (again := partition.fed_again(batch.records)):
            log.warning(
                "partition %d: %d payments that were counted as history are on the topic; its windows are built again "
                "without them",
                partition.number,
                again,
            )
            partition = await self._renewed(batch.tp, partition)
        if partition:
            await partition.judge(batch)

    async def apply(self) -> None:
        """Applies the control inputs that are due, to every held partition."""
        await asyncio.gather(*(partition.apply() for partition in list(self._held.values())))

    async def write(self) -> None:
        """Writes what changed in the held partitions' states; deletes, now and then, what is needed of them no more."""
        partitions = list(self._held.values())
        obsolete = await asyncio.gather(*(partition.write() for partition in partitions))
        for partition, offset in zip(partitions, obsolete, strict=True):
            if offset is not None:
                self._obsolete[partition.number] = offset
        if self._obsolete and monotonic() - self._deleted_at >= DELETE_SECONDS:
            self._deleted_at = monotonic()
            obsolete_now, self._obsolete = self._obsolete, {}
            await self._states.delete_before(obsolete_now)

    async def states(self) -> dict[int, tuple[int, bytes]]:
        """The position and the state, as bytes, of each held partition."""
        return {partition.number: await partition.state() for partition in list(self._held.values())}

    async def keep_alive(self) -> None:
        """Has the brokers remember who was shut out, partition by partition; to be called every hour."""
        for tp, partition in list(self._held.items()):
            publisher = partition.publisher
            try:
                await publisher.keep_alive()
            except (Fenced, BrokerError) as error:
                if self._held.get(tp) is partition and partition.publisher is publisher:
                    self._fail(error)

    async def _courses(self, positions: Mapping[int, int]) -> Mapping[int, Course]:
        """What was applied to each partition; nothing when that cannot be found out."""
        try:
            return await self._steering.taken(positions)
        except BrokerError as error:
            self._fail(error)
            return {}

    async def _outputs_of(self, tps: Sequence[TP], abandoned: Callable[[], bool]) -> Mapping[int, Publisher] | None:
        """A publisher for each partition; None when that was abandoned or has failed."""
        async with self._taking_outputs:
            if self._failed or abandoned():
                return None
            try:
                return await self._take_outputs([tp.partition for tp in tps], abandoned)
            except Abandoned:
                return None
            except (Fenced, BrokerError) as error:
                self._fail(error)
                return None

    async def _renewed(self, tp: TP, old: Partition) -> Partition | None:
        """The partition with windows that leave to the topic what has come there since; `None` when it is given back
        or fails meanwhile.
        """
        old.applying = None  # what comes on from now on is for the new one
        await old.idle()
        consumer = self._consumers[tp]
        partition: Partition | None = None
        try:
            begin = dict(await consumer.earliest_offsets(tp))[tp]
            partition = self._new(tp, begin, old.publisher, Engine(old.program))
            course = (await self._steering.taken({tp.partition: begin}))[tp.partition]
            await self._make_whole(partition, begin, old.position, course, lambda: self._held.get(tp) is not old)
            partition.applying = await course.applying(old.position)
            if self._held.get(tp) is old:
                await partition.write_from_now_on(0 if old.last_record is None else old.last_record + 1)
        except (HistoryError, BrokerError, PublishError, Fenced) as error:
            self._fail(error)
        if partition is None or self._held.get(tp) is not old:
            if partition is not None:
                partition.let_go()
            return None
        self._hold(tp, partition, consumer)
        old.let_go()
        return partition

    async def _check_there(self, tp: TP, position: int, begin: int, publisher: Publisher) -> None:
        """Raises BrokerError when the payments before a position are not there, and were not deleted for their age: new
        ones would be passed over. Where something of them was published, they were looked for already.
        """
        if position <= max(begin, publisher.last_tail + 1):
            return
        end = await end_of_payments(self._settings, tp.partition)
        if position > end:
            raise BrokerError(
                f"{tp.topic}[{tp.partition}] was judged up to offset {position}, but ends before offset {end}: it was "
                "made anew or lost messages, and new ones would be taken for judged; use another topic prefix and group"
            )

    async def _is_as_left(self, partition: Partition, end: int, course: Course) -> bool:
        """Whether nobody wrote anything of a partition since it was given back."""
        if partition.position != end or partition.last_record is None:
            return False
        if await self._states.last_number(partition.number) != partition.last_record:
            return False
        return await course.program_at(end) is partition.program

    async def _made(
        self, tp: TP, begin: int, end: int, publisher: Publisher, course: Course, abandoned: Callable[[], bool]
    ) -> tuple[Partition | None, int]:
        """A partition as it was left by whoever had it, and how many messages were read again for it; `None`, or one
        that is not whole, when that was abandoned.

        History that was fed is not in any state that was written before, so with it windows are always rebuilt.
        """
        if not self._feeds:
            restored = await course.restored(self._states, end, abandoned)
            if restored is not None:
                await self._check_there(tp, restored.position, begin, publisher)
                partition = self._new(tp, max(restored.position, begin), publisher, restored.engine)
                # Of what was deleted unread, too.
                partition.applying = await course.applying(restored.position, restored=True)
                self._metrics.restored.inc()
                partition.unknown_before = restored.position < begin
                if partition.unknown_before:
                    _tell_deleted(tp, restored.position, begin)
                whole = None if restored.damage else restored.whole
                await partition.write_from_now_on(restored.number + 1, whole, restored.size)
                return partition, 0
        if abandoned():
            return None, 0
        # Windows that are built again are those of the rules of today, as far back as the payments are there.
        partition = self._new(tp, begin, publisher, Engine(await course.program_at(end)))
        count = await self._make_whole(partition, begin, end, course, abandoned)
        if abandoned():
            return partition, count
        partition.applying = await course.applying(partition.position)
        number = await self._states.last_number(tp.partition)
        await partition.write_from_now_on(0 if number is None else number + 1)
        return partition, count

    async def _make_whole(
        self, partition: Partition, begin: int, end: int, course: Course, abandoned: Callable[[], bool]
    ) -> int:
        """Takes history and what the topic holds up to an offset into the windows; returns how many messages."""
        if self._feeds:
            await take_history(partition, self._feeds, await held(partition, self._settings, abandoned), abandoned)
        dispositions = await course.dispositions(begin, end)
        return await rebuild(partition, end, self._settings, abandoned, dispositions)

    def _hold(self, tp: TP, partition: Partition, consumer: Consumer) -> None:
        self._held[tp] = partition
        self._consumers[tp] = consumer
        self._metrics.judges_by(partition.program.ruleset)  # at first by the rules of when it was left
        self._metrics.watch_partition(
            tp.partition,
            Watched(
                lag=self._lag(tp, partition, consumer),
                warming=lambda: partition.warming,
                keys=lambda: partition.held_keys,
                drift=lambda: partition.drift_events,
                snapshot_age=lambda: partition.snapshot_age,
                snapshot_bytes=lambda: partition.snapshot_bytes,
            ),
        )
        if partition.warming:
            log.warning(
                "partition %d: history does not reach back far enough for %d of %d windows; rules that use them are "
                "warming",
                tp.partition,
                partition.warming,
                len(partition.program.series),
            )

    def _fail(self, error: Exception) -> None:
        if isinstance(error, Fenced):
            self._metrics.fenced.inc()
        if not self._failed:
            self._failed = True
            self.give_back(list(self._held))
            self._on_failure(error)

    def _new(self, tp: TP, position: int, publisher: Publisher, engine: Engine) -> Partition:
        admission = Admission(self._partition_by, self._partitioner, tp.partition)
        made = Partition(tp.partition, engine, admission, self._metrics, position, self._fail, publisher, self._feeds)
        made.on_published = self.on_published
        return made

    @staticmethod
    def _lag(tp: TP, partition: Partition, consumer: Consumer) -> Callable[[], float]:
        def lag() -> float:
            if tp not in consumer.assignment():  # a rebalance is under way
                return 0
            return max((consumer.highwater(tp) or 0) - partition.position, 0)

        return lag


def _tell_deleted(tp: TP, start: int, begin: int) -> None:
    log.error(
        "partition %d: the messages of offsets %d to %d were deleted before they were judged; "
        "the retention of %s is too short",
        tp.partition,
        start,
        begin - 1,
        tp.topic,
    )
