"""The topics of the contract: what they are called, how they are kept, creating them and checking them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from treasury_watch.adapters.kafka.connection import BrokerError, client_options, no_answer
from treasury_watch.adapters.settings import Settings

MAX_MESSAGE_BYTES = 1_048_588  # of payments: the brokers' default
HEADER_ROOM_BYTES = 65_536

_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}

# Windows are rebuilt from payments, and audit reads the rest: nothing is deleted unless an operator says so.
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
}


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
    async with _admin(settings) as admin:
        counts = await _partition_counts(admin)
        created = []
        for name, config in TOPICS.items():
            topic = settings.topic(name)
            if topic in counts:
                continue
            wanted = NewTopic(topic, settings.partitions, settings.replication, topic_configs=config)
            response = await admin.create_topics([wanted])
            for error in response.topic_errors:
                code, message = error[1], error[2] if len(error) > 2 else None
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise BrokerError(f"{topic} was not created: {message or for_code(code).__name__}")
            created.append(topic)
    existing = [settings.topic(name) for name in TOPICS if settings.topic(name) in counts]
    return TopicReport(created, existing, _findings(settings, {topic: counts[topic] for topic in existing}))


async def check_topics(settings: Settings) -> list[Finding]:
    """What keeps a worker from starting: topics missing or with another partition count. Raises BrokerError."""
    async with _admin(settings) as admin:
        counts = await _partition_counts(admin)
    return _findings(settings, {settings.topic(name): counts.get(settings.topic(name), 0) for name in TOPICS})


def _findings(settings: Settings, counts: dict[str, int]) -> list[Finding]:
    return [
        Finding(topic, f"{count} partitions" if count else "no such topic", f"{settings.partitions} partitions")
        for topic, count in counts.items()
        if count != settings.partitions
    ]


async def _partition_counts(admin: Any) -> dict[str, int]:
    return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        yield admin
    except KafkaConnectionError as error:
        raise no_answer(settings) from error
    except KafkaError as error:
        raise BrokerError(f"{settings.bootstrap_servers}: {error}") from error
    finally:
        await admin.close()
