"""Under which identity the outputs of a partition are sent, so that brokers refuse whoever had the partition before.

Brokers keep for every output partition the newest epoch of each producer id and take no batch of an older one. A worker
that takes over a partition asks for the next epoch of the partition's transactional id, and has it written to all its
output partitions by a transaction that consists of nothing but its end markers. What follows are ordinary batches under
that identity, without any cost per batch (ADR 0017).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import BrokerResponseError, InvalidProducerEpoch, KafkaError, for_code
from aiokafka.errors import ProducerFenced as RefusedBatch
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest

from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.settings import Settings

# Every topic of the contract to which the worker writes, on the partition number of the payments.
OUTPUTS = ("decisions", "intercepts", "warnings", "dead-letters", "applied", "state")
# Brokers forget a producer id that wrote nothing to a partition for a day, and an idle transactional id after a week.
KEEP_ALIVE_SECONDS = 3600.0

_TRANSACTION_TIMEOUT_MS = 60_000  # then the coordinator ends what a worker left open, unless its successor did
_SEQUENCES = 2**31
_OTHER_TRANSACTION_SECONDS = 0.005
_RETRY_SECONDS = 0.1
_SAY_SECONDS = 10.0

_DONE = 0
_OTHER_TRANSACTION = 51  # of the same id: about to end, or being aborted for us
# No topic (yet), timed out, coordinator loading, away, moved; not tried since another partition had one of these.
_LATER = frozenset({3, 7, 14, 15, 16, _OTHER_TRANSACTION, 55})
_REPLACED = frozenset({47, 49, 90})  # old epoch, other producer id, fenced

log = logging.getLogger(__name__)


class Fenced(Exception):
    """Another worker has taken over what this one still works for; the brokers take nothing of it any more."""

    def __init__(self, partition: int) -> None:
        super().__init__(
            f"partition {partition} was taken over by another worker, and this one is fenced: it publishes nothing more"
        )


class Abandoned(Exception):
    """Fencing was given up before it was done, as the partition is to be given back."""


@dataclass(slots=True)
class Identity:
    """Producer id and epoch for the outputs of one partition of the payments topic.

    Batches of a topic are signed in the order in which they are handed to the producer, by one sender at a time.
    """

    partition: int
    producer_id: int
    epoch: int
    _sequences: dict[str, int] = field(default_factory=dict)

    def sign(self, batch: Any, topic: str) -> None:
        """Puts the identity and the next sequence numbers of the topic on a whole, unsent batch of aiokafka's."""
        sequence = self._sequences.get(topic, 0)
        batch._set_producer_state(self.producer_id, self.epoch, sequence)
        self._sequences[topic] = (sequence + batch.record_count()) % _SEQUENCES


def refused_as_old(error: BaseException) -> bool:
    """Whether a batch was refused because its identity is an old one."""
    return isinstance(error, (RefusedBatch, InvalidProducerEpoch))


def transactional_id(settings: Settings, partition: int) -> str:
    """Under which brokers know the successive workers of a partition."""
    return f"{settings.group}-{settings.topic('payments')}-{partition}"


async def fence(
    producer: AIOKafkaProducer, settings: Settings, partition: int, abandoned: Callable[[], bool] = lambda: False
) -> Identity:
    """Shuts out whoever had the partition before; returns the identity under which its outputs are taken from now on.

    When it returns the markers stand on every output partition: what the predecessor sent is before them or refused.
    Waits for brokers that are away. Raises Fenced when another worker does the same later, Abandoned, and BrokerError
    when the brokers do not allow it.
    """
    coordinator = _Coordinator(producer.client, settings, partition, abandoned)
    request = InitProducerIdRequest(coordinator.transactional_id, _TRANSACTION_TIMEOUT_MS)
    response = await coordinator.ask(request, lambda answer: [answer.error_code])
    identity = Identity(partition, response.producer_id, response.producer_epoch)
    await _mark(coordinator, settings, identity)
    return identity


async def keep_alive(producer: AIOKafkaProducer, settings: Settings, identity: Identity) -> None:
    """Writes the markers again, so that idle partitions do not forget who was shut out.

    Raises Fenced and BrokerError; waits for brokers that are away.
    """
    await _mark(_Coordinator(producer.client, settings, identity.partition, lambda: False), settings, identity)


async def _mark(coordinator: _Coordinator, settings: Settings, identity: Identity) -> None:
    own = (coordinator.transactional_id, identity.producer_id, identity.epoch)
    partitions = [(settings.topic(name), [identity.partition]) for name in OUTPUTS]
    await coordinator.ask(AddPartitionsToTxnRequest(*own, partitions), _codes_of_partitions)
    # The first answer says that the transaction will be ended, that to a repetition that all markers are written.
    for _ in range(2):
        await coordinator.ask(EndTxnRequest(*own, True), lambda answer: [answer.error_code])


def _codes_of_partitions(answer: Any) -> list[int]:
    return [code for _, partitions in answer.errors for _, code in partitions]


class _Coordinator:
    """The broker that keeps the transactional id of a partition, asked until it has an answer."""

    def __init__(
        self, client: AIOKafkaClient, settings: Settings, partition: int, abandoned: Callable[[], bool]
    ) -> None:
        self.transactional_id = transactional_id(settings, partition)
        self._client = client
        self._partition = partition
        self._abandoned = abandoned
        self._node: int | None = None

    async def ask(self, request: Any, codes_of: Callable[[Any], Sequence[int]]) -> Any:
        """The first answer whose codes are all 0. Raises Fenced, Abandoned and BrokerError."""
        loop = asyncio.get_running_loop()
        said = loop.time()
        while True:
            if self._abandoned():
                raise Abandoned
            answer, error = await self._answer(request)
            codes = set() if answer is None else set(codes_of(answer)) - {_DONE}
            if answer is not None and not codes:
                return answer
            if codes & _REPLACED:
                raise Fenced(self._partition)
            if codes - _LATER:
                error = _named(codes - _LATER)
                raise BrokerError(f"partition {self._partition} cannot be fenced ({self.transactional_id}): {error}")
            if codes == {_OTHER_TRANSACTION}:
                await asyncio.sleep(_OTHER_TRANSACTION_SECONDS)
                continue
            self._node = None
            if loop.time() - said > _SAY_SECONDS:
                said = loop.time()
                log.warning(
                    "partition %d: waiting for the brokers to shut out its last worker: %s",
                    self._partition,
                    _named(codes) if codes else error,
                )
            await self._client.force_metadata_update()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _answer(self, request: Any) -> tuple[Any, str]:
        """The answer, or None and why there is none. Raises BrokerError for what will not pass."""
        try:
            if self._node is None:
                self._node = await self._client.coordinator_lookup(CoordinationType.TRANSACTION, self.transactional_id)
            return await self._client.send(self._node, request, group=ConnectionGroup.COORDINATION), ""
        except KafkaError as error:
            if not error.retriable:
                raise BrokerError(
                    f"partition {self._partition} cannot be fenced ({self.transactional_id}): {error}"
                ) from error
            return None, str(error)


def _named(codes: Iterable[int]) -> str:
    errors: list[type[BrokerResponseError]] = [for_code(code) for code in sorted(codes)]
    return ", ".join(error.__name__ for error in errors)
