"""The topics of the contract: what they are called, how they are kept, creating them and checking them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiokafka.admin import NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from treasury_watch.adapters.bundles import MAX_BYTES
from treasury_watch.adapters.kafka.connection import BrokerError, administering
from treasury_watch.adapters.settings import Settings

MAX_MESSAGE_BYTES = 1_048_588  # of payments: the brokers' default
HEADER_ROOM_BYTES = 65_536
MAX_CONTROL_BYTES = MAX_BYTES + HEADER_ROOM_BYTES  # of a published rule set or table

_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}

# Windows are rebuilt from payments, and audit reads the rest: nothing is deleted unless an operator says so. What the
# worker no longer needs of its state it deletes itself, record by record.
TOPICS: dict[str, dict[str, str]] = {
    "payments": {
        **_FOR_EVER,
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
    },
    "decisions": _FOR_EVER,
    "intercepts": _FOR_EVER,
    "warnings": _FOR_EVER,
    "dead-letters": {**_FOR_EVER, "max.message.bytes": str(MAX_MESSAGE_BYTES + HEADER_ROOM_BYTES)},
    "dispositions": _FOR_EVER,
    "rules": {**_FOR_EVER, "max.message.bytes": str(MAX_CONTROL_BYTES)},
    "reference": {**_FOR_EVER, "max.message.bytes": str(MAX_CONTROL_BYTES)},
    "applied": _FOR_EVER,
    "state": {**_FOR_EVER, "max.message.bytes": str(MAX_MESSAGE_BYTES)},
}
# Control inputs are the same for all partitions, and with one partition they have one order.
_ONE_PARTITION = frozenset({"rules", "reference"})


@dataclass(frozen=True, slots=True)
class Finding:
    """A topic that is not as it should be."""

    topic: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.topic}: found {self.found}, expected {self.expected}"


@dataclass(frozen=True, slots=True)
class TopicReport:
    """What `create_topics` did and what it cannot put right."""

    created: list[str]
    existing: list[str]
    findings: list[Finding]


async def create_topics(settings: Settings) -> TopicReport:
    """Creates the topics that are missing and checks the others' partition counts; a second call changes nothing.

    Raises BrokerError.
    """
    async with administering(settings) as admin:
        counts = await _partition_counts(admin)
        created = []
        for name, config in TOPICS.items():
            topic = settings.topic(name)
            if topic in counts:
                continue
            wanted = NewTopic(topic, partitions_of(name, settings), settings.replication, topic_configs=config)
            response = await admin.create_topics([wanted])
            for error in response.topic_errors:
                code, message = error[1], error[2] if len(error) > 2 else None
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise BrokerError(f"{topic} was not created: {message or for_code(code).__name__}")
            created.append(topic)
    existing = {name: counts[settings.topic(name)] for name in TOPICS if settings.topic(name) in counts}
    return TopicReport(created, [settings.topic(name) for name in existing], _findings(settings, existing))


async def check_topics(settings: Settings) -> list[Finding]:
    """What keeps a worker from starting: topics missing or with another partition count. Raises BrokerError."""
    async with administering(settings) as admin:
        counts = await _partition_counts(admin)
    return _findings(settings, {name: counts.get(settings.topic(name), 0) for name in TOPICS})


def partitions_of(name: str, settings: Settings) -> int:
    """How many partitions a topic of the contract has: as many as payments, or one where all workers read all of it."""
    return 1 if name in _ONE_PARTITION else settings.partitions


def _findings(settings: Settings, counts: dict[str, int]) -> list[Finding]:
    return [
        Finding(settings.topic(name), _count(found) if found else "no such topic", _count(expected))
        for name, found in counts.items()
        if found != (expected := partitions_of(name, settings))
    ]


def _count(partitions: int) -> str:
    return f"{partitions} partition" if partitions == 1 else f"{partitions} partitions"


async def _partition_counts(admin: Any) -> dict[str, int]:
    return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
