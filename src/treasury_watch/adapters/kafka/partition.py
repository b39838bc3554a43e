"""One assigned partition of the payments topic: its engine, how far it has judged, and the one way through it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from time import monotonic, perf_counter, time

import numpy as np

from treasury_watch.adapters.history import Feed, reaching_back
from treasury_watch.adapters.kafka.admission import Admission, Record, complete_from
from treasury_watch.adapters.kafka.control.applying import Again, Applying
from treasury_watch.adapters.kafka.driver import Batch
from treasury_watch.adapters.kafka.publisher import Judged, Output, Publisher, Sent, acknowledged
from treasury_watch.adapters.kafka.statelog import StateLog
from treasury_watch.adapters.metrics import Metrics
from treasury_watch.adapters.shadow import Shadow, shadow_of
from treasury_watch.adapters.wire import decode_batch
from treasury_watch.domain.payment import Instruction, microseconds
from treasury_watch.domain.verdict import Decision, Refusal
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.anomaly import Scored
from treasury_watch.engine.failsafe import place_of

log = logging.getLogger(__name__)

SLICE = 500  # messages judged without letting anything else run: about 15 ms
SHADOW_SLICE = 50  # payments that a shadow sees likewise
_TOLD_SECONDS = 10.0  # where judging failed is said once in that time; the metric counts every payment
MOST_UNWRITTEN = 20_000  # payments whose effects wait to be written; then the next ones wait, too


class Partition:
    """Judges the messages of one partition in order. `position` is the offset of the next message to be judged.

    What is judged is published, then absorbed, then written with the state; then it is done. When one of these fails,
    `on_failure` is told why, `position` stays, and nothing behind it is judged any more.
    """

    def __init__(
        self,
        number: int,
        engine: Engine,
        admission: Admission,
        metrics: Metrics,
        position: int,
        on_failure: Callable[[Exception], None],
        publisher: Publisher,
        feeds: Sequence[Feed] = (),
    ) -> None:
        self.number = number
        self.position = position
        self.publisher = publisher  # may be set anew between batches, when the partition is taken over again
        self._engine = engine
        engine.on_failure = self._tell
        self._told: dict[str, float] = {}  # where judging failed, and when that was said last
        self._admission = admission
        self._metrics = metrics
        self._on_failure = on_failure
        self._feeds = feeds
        self.unknown_before = position > 0  # what was before the first record is gone; which one that is will be seen
        self._fed: dict[str, tuple[frozenset[str], int]] = {}  # ids of history that may still come, and until when
        self._failed = False
        self.applying: Applying | None = None  # control inputs; without any the rules stay as they are
        self._log: StateLog | None = None
        self._written_at = monotonic()  # all that was judged by then is on the brokers, with its state
        self._undone: Batch | None = None  # the last that was absorbed, if it is not written yet
        self._writing = asyncio.Lock()
        self._turn = asyncio.Lock()  # held from the beginning of a batch until it is done or has failed
        self._settling: asyncio.Task[None] | None = None
        self._shadow: Shadow | None = None
        self._scored: list[tuple[str, Scored]] = []  # what the shadow is to see, once the verdicts are out
        self.on_published: Callable[[Judged], None] | None = None  # is told what was acknowledged, and not there before

    @property
    def program(self) -> Program:
        return self._engine.program

    @property
    def warming(self) -> int:
        """How many series do not reach back far enough yet, for some partition-key value and what comes on time."""
        return self._engine.state.lacking()

    @property
    def held_keys(self) -> int:
        """How many keys and ids are remembered."""
        return self._engine.state.size()

    @property
    def drift_events(self) -> int:
        """How many drift events the anomaly models remember."""
        return self._engine.state.drift_events()

    @property
    def snapshot_age(self) -> float:
        """How many seconds ago all that was judged was on the brokers with its state: a restore makes a state that is
        so old, or newer.
        """
        return monotonic() - self._written_at

    @property
    def snapshot_bytes(self) -> int:
        """How many bytes of state a restore would read; without what a standby had read when this one took over, until
        the next rotation is whole.
        """
        return 0 if self._log is None else self._log.size

    @property
    def last_record(self) -> int | None:
        """The number of the last record of the state that was written; `None` if none was."""
        return None if self._log is None else self._log.last

    async def state(self) -> tuple[int, bytes]:
        """The position, and the state that the partition has there, as bytes."""
        async with self._turn:
            return self.position, self._engine.dump()

    async def write_from_now_on(self, number: int = 0, whole: int | None = None, size: int = 0) -> None:
        """From now on a batch is done only when the state that contains it is written.

        `number` is that of the next record on the topic, `whole` the offset at which the rotation begins that the state
        was made of, of so many bytes; without one all that is remembered is written first. Raises PublishError.
        """
        self._log = StateLog(
            self._engine, self.position, lambda records: self.publisher.send_state(records), number, whole, size
        )
        if whole is None:
            self._metrics.state_bytes.inc(await self._log.write(self._log.everything()))
        self._written_at = monotonic()

    async def write(self) -> int | None:
        """Writes what changed since the last time, which is then done. Returns before which offset the topic of states
        is needed no more; `None` if that is not known.
        """
        async with self._writing:
            log = self._log
            async with self._turn:
                batch, self._undone = self._undone, None
                if log is None or self._failed:
                    return None
                taken_at = monotonic()
                if batch is None and not log.pending:
                    self._written_at = taken_at
                    return None
                records = log.changes(self.position)
            try:
                self._metrics.state_bytes.inc(await log.write(records))
            except Exception as error:
                self._fail(error)
                return None
            self._written_at = taken_at
            if batch is not None:
                batch.done()
            return log.obsolete

    def feed(self, instructions: Sequence[Instruction]) -> None:
        """Takes history into the windows, silently: before anything of the topic, in order of event time."""
        self._engine.assess(instructions)
        self._engine.absorb()

    def fed(self) -> None:
        """The end of history. Its ids are none of the topic's: what comes with one is judged."""
        self._fed = self._engine.forget_ids()

    def starts_at(self, us: int) -> None:
        """Says from which event time on history and topic hold everything."""
        self._engine.starts_at(us)

    def fed_again(self, records: Sequence[Record]) -> int:
        """How many of these messages are payments that were counted as history."""
        for key, (_, newest) in list(self._fed.items()):
            if not self._engine.accepts(key, newest):
                del self._fed[key]
        if not self._fed:
            return 0
        return sum(key in self._fed and each in self._fed[key][0] for key, each in self.keys_of(records))

    def keys_of(self, records: Sequence[Record], before: int | None = None) -> list[tuple[str, str]]:
        """The partition-key values and ids of the instructions among messages, those of before an event time."""
        key_of = self.program.partition_key
        return [
            (key_of(each), each.instruction_id)
            for each in self._admit(records)[0]
            if isinstance(each, Instruction) and (before is None or microseconds(each.event_time) < before)
        ]

    def rebuild(self, records: Sequence[Record], dispositions: deque[Again] | None = None) -> None:
        """Takes messages that were judged before into the windows again; nothing of it is published or counted.

        `dispositions`: those that counted from one of these messages on are taken from the left, and into the windows.
        """
        while dispositions and dispositions[0].first <= records[-1].offset:
            before = [each for each in records if each.offset < dispositions[0].first]
            if before:
                self.rebuild(before)
                records = records[len(before) :]
            self._dispose_again(dispositions.popleft())
        admitted, _ = self._admit(records)
        self._engine.assess([each for each in admitted if isinstance(each, Instruction)])
        self._engine.absorb()
        self.position = records[-1].offset + 1

    def let_go(self) -> None:
        """Judges, applies and writes nothing any more, and forgets its state: only a collection would find that."""
        self._failed = True
        self._log = self._shadow = self.applying = None
        self._engine.state.recorder = None  # it refers to the state
        self._engine = Engine(self.program)

    async def judge(self, batch: Batch) -> None:
        """Judges a batch and hands its outcomes to the producer, then returns; the brokers' answer is waited for aside.

        So the next partition is judged meanwhile, while the next batch of this partition waits.
        """
        if self._log is not None and self._log.pending > MOST_UNWRITTEN:
            await self.write()
        for part in self._parts(batch):
            if self.applying is not None and self.applying.next_again is not None:
                await self._apply_again(part.records[0].offset)
            await self._judge_part(part)

    def _parts(self, batch: Batch) -> Iterator[Batch]:
        """The batch, cut before payments before which something is to be applied again."""
        for first in () if self.applying is None else self.applying.firsts_before(batch.next_offset):
            before, batch = batch.cut(first)
            if before is not None:
                yield before
        yield batch

    async def _judge_part(self, batch: Batch) -> None:
        await self._turn.acquire()
        settling = False
        try:
            if not self._failed and batch.next_offset > self.position:
                judged, sent = await self._publish(batch.records)
                self._settling = asyncio.create_task(self._settle(batch, judged, sent))
                settling = True
        except Exception as error:
            self._fail(error)
        finally:
            if not settling:
                self._turn.release()

    async def apply(self) -> None:
        """Applies the control inputs that are due: first on record, then in force. What fails is told `on_failure`.

        What was published before this worker had the partition was judged without them, and is judged again so.
        A shadow detector that the rules ask for begins here, so before the first batch, and after a change of rules.
        """
        await self._apply_due()
        await self._begin_shadow()

    async def _apply_due(self) -> None:
        applying = self.applying
        if applying is None or self._failed:
            return
        try:
            if applying.owed:
                async with self._writing, self._turn:
                    owed, applying.owed = applying.owed, ()
                    await self._send_letters(owed)
            await self._apply_again(self.position)
            async with self._writing, self._turn:
                if self.position <= self.publisher.last_tail and applying.standing is not None:
                    return
                while not self._failed and applying.is_due and await self._take_due(applying):
                    pass
        except Exception as error:
            self._fail(error)

    async def _take_due(self, applying: Applying) -> bool:
        """Applies what is due now; whether more may be, since dispositions come after a change of rules."""
        due = applying.take(self._engine, self.position)
        await acknowledged(await self.publisher.send_on("applied", due.outputs()))
        await self._send_letters(due.letters)
        if due.program is not None:
            await self._switch(due.program)
        applying.done(due)
        for place, reason in due.refused():
            log.error("partition %d: offset %d of %s is not used: %s", self.number, place.offset, place.topic, reason)
        self._metrics.count_control(due.counts())
        return due.program is not None

    async def _send_letters(self, letters: Sequence[Output]) -> None:
        await acknowledged(await self.publisher.send_on("dead-letters", letters))
        self._metrics.count_refused(dict(headers)["reason"].decode() for _, _, headers in letters)

    async def _apply_again(self, offset: int) -> None:
        """Applies again what was applied up to the payment of an offset."""
        if self.applying is None or (self.applying.next_again or offset) > offset:
            return
        async with self._writing, self._turn:
            for each in self.applying.redo(offset):
                await self._redo(each)

    async def _redo(self, again: Again) -> None:
        self._dispose_again(again)
        if again.program is not None:
            await self._switch(again.program)

    def _dispose_again(self, again: Again) -> None:
        said = again.disposition
        if said is not None:
            self._engine.dispose(
                again.key, said.instruction_id, said.disposition_id, said.disposition, said.label, said.decision_id
            )

    async def _switch(self, program: Program) -> None:
        """Goes on with other rules; nothing is being judged or written, and what was judged by the old is written."""
        if program is self._engine.program:
            return
        if self._log is not None:
            batch, self._undone = self._undone, None
            self._metrics.state_bytes.inc(await self._log.write(self._log.changes(self.position)))
            if batch is not None:
                batch.done()
        if program.model != self.program.model:
            self._shadow = self._engine.on_scored = None
        self._engine.switch(program)
        self._metrics.judges_by(program.ruleset)
        log.info("partition %d: judged by %s from offset %d on", self.number, program.ruleset.hash, self.position)

    async def _begin_shadow(self) -> None:
        """Has the shadow detector see what is scored from now on, if the rules ask for one that does not yet."""
        shadow = shadow_of(self.program.model)
        if shadow is None or self._shadow is not None:
            return
        await asyncio.to_thread(shadow.prepare)
        if self._shadow is None and self.program.model == shadow.block:
            self._shadow = shadow
            self._engine.on_scored = lambda key, scored: self._scored.append((key, scored))

    async def _show(self) -> None:
        """Shows the shadow what was scored; others go on in between."""
        shadow, scored, self._scored = self._shadow, self._scored, []
        if shadow is None:
            return
        for start in range(0, len(scored), SHADOW_SLICE):
            for key, each in scored[start : start + SHADOW_SLICE]:
                shadow.see(key, each)
            self._metrics.count_shadow(shadow.taken())
            await asyncio.sleep(0)

    async def idle(self) -> None:
        """Waits until the batch that was begun is done, or has failed."""
        async with self._turn:
            pass
        await self.write()

    async def _publish(self, records: Sequence[Record]) -> tuple[list[Judged], list[Sent]]:
        records = [record for record in records if record.offset >= self.position]  # some come again after a seek
        judged: list[Judged] = []
        sent: list[Sent] = []
        for start in range(0, len(records), SLICE):
            judged.append(self._judge(records[start : start + SLICE]))
            sent += await self.publisher.send(judged[-1])
            await asyncio.sleep(0)
        return judged, sent

    async def _settle(self, batch: Batch, judged: Sequence[Judged], sent: Sequence[Sent]) -> None:
        try:
            await acknowledged(sent)
            self._engine.absorb()
            self.position = batch.next_offset
            if self._log is not None or self._failed:  # in a state that is not written yet, or never will be
                self._undone = batch
            else:
                batch.done()
            published = [self.publisher.unpublished(each) for each in judged]
            self._count(published)
            if self.on_published is not None:
                for each in published:
                    self.on_published(each)
            await self._show()
        except Exception as error:
            self._fail(error)
        finally:
            self._turn.release()

    def _tell(self, instruction: Instruction, error: Exception) -> None:
        place = place_of(error)
        if monotonic() - self._told.get(place, float("-inf")) < _TOLD_SECONDS:
            return
        self._told[place] = monotonic()
        log.error(
            "partition %d: judging instruction %s of %s failed with %s at %s: its verdict is %s; please report this",
            self.number,
            ascii(instruction.instruction_id),
            ascii(self.program.partition_key(instruction)[:64]),
            type(error).__name__,
            place,
            self.program.on_error,
        )

    def _fail(self, error: Exception) -> None:
        self._failed = True
        self._on_failure(error)

    def _admit(self, records: Sequence[Record]) -> tuple[list[Instruction | Refusal], int]:
        if self.unknown_before and records:
            self.unknown_before = False
            self.starts_at(reaching_back(self._feeds, complete_from(records[0].timestamp)))
        decoded, unknown = decode_batch([record.value for record in records])
        return self._admission.check(records, decoded), sum(unknown.values())

    def _judge(self, records: Sequence[Record]) -> Judged:
        admitted, unknown_fields = self._admit(records)
        started = perf_counter()
        outcomes = iter(self._engine.assess([each for each in admitted if isinstance(each, Instruction)]))
        self._metrics.engine.observe(perf_counter() - started)
        self._metrics.unknown_fields.inc(unknown_fields)
        return Judged(records, admitted, [each if isinstance(each, Refusal) else next(outcomes) for each in admitted])

    def _count(self, batch: Sequence[Judged]) -> None:
        now = time()
        for judged in batch:
            self._metrics.count(judged.outcomes)
            received = [
                record.timestamp
                for record, outcome in zip(judged.records, judged.outcomes, strict=True)
                if isinstance(outcome, Decision)
            ]
            self._metrics.latency.observe(np.maximum(now - np.array(received, dtype=np.float64) / 1000, 0.0))
        self._metrics.batch_size.observe(sum(len(judged.records) for judged in batch))
