"""The topics of an installation on Kafka, read in a group of their own from where the database says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from time import time
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from treasury_watch.adapters.acls import sink_group
from treasury_watch.adapters.cases.rows import Record
from treasury_watch.adapters.cases.sink import SourceLost
from treasury_watch.adapters.cases.store import Place
from treasury_watch.adapters.kafka.connection import broker_error, client_options
from treasury_watch.adapters.settings import Settings

log = logging.getLogger(__name__)

_BATCH: Final = 5000  # records in one transaction at most
_POLL_MS: Final = 200
_RETRY_SECONDS: Final = 1.0
_SILENT_MS: Final = 10_000  # brokers answer each fetch within half a second, records or none
_PATIENCE_MS: Final = 86_400_000  # the partitions stay ours while the database is away


class KafkaSource(ConsumerRebalanceListener):  # type: ignore[misc]
    """Records that were committed, of the partitions that the group assigns. Offsets are not committed to Kafka."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._assigned = 0  # how often partitions were assigned
        self._started = -1
        self._between = True  # assigned no more, or not yet
        self._heard = 0  # when the brokers last brought records, in milliseconds since 1970

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """The batch in hand may be written nevertheless: written twice it is there once."""
        self._between = True

    async def on_partitions_assigned(self, assigned: Any) -> None:
        self._assigned += 1
        self._between = False

    def moved(self) -> bool:
        return self._started != self._assigned

    def lacks(self) -> str | None:
        if self._between or self.moved():
            return "partitions"
        tps = self._consumer.assignment()
        if not tps:  # a sink in reserve, which is ready
            return None
        heard = [self._heard, *filter(None, map(self._consumer.last_poll_timestamp, tps))]
        return "brokers" if _now_ms() - max(heard) > _SILENT_MS else None

    async def start(self, positions: Mapping[Place, int]) -> None:
        assigned, tps = self._assigned, self._consumer.assignment()
        try:
            begins = await self._consumer.beginning_offsets(tps) if tps else {}
            ends = await self._consumer.end_offsets(tps) if tps else {}
            for tp in tps:
                wanted = positions.get((tp.topic, tp.partition), begins[tp])
                _check(tp, wanted, begins[tp], ends[tp])
                self._consumer.seek(tp, max(wanted, begins[tp]))
        except (KafkaError, IllegalStateError) as error:  # no broker, or assigned anew in between
            log.warning("waiting for brokers: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            self._started, self._heard = assigned, _now_ms()

    async def fetch(self) -> Sequence[Record]:
        fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
        if fetched:
            self._heard = _now_ms()
        return [record for records in fetched.values() for record in records]

    async def lag(self) -> Mapping[Place, int]:
        ends = {tp: self._consumer.last_stable_offset(tp) for tp in self._consumer.assignment()}
        known = [(tp, end) for tp, end in ends.items() if end is not None and not self.moved()]
        return {(tp.topic, tp.partition): max(end - await self._consumer.position(tp), 0) for tp, end in known}


def _now_ms() -> int:
    return int(time() * 1000)


def _check(tp: TopicPartition, wanted: int, begin: int, end: int) -> None:
    if wanted > end:
        raise SourceLost(
            f"{tp.topic}[{tp.partition}] ends at offset {end:,}, and was written up to {wanted:,}: the topic was made "
            "anew; see docs/cases.md"
        )
    if wanted < begin:
        log.error(
            "%s[%d]: offsets %d to %d were deleted before they were written, and are lost here",
            *(tp.topic, tp.partition, wanted, begin - 1),
        )


@asynccontextmanager
async def kafka_source(settings: Settings, topics: Sequence[str]) -> AsyncIterator[KafkaSource]:
    """A started source. Raises BrokerError."""
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        group_id=sink_group(settings.group),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_poll_interval_ms=_PATIENCE_MS,
    )
    source = KafkaSource(consumer)
    consumer.subscribe(topics, listener=source)
    try:
        await consumer.start()
        yield source
    except KafkaError as error:
        raise broker_error(settings, error) from error
    finally:
        try:
            await consumer.stop()
        except asyncio.CancelledError:  # without brokers the client breaks off its own stop
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
