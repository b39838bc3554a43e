"""How a predecessor is shut out: what is asked of the coordinator, and what its answers lead to."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, TransactionalIdAuthorizationFailed

from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.fencing import OUTPUTS, Abandoned, Fenced, Identity, fence, keep_alive
from treasury_watch.adapters.settings import load_settings

SETTINGS = load_settings(group="city", topic_prefix="t.")
INIT, ADD, END = "InitProducerIdRequest", "AddPartitionsToTxnRequest", "EndTxnRequest"
DONE, NO_TOPIC, NOT_COORDINATOR, OLD_EPOCH, BUSY, NOT_TRIED = 0, 3, 16, 47, 51, 55


class Coordinator:
    """A client of brokers whose answers to each kind of request are given; the last of them is repeated."""

    def __init__(self, **answers: Iterable[int | Exception]) -> None:
        self.client = self
        self.asked: list[str] = []
        self.requests: list[Any] = []
        self.lookups: list[str] = []
        self._answers = {INIT: [DONE], ADD: [DONE], END: [DONE]} | {name: list(each) for name, each in answers.items()}

    async def coordinator_lookup(self, kind: object, key: str) -> int:
        self.lookups.append(key)
        return 1

    async def force_metadata_update(self) -> None:
        pass

    async def send(self, node: int, request: Any, *, group: object) -> Any:
        name = type(request).__name__
        self.asked.append(name)
        self.requests.append(request)
        answers = self._answers[name]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        if name == ADD:
            return SimpleNamespace(errors=[("t.decisions", [(2, answer)]), ("t.state", [(2, answer and NOT_TRIED)])])
        return SimpleNamespace(error_code=answer, producer_id=7, producer_epoch=3)

    async def fence(self, **how: Any) -> Identity:
        return await fence(cast(AIOKafkaProducer, self), SETTINGS, 2, **how)


class Batch:
    """As many records as a test says; keeps what it is signed with."""

    def __init__(self, records: int) -> None:
        self._records = records
        self.signature: tuple[int, int, int] | None = None

    def record_count(self) -> int:
        return self._records

    def _set_producer_state(self, producer_id: int, epoch: int, sequence: int) -> None:
        self.signature = (producer_id, epoch, sequence)


def sequences(identity: Identity, *batches: tuple[str, int]) -> list[int]:
    """The sequence numbers at which batches of so many records of topics begin."""
    signed = []
    for topic, records in batches:
        batch = Batch(records)
        identity.sign(batch, topic)
        assert batch.signature is not None
        assert batch.signature[:2] == (identity.producer_id, identity.epoch)
        signed.append(batch.signature[2])
    return signed


async def test_the_next_epoch_is_marked_on_every_output_and_the_markers_are_waited_for() -> None:
    coordinator = Coordinator(EndTxnRequest=[DONE, BUSY, BUSY, DONE])
    identity = await coordinator.fence()
    assert (identity.partition, identity.producer_id, identity.epoch) == (2, 7, 3)
    assert coordinator.asked == [INIT, ADD, END, END, END, END]
    assert coordinator.lookups == ["city-t.payments-2"]
    assert coordinator.requests[1]._topics == [(f"t.{name}", [2]) for name in OUTPUTS]


async def test_what_a_predecessor_left_open_is_waited_for() -> None:
    coordinator = Coordinator(InitProducerIdRequest=[BUSY, BUSY, DONE], AddPartitionsToTxnRequest=[BUSY, DONE])
    await coordinator.fence()
    assert coordinator.asked == [INIT, INIT, INIT, ADD, ADD, END, END]


@pytest.mark.parametrize("passing", [KafkaConnectionError(), NO_TOPIC, NOT_COORDINATOR])
async def test_brokers_that_are_away_or_have_moved_are_waited_for_and_looked_up_again(passing: Any) -> None:
    coordinator = Coordinator(AddPartitionsToTxnRequest=[passing, DONE])
    await coordinator.fence()
    assert coordinator.asked == [INIT, ADD, ADD, END, END]
    assert len(coordinator.lookups) == 2


@pytest.mark.parametrize("request_name", [ADD, END])
async def test_who_is_shut_out_meanwhile_is_told(request_name: str) -> None:
    coordinator = Coordinator(**{request_name: [OLD_EPOCH]})
    with pytest.raises(Fenced, match=r"^partition 2 was taken over by another worker, and this one is fenced"):
        await coordinator.fence()


@pytest.mark.parametrize("answer", [TransactionalIdAuthorizationFailed.errno, TransactionalIdAuthorizationFailed()])
async def test_a_right_that_is_missing_is_told_with_the_id_that_it_is_missing_for(answer: Any) -> None:
    coordinator = Coordinator(InitProducerIdRequest=[answer])
    with pytest.raises(BrokerError, match=r"partition 2 cannot be fenced \(city-t.payments-2\): .*TransactionalIdAuth"):
        await coordinator.fence()


async def test_nothing_is_asked_for_a_partition_that_is_to_be_given_back() -> None:
    coordinator = Coordinator(InitProducerIdRequest=[NOT_COORDINATOR])
    with pytest.raises(Abandoned):
        await coordinator.fence(abandoned=lambda: len(coordinator.asked) == 2)
    assert coordinator.asked == [INIT, INIT]


async def test_an_identity_is_kept_alive_by_its_markers() -> None:
    coordinator = Coordinator()
    await keep_alive(cast(AIOKafkaProducer, coordinator), SETTINGS, Identity(2, 8, 5))
    assert coordinator.asked == [ADD, END, END]
    assert {(each._producer_id, each._producer_epoch) for each in coordinator.requests} == {(8, 5)}


def test_sequence_numbers_count_the_records_of_each_topic() -> None:
    assert sequences(Identity(2, 7, 3), ("a", 3), ("b", 2), ("a", 500), ("a", 1), ("b", 1)) == [0, 0, 3, 503, 2]


def test_behind_the_greatest_sequence_number_comes_0() -> None:
    most = 2**31 - 1
    assert sequences(Identity(2, 7, 3), ("a", most), ("a", 1), ("a", 1)) == [0, most, 0]
    assert sequences(Identity(2, 7, 3), ("a", most), ("a", 3), ("a", 1)) == [0, most, 2]
