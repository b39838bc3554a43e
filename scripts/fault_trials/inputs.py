"""Control inputs that come while a trial goes on: rule sets in turn, and what people decide about payments."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from treasury_watch.adapters.approvals import Approvals
from treasury_watch.adapters.bundles import Bundle, bundle_of
from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.control.publishing import NotPublished, publish_rules, roll_back
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.settings import Settings

from .topics import AWAY, REQUEST_MS, consuming, ended

DECIDED_AT = "2025-04-01T09:00:00+08:00"
RULES_SECONDS = (1.5, 4.0)
DISPOSITIONS_SECONDS = (0.2, 0.6)
MOST_AT_ONCE = 12
STOP_SECONDS = 60.0
REMEMBERED = 500  # cases, of which some are decided


class Inputs:
    """Publishes rule sets and dispositions until `stop`; what brokers that are away do not take is dropped."""

    def __init__(self, settings: Settings, rule_sets: list[Path], chance: Random) -> None:
        self.rules = 0
        self.dispositions = 0
        self._settings = settings
        self._rule_sets = rule_sets
        self._chance = chance
        self._cases: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self._sent: deque[tuple[bytes, bytes]] = deque(maxlen=50)
        self._partition_of = partitioner_of(settings.partitioner, settings.partitions)
        self._stopping = False
        self._tasks = [asyncio.create_task(each()) for each in (self._publish, self._see, self._decide)]

    async def stop(self) -> None:
        """Sends no more; what is under way is waited for, unless no broker takes it."""
        self._stopping = True
        publishing, seeing, deciding = self._tasks
        await ended(seeing)
        await asyncio.wait([publishing, deciding], timeout=STOP_SECONDS)
        for each in (publishing, deciding):
            with suppress(*AWAY):
                await ended(each)

    async def _publish(self) -> None:
        bundles = [bundle_of(each)[0] for each in self._rule_sets]
        while not self._stopping:
            await asyncio.sleep(self._chance.uniform(*RULES_SECONDS))
            bundle = bundles[self.rules % len(bundles)]
            with suppress(BrokerError, *AWAY):
                await asyncio.wait_for(self._make_current(bundle), 2 * REQUEST_MS / 1000)
                self.rules += 1

    async def _make_current(self, bundle: Bundle) -> None:
        """A rule set is published once; from then on rolling back makes it current."""
        try:
            await publish_rules(self._settings, Approvals(), bundle)
        except NotPublished:
            await roll_back(self._settings, Approvals(), bundle.ruleset, None)

    async def _see(self) -> None:
        """Remembers cases as they come."""
        names = ("intercepts", "warnings")
        tps = [
            TopicPartition(self._settings.topic(name), at) for name in names for at in range(self._settings.partitions)
        ]
        while True:
            with suppress(*AWAY):
                async with consuming(self._settings) as consumer:
                    await self._remember(consumer, tps)
            await asyncio.sleep(0.5)

    async def _remember(self, consumer: AIOKafkaConsumer, tps: list[TopicPartition]) -> None:
        consumer.assign(tps)
        while True:
            for batch in (await consumer.getmany(timeout_ms=500, max_records=200)).values():
                self._cases.extend(json.loads(each.value) for each in batch)

    async def _decide(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.bootstrap_servers, acks="all", enable_idempotence=True
        )
        await producer.start()
        try:
            while not self._stopping:
                await asyncio.sleep(self._chance.uniform(*DISPOSITIONS_SECONDS))
                futures = []
                for _ in range(self._chance.randint(1, MOST_AT_ONCE) if self._cases else 0):
                    key, value = self._message()
                    topic = self._settings.topic("dispositions")
                    futures.append(await producer.send(topic, value, key, self._partition_of(key)))
                    self.dispositions += 1
                await asyncio.gather(*futures, return_exceptions=True)
        finally:
            await producer.stop()

    def _message(self) -> tuple[bytes, bytes]:
        """Mostly what somebody decides of a case; some come twice, some are of unknown payments, some are nothing."""
        chance = self._chance
        case = chance.choice(self._cases)
        key = str(case["jurisdiction"]).encode()
        lot = chance.random()
        if lot < 0.08 and self._sent:
            return chance.choice(self._sent)
        if lot < 0.11:
            return key, chance.choice((b"{", b"", b'{"schema_version":1}', b"\xff\xfe"))
        instruction = "unknown" if lot < 0.16 else case["instruction_id"]
        disposition = {
            "schema_version": 1,
            "disposition_id": f"D-{self.dispositions:06d}",
            "instruction_id": instruction,
            "jurisdiction": "429999" if lot > 0.98 else case["jurisdiction"],
            "decision_id": case["decision_id"],
            "disposition": chance.choice(("release", "release", "return", "confirm")),
            "decided_by": "李复核",
            "decided_at": DECIDED_AT,
            "reason": "已核实",
            "label": chance.choice(("true_alarm", "false_alarm", None)),
        }
        message = key, json.dumps(disposition, ensure_ascii=False).encode()
        self._sent.append(message)
        return message
