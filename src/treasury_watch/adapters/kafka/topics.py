"""The topics of the contract: what they are called, how they are kept, creating them and checking them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import NewTopic
from aiokafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from treasury_watch.adapters.acls import TOPIC_RIGHTS, Role
from treasury_watch.adapters.bundles import MAX_BYTES
from treasury_watch.adapters.kafka.connection import BrokerError, administering, who
from treasury_watch.adapters.kafka.descriptions import Described, describe
from treasury_watch.adapters.settings import Settings

MAX_MESSAGE_BYTES = 1_048_588  # of payments: the brokers' default
HEADER_ROOM_BYTES = 65_536
_SEEN_TRIES, _SEEN_PAUSE_S = 100, 0.1
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
    """A topic that is not as it should be, or of which this login may do less than it should."""

    topic: str
    found: str
    expected: str
    right: bool = False  # it is one to this login only

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
    topics = {settings.topic(name): name for name in TOPICS}
    async with administering(settings) as admin:
        there = await describe(admin, topics)
        created = []
        for topic, name in topics.items():
            if there[topic].partitions:
                continue
            wanted = NewTopic(topic, partitions_of(name, settings), settings.replication, topic_configs=TOPICS[name])
            response = await admin.create_topics([wanted])
            for error in response.topic_errors:
                code, message = error[1], error[2] if len(error) > 2 else None
                if code == TopicAuthorizationFailedError.errno:
                    raise BrokerError(f"{topic} was not created: {who(settings)} has no right to create it")
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise BrokerError(f"{topic} was not created: {message or for_code(code).__name__}")
            created.append(topic)
        await _seen(admin, created)
    existing = {topic: there[topic] for topic in topics if there[topic].partitions}
    findings = [finding for topic, each in existing.items() for finding in _findings(settings, topics[topic], each)]
    return TopicReport(created, list(existing), findings)


async def _seen(admin: Any, topics: Sequence[str]) -> None:
    """Waits until a broker knows of topics that the controller has just made: what is started next asks a broker."""
    for _ in range(_SEEN_TRIES if topics else 0):
        if all(topic.partitions for topic in (await describe(admin, topics)).values()):
            return
        await asyncio.sleep(_SEEN_PAUSE_S)


async def check_topics(settings: Settings, role: Role | None = None) -> list[Finding]:
    """What keeps a worker from starting: topics missing or with another partition count. Raises BrokerError.

    With a role also: rights of it on topics that this login lacks.
    """
    topics = {settings.topic(name): name for name in TOPICS}
    async with administering(settings) as admin:
        there = await describe(admin, topics)
    return [finding for topic, name in topics.items() for finding in _findings(settings, name, there[topic], role)]


def advice(findings: Sequence[Finding]) -> str:
    """What to try: a line for each kind of finding."""
    lines = []
    if any(not each.right for each in findings):
        lines.append("try: treasury-watch topics create, and TREASURY_WATCH_PARTITIONS as the topics have it")
    if any(each.right for each in findings):
        lines.append("try: treasury-watch acls list, which says what each role needs")
    return "\n".join(lines)


def partitions_of(name: str, settings: Settings) -> int:
    """How many partitions a topic of the contract has: as many as payments, or one where all workers read all of it."""
    return 1 if name in _ONE_PARTITION else settings.partitions


def _findings(settings: Settings, name: str, topic: Described, role: Role | None = None) -> Iterator[Finding]:
    expected = partitions_of(name, settings)
    rights = f"the rights of {role}" if role else "a right to it"
    if not topic.visible:
        yield Finding(settings.topic(name), f"no right of {who(settings)} to see it", rights, right=True)
        return
    if topic.partitions != expected:
        yield Finding(
            settings.topic(name), _count(topic.partitions) if topic.partitions else "no such topic", _count(expected)
        )
    needed = TOPIC_RIGHTS[role].get(name, ()) if role else ()
    if lacking := [operation for operation in needed if operation not in topic.operations]:
        found = f"no right of {who(settings)} to {' and '.join(lacking)}"
        yield Finding(settings.topic(name), found, rights, right=True)


def _count(partitions: int) -> str:
    return f"{partitions} partition" if partitions == 1 else f"{partitions} partitions"
