"""Partitions taken over and given back. Where windows are read again from Kafka, the integration tests look."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from tests.adapters.kafka.records import FakeRecord
from tests.builders import make_instruction
from tests.rulesets import make_ruleset
from treasury_watch.adapters.kafka import assignment
from treasury_watch.adapters.kafka.assignment import Assignment
from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.control.applying import Again, Applying
from treasury_watch.adapters.kafka.control.steering import Steering
from treasury_watch.adapters.kafka.driver import Batch, Consumer
from treasury_watch.adapters.kafka.fencing import Abandoned, Fenced
from treasury_watch.adapters.kafka.partition import Partition
from treasury_watch.adapters.kafka.publisher import Judged, Output, Publisher, PublishError, Sent
from treasury_watch.adapters.kafka.restore import Restored, StateTopic
from treasury_watch.adapters.metrics import Metrics
from treasury_watch.adapters.settings import load_settings
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.engine import Engine, Program

RULESET = make_ruleset()
P0, P1 = TP("payments", 0), TP("payments", 1)


class Group:
    """A consumer that knows committed offsets; every partition begins at offset 0."""

    def __init__(self, **committed: int) -> None:
        self.offsets = {TP("payments", int(name.removeprefix("p"))): offset for name, offset in committed.items()}
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.answer.set()
        self.done: dict[TP, int] = {}

    async def committed(self, tps: Iterable[TP]) -> dict[TP, int | None]:
        self.asked.set()
        await self.answer.wait()
        return {tp: self.offsets.get(tp) for tp in tps}

    async def earliest_offsets(self, *tps: TP) -> Mapping[TP, int]:
        return dict.fromkeys(tps, 0)

    def assignment(self) -> set[TP]:
        return set()

    def batch_done(self, tp: TP, next_offset: int) -> None:
        self.done[tp] = next_offset


class Outbox:
    """The publisher of a partition; it acknowledges at once, or does not take anything."""

    def __init__(self, number: int, last_tail: int = -1) -> None:
        self.number = number
        self.last_tail = last_tail
        self.offsets: list[int] = []
        self.failure: Exception | None = None
        self.fenced: Exception | None = None
        self.states = 0  # records of the partition's state that were sent

    async def send(self, judged: Judged) -> list[Sent]:
        if self.failure:
            raise self.failure
        self.offsets += [record.offset for record in judged.records]
        return []

    def unpublished(self, judged: Judged) -> Judged:
        return judged

    async def send_state(self, records: Sequence[Output]) -> list[Sent]:
        if self.failure:
            raise self.failure
        self.states += len(records)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(SimpleNamespace(offset=0))
        return [Sent("state", self.number, future)]

    async def keep_alive(self) -> None:
        if self.fenced:
            raise self.fenced


class States:
    """A topic of states on which nothing was ever written, as far as it says, or a state of an offset."""

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
        self.of_others = 0  # records that another worker wrote
        self.restored: list[int] = []
        self.position: int | None = None
        self.deletions: list[Mapping[int, int]] = []

    async def delete_before(self, offsets: Mapping[int, int]) -> None:
        self.deletions.append(offsets)

    async def restore(self, program: Program, partition: int, abandoned: Callable[[], bool]) -> Restored | None:
        self.restored.append(partition)
        return None if self.position is None else Restored(Engine(program), self.position, 0, 0, 0, None)

    async def last_number(self, partition: int) -> int | None:
        return self.of_others + sum(each.states for each in self._brokers.taken if each.number == partition) - 1


class OnCourse:
    """A partition to which nothing was ever applied but the rules that it has."""

    def __init__(self, partition: int, program: Program, followed: list[int]) -> None:
        self._partition = partition
        self._program = program
        self._followed = followed

    async def restored(self, states: States, end: int, abandoned: Callable[[], bool]) -> Restored | None:
        return await states.restore(self._program, self._partition, abandoned)

    async def program_at(self, position: int) -> Program:
        return self._program

    async def dispositions(self, begin: int, end: int) -> list[Again]:
        return []

    async def applying(self, position: int, restored: bool = False) -> None:
        self._followed.append(position)


class Steered:
    """Judges all partitions by one rule set, which is on record from the beginning."""

    def __init__(self) -> None:
        self.ruleset = RULESET
        self.program = Program(RULESET)
        self.held: dict[int, Applying] = {}
        self.followed: list[int] = []  # from which offsets on what was applied is gone through

    async def taken(self, positions: Mapping[int, int]) -> dict[int, OnCourse]:
        return {number: OnCourse(number, self.program, self.followed) for number in positions}

    def hold(self, partitions: Mapping[int, Applying]) -> None:
        self.held = dict(partitions)


class Brokers:
    """Whose outputs were taken, in order; `answer` is waited for, and `failure` raised, before they are."""

    def __init__(self) -> None:
        self.taken: list[Outbox] = []
        self.answer = asyncio.Event()
        self.answer.set()
        self.failure: Exception | None = None

    async def take_outputs(self, partitions: Sequence[int], abandoned: Callable[[], bool]) -> Mapping[int, Publisher]:
        await self.answer.wait()
        if abandoned():
            raise Abandoned
        if self.failure:
            raise self.failure
        outboxes = {number: Outbox(number, self.tail(number)) for number in partitions}
        self.taken += outboxes.values()
        return cast(Mapping[int, Publisher], outboxes)

    def outbox(self, number: int) -> Outbox:
        """The newest of a partition."""
        return [each for each in self.taken if each.number == number][-1]

    def tail(self, number: int) -> int:
        return max((offset for each in self.taken if each.number == number for offset in each.offsets), default=-1)

    @property
    def offsets(self) -> list[int]:
        return [offset for each in self.taken for offset in each.offsets]


class Setting:
    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.brokers = Brokers()
        self.metrics = Metrics(RULESET)
        settings = load_settings(partitions=4)
        take_outputs = self.brokers.take_outputs
        self.states = States(self.brokers)
        self.steered = Steered()
        self.assignment = Assignment(
            settings,
            cast(Steering, self.steered),
            self.metrics,
            self.failures.append,
            take_outputs,
            cast(StateTopic, self.states),
        )

    async def take_over(self, *tps: TP, group: Group) -> bool:
        return await self.assignment.take_over(tps, cast(Consumer, group))

    async def judge(self, tp: TP, offset: int) -> None:
        value = encode_instruction(make_instruction(instruction_id=f"P{offset}"))
        batch = Batch(tp, [FakeRecord(value, offset=offset)], lambda tp, offset: None)
        await self.assignment.judge(batch)
        await self.assignment.idle()


@pytest.fixture
def setting() -> Setting:
    return Setting()


async def test_a_partition_never_judged_is_read_from_its_beginning(setting: Setting) -> None:
    assert not setting.assignment.ready
    assert await setting.take_over(P0, P1, group=Group())
    assert setting.assignment.ready
    assert setting.assignment.positions() == {P0: 0, P1: 0}


async def test_a_worker_without_partitions_is_ready(setting: Setting) -> None:
    assert await setting.take_over(group=Group())
    assert setting.assignment.ready


async def test_a_batch_of_a_partition_that_is_not_held_is_left_alone(setting: Setting) -> None:
    await setting.take_over(P0, group=Group())
    await setting.judge(P1, 0)
    setting.assignment.give_back([P0])
    await setting.judge(P0, 0)
    assert setting.brokers.offsets == []
    assert not setting.assignment.ready
    assert setting.assignment.positions() == {}


async def test_a_partition_that_comes_back_unchanged_keeps_its_windows_and_publishes_as_the_newest(
    setting: Setting,
) -> None:
    group = Group()
    await setting.take_over(P0, group=group)
    await setting.judge(P0, 0)
    setting.assignment.give_back([P0])
    group.offsets[P0] = 1
    assert await setting.take_over(P0, group=group)  # anything else would be read from Kafka, and there is none
    assert setting.assignment.positions() == {P0: 1}
    await setting.judge(P0, 1)
    assert [each.offsets for each in setting.brokers.taken] == [[0], [1]]


async def test_a_partition_whose_state_another_worker_wrote_meanwhile_is_restored_though_it_judged_nothing(
    setting: Setting,
) -> None:
    group = Group()
    await setting.take_over(P0, group=group)
    setting.assignment.give_back([P0])
    setting.states.of_others = 1
    assert await setting.take_over(P0, group=group)
    assert setting.states.restored == [0, 0]


async def test_a_state_that_others_have_now_is_let_go_though_python_makes_no_full_collection(
    setting: Setting,
) -> None:
    group = Group()
    await setting.take_over(P0, P1, group=group)
    engines = [weakref.ref(setting.assignment._held[tp]._engine) for tp in (P0, P1)]
    gc.disable()
    try:
        setting.assignment.give_back([P0, P1])
        assert await setting.take_over(P0, group=group)
        assert [each() is None for each in engines] == [False, True]
        setting.assignment.give_back([P0])
        setting.states.of_others = 1
        assert await setting.take_over(P0, group=group)
        assert engines[0]() is None
    finally:
        gc.enable()


async def test_a_state_is_let_go_also_where_the_take_over_that_found_it_of_no_use_was_broken_off(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group()
    await setting.take_over(P0, P1, group=group)
    engines = [weakref.ref(setting.assignment._held[tp]._engine) for tp in (P0, P1)]
    restore = setting.states.restore

    async def broken_off(*given: Any) -> Restored | None:
        setting.assignment.give_back([])
        return await restore(*given)

    gc.disable()
    try:
        setting.assignment.give_back([P0, P1])
        setting.states.of_others = 1
        with monkeypatch.context() as patch:
            patch.setattr(setting.states, "restore", broken_off)
            assert not await setting.take_over(P0, P1, group=group)
        setting.states.of_others = 0
        assert await setting.take_over(P0, P1, group=group)
        assert [each() is None for each in engines] == [True, False]
    finally:
        gc.enable()


async def test_windows_that_are_built_again_leave_nothing_of_those_before(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rebuilt(partition: Partition, position: int, *_: Any) -> int:
        partition.position = position
        return position

    monkeypatch.setattr(assignment, "rebuild", rebuilt)
    await setting.take_over(P0, group=Group())
    await setting.judge(P0, 0)
    engine = weakref.ref(setting.assignment._held[P0]._engine)
    gc.disable()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Partition, "fed_again", lambda self, records: 1)
            await setting.judge(P0, 1)
        assert engine() is None
    finally:
        gc.enable()
    await setting.judge(P0, 2)
    assert not setting.failures


async def test_what_is_needed_of_states_no_more_is_deleted_now_and_then(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = {0: 10, 1: None}

    async def write(partition: Partition) -> int | None:
        return needed[partition.number]

    monkeypatch.setattr(Partition, "write", write)
    await setting.take_over(P0, P1, group=Group())
    await setting.assignment.write()
    needed[1] = 5
    await setting.assignment.write()
    assert setting.states.deletions == [{0: 10}]
    monkeypatch.setattr(assignment, "DELETE_SECONDS", 0.0)
    needed[0] = None
    await setting.assignment.write()
    needed[1] = None
    await setting.assignment.write()
    assert setting.states.deletions == [{0: 10}, {0: 10, 1: 5}]


async def test_taking_over_is_abandoned_when_the_next_rebalance_begins(setting: Setting) -> None:
    group = Group()
    group.answer.clear()
    taking_over = asyncio.create_task(setting.take_over(P0, group=group))
    await group.asked.wait()
    setting.assignment.give_back([])
    group.answer.set()
    assert not await taking_over
    assert setting.assignment.positions() == {}
    assert not setting.assignment.ready


async def test_after_a_failure_nothing_is_held_and_nothing_is_taken_over(setting: Setting) -> None:
    await setting.take_over(P0, P1, group=Group())
    failure = setting.brokers.outbox(0).failure = PublishError("disk full")
    await setting.judge(P0, 0)
    setting.brokers.outbox(0).failure = None
    await setting.judge(P0, 1)
    await setting.judge(P1, 0)
    assert (setting.failures, setting.brokers.offsets) == ([failure], [])
    assert not await setting.take_over(P0, P1, group=Group())
    assert len(setting.brokers.taken) == 2
    assert setting.assignment.positions() == {}


async def test_outputs_are_not_taken_for_a_rebalance_that_is_over(setting: Setting) -> None:
    setting.brokers.answer.clear()
    taking_over = asyncio.create_task(setting.take_over(P0, group=Group()))
    await asyncio.sleep(0)
    setting.assignment.give_back([])
    idle = asyncio.create_task(setting.assignment.idle())
    await asyncio.sleep(0)
    assert not idle.done()  # the group is not told yet that the partitions are free
    setting.brokers.answer.set()
    assert not await taking_over
    await idle
    assert (setting.brokers.taken, setting.failures) == ([], [])


@pytest.mark.parametrize("failure", [Fenced(0), BrokerError("not allowed")])
async def test_when_outputs_cannot_be_taken_nothing_is_held(setting: Setting, failure: Exception) -> None:
    setting.brokers.failure = failure
    assert not await setting.take_over(P0, group=Group())
    assert setting.failures == [failure]
    assert setting.assignment.positions() == {}


async def test_a_worker_that_was_replaced_while_nothing_came_finds_out_when_it_keeps_its_identity_alive(
    setting: Setting,
) -> None:
    await setting.take_over(P0, P1, group=Group())
    await setting.assignment.keep_alive()
    assert setting.failures == []
    fenced = setting.brokers.outbox(1).fenced = Fenced(1)
    await setting.assignment.keep_alive()
    assert setting.failures == [fenced]
    assert b"treasury_watch_fenced_total 1.0" in setting.metrics.exposition()
    assert setting.assignment.positions() == {}


async def test_an_identity_that_was_given_back_may_be_replaced(setting: Setting) -> None:
    await setting.take_over(P0, group=Group())
    setting.brokers.outbox(0).fenced = Fenced(0)
    setting.assignment.give_back([P0])
    await setting.assignment.keep_alive()
    assert setting.failures == []


async def test_more_partitions_than_the_settings_say_are_an_error(setting: Setting) -> None:
    with pytest.raises(BrokerError, match=r"^payments has a partition 4, expected 4 partitions$"):
        await setting.take_over(P0, TP("payments", 4), group=Group())


async def test_messages_deleted_before_they_were_judged_are_said_aloud(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    await setting.take_over(P0, group=Shortened(p0=4))
    assert "partition 0: the messages of offsets 4 to 9 were deleted before they were judged" in caplog.text
    assert setting.assignment.positions() == {P0: 10}


class Shortened(Group):
    """Of the payments the first ten were deleted."""

    async def earliest_offsets(self, *tps: TP) -> Mapping[TP, int]:
        return dict.fromkeys(tps, 10)


async def test_what_was_applied_to_payments_that_were_deleted_unread_is_applied_again(setting: Setting) -> None:
    """Else the partition would go on by the rules of its state, while the log says that others are in force."""
    setting.states.position = 4
    await setting.take_over(P0, group=Shortened(p0=4))
    assert setting.assignment.positions() == {P0: 10}
    assert setting.steered.followed == [4]


@pytest.mark.parametrize(("committed", "done"), [(3, {P0: 5}), (5, {})])
async def test_what_a_predecessor_wrote_and_did_not_commit_is_committed_though_nothing_comes(
    setting: Setting, committed: int, done: dict[TP, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def end_of_payments(*_: Any) -> int:
        return 5

    monkeypatch.setattr(assignment, "end_of_payments", end_of_payments)
    setting.states.position = 5
    group = Group(p0=committed)
    assert await setting.take_over(P0, group=group)
    assert group.done == done


@pytest.mark.parametrize(("committed", "state", "held"), [(3, 3, True), (4, 3, False), (3, 4, False)])
async def test_a_topic_that_ends_before_what_was_judged_stops_the_worker(
    setting: Setting, committed: int, state: int, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was made anew or lost messages: what comes next would be passed over as judged."""

    async def end_of_payments(*_: Any) -> int:
        return 3

    monkeypatch.setattr(assignment, "end_of_payments", end_of_payments)
    setting.states.position = state
    assert await setting.take_over(P0, group=Group(p0=committed)) == held
    assert [str(each).partition(":")[0] for each in setting.failures] == (
        [] if held else ["payments[0] was judged up to offset 4, but ends before offset 3"]
    )


async def test_windows_that_are_built_again_without_history_get_what_was_applied_at_their_very_end(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disposition that came behind the last payment is in no payment that is judged again."""

    async def rebuild(partition: Partition, committed: int, *_: Any) -> int:
        partition.position = committed
        return committed

    monkeypatch.setattr(assignment, "rebuild", rebuild)
    await setting.take_over(P0, group=Group())
    await setting.judge(P0, 0)
    monkeypatch.setattr(Partition, "fed_again", lambda self, records: 1)
    await setting.judge(P0, 1)
    assert setting.steered.followed == [0, 1]
    assert setting.brokers.offsets == [0, 1]
