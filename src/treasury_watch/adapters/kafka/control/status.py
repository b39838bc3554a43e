"""What is live where: by the applied log of each partition, and by who has it in the workers' group."""

from __future__ import annotations

from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError

from treasury_watch.adapters.approvals import Approvals
from treasury_watch.adapters.kafka.connection import BrokerError, administering
from treasury_watch.adapters.kafka.control.applied import AppliedLog, Standing, Unused, read_log
from treasury_watch.adapters.kafka.control.publishing import topics
from treasury_watch.adapters.kafka.control.topic import there
from treasury_watch.adapters.kafka.control.versions import Version
from treasury_watch.adapters.kafka.reader import reader
from treasury_watch.adapters.settings import Settings

_ANY = 1 << 62  # behind every payment: the end of the log is enough
_POLL_MS = 20


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """By what one partition is judged, since which payment, and which newer inputs are not used there: topic, offset
    and why. `worker` is `None` when nobody has it, or when that cannot be found out.
    """

    partition: int
    worker: str | None
    standing: Standing | None
    since: int | None
    applied_at: str | None
    refused: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, slots=True)
class Status:
    """The current rule set of the topic, and each partition."""

    current: Version | None
    partitions: tuple[PartitionStatus, ...]

    @property
    def behind(self) -> list[PartitionStatus]:
        """Those that are judged by other rules than the current set, or do not use something newer."""
        wanted = None if self.current is None else self.current.ruleset
        return [
            each
            for each in self.partitions
            if each.refused or each.standing is None or each.standing.published != wanted
        ]


async def status(settings: Settings, approvals: Approvals) -> Status:
    """What is live where, now. Raises BrokerError."""
    await there(settings, "rules", "applied")
    versions = (await topics(settings, approvals)).versions
    workers = await _workers(settings)
    tps = [TopicPartition(settings.topic("applied"), number) for number in range(settings.partitions)]
    async with reader(settings, tps, _POLL_MS) as consumer:
        logs = [await read_log(consumer, tp, _ANY) for tp in tps]
    current = versions.current
    partitions = tuple(_partition(number, workers.get(number), log, current) for number, log in enumerate(logs))
    return Status(current, partitions)


def _partition(number: int, worker: str | None, log: AppliedLog, current: Version | None) -> PartitionStatus:
    standing = log.standing
    since = [each.applied for each in log.entries if each.applied.standing == standing]
    return PartitionStatus(
        number,
        worker,
        standing,
        since[0].first if since else None,
        since[0].applied_at if since else None,
        tuple(
            (each.input.topic, each.input.offset, each.reason)
            for each in since
            if isinstance(each, Unused) and standing is not None and _is_newer(each, standing, current)
        ),
    )


def _is_newer(refused: Unused, standing: Standing, current: Version | None) -> bool:
    """Whether a rule set or reference data would have taken the place of what is in force.

    A rule set would not any more once the current one is newer, also where that is the one in force again, by a
    rollback: nothing of it is on record.
    """
    if refused.input.topic == standing.rules.topic:
        at_least = 0 if current is None else current.offset
        return refused.input.offset > standing.rules.offset and refused.input.offset >= at_least
    reference = standing.reference
    return refused.input.topic.endswith("reference") and (reference is None or refused.input.offset > reference.offset)


async def _workers(settings: Settings) -> dict[int, str]:
    """Which client of the workers' group has which partition; empty where brokers do not say."""
    found: dict[int, str] = {}
    try:
        async with administering(settings) as admin:
            for answer in await admin.describe_consumer_groups([settings.group]):
                for _, _, _, _, _, members, *_ in answer.groups:
                    for _, client, _, _, assignment, *_ in members:
                        if not assignment:
                            continue
                        for tp in ConsumerProtocolMemberAssignment.decode(assignment).partitions():
                            if tp.topic == settings.topic("payments"):
                                found[tp.partition] = client.removeprefix("treasury-watch-")
    except (BrokerError, KafkaError):
        return {}
    return found
