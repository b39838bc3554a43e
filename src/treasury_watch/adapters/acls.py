"""Who may do what on the brokers: one table, from which ACLs are listed and created and what a login lacks is told.

Seven roles, each with the least that its work takes. Only the standard library is needed here, so that scripts may ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

Role = Literal["payment-system", "worker", "rule-publisher", "console", "sink", "auditor", "operator"]
Resource = Literal["topic", "group", "transactional-id"]
Operation = Literal["read", "write", "create", "delete", "describe", "describe-configs"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)

_READ: Final[tuple[Operation, ...]] = ("read",)
_WRITE: Final[tuple[Operation, ...]] = ("write",)
_BOTH: Final[tuple[Operation, ...]] = ("read", "write")
_SET_UP: Final[tuple[Operation, ...]] = ("create", "describe", "describe-configs")
_TOPICS: Final = (
    *("payments", "decisions", "intercepts", "warnings", "dead-letters"),
    *("dispositions", "rules", "reference", "applied", "state"),
)

# Reading and writing a topic include describing it. What is sent idempotently needs no right of its own.
TOPIC_RIGHTS: Final[Mapping[Role, Mapping[str, tuple[Operation, ...]]]] = {
    "payment-system": {
        "payments": _WRITE,
        **dict.fromkeys(("decisions", "intercepts", "warnings"), _READ),
        "dead-letters": _READ,  # what was refused has no verdict: its sender corrects it, or sends it again
    },
    "worker": {
        **dict.fromkeys(("payments", "rules", "reference", "dispositions"), _READ),
        **dict.fromkeys(("decisions", "intercepts", "warnings", "dead-letters", "applied"), _BOTH),  # reads their tails
        "state": (*_BOTH, "delete"),  # removes the records that a newer checkpoint makes superfluous
    },
    "rule-publisher": {**dict.fromkeys(("rules", "reference"), _BOTH), "applied": _READ},
    "console": {
        "dispositions": _BOTH,
        **dict.fromkeys(("decisions", "intercepts", "warnings", "dead-letters"), _READ),
    },
    "sink": dict.fromkeys(("decisions", "intercepts", "warnings", "dead-letters", "dispositions"), _READ),
    "auditor": dict.fromkeys(_TOPICS, _READ),
    "operator": dict.fromkeys(_TOPICS, _SET_UP),
}
OWN_GROUPS: Final[tuple[Role, ...]] = ("payment-system", "console", "auditor")  # readers with groups called as they are
LOOKS_AT_WORKERS: Final[tuple[Role, ...]] = ("rule-publisher", "auditor", "operator")  # who is in their group, how far


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """What a role may do with one resource, or with all whose names begin so (`prefixed`)."""

    role: Role
    resource: Resource
    name: str
    prefixed: bool
    operations: tuple[Operation, ...]


def rights(topic_prefix: str, group: str) -> Iterator[Right]:
    """The whole table, for topics that are called so and workers of this group, role by role."""
    for role in ROLES:
        for topic, operations in TOPIC_RIGHTS[role].items():
            yield Right(role, "topic", topic_prefix + topic, False, operations)
        if role == "worker":
            yield Right(role, "group", group, False, _READ)
            # A worker that takes over a partition shuts out the one before it under such an id.
            yield Right(
                role, "transactional-id", transactional_prefix(topic_prefix, group), True, ("write", "describe")
            )
        if role == "sink":
            yield Right(role, "group", sink_group(group), False, _READ)
        if role in OWN_GROUPS:
            yield Right(role, "group", role, True, _READ)
        if role in LOOKS_AT_WORKERS:
            yield Right(role, "group", group, False, ("describe",))


def transactional_prefix(topic_prefix: str, group: str) -> str:
    """What the transactional ids of a group's workers begin with; the number of the partition follows."""
    return f"{group}-{topic_prefix}payments-"


def sink_group(group: str) -> str:
    """The consumer group of the sinks that write what a group of workers publishes."""
    return f"console-{group}-sink"


def principals(named: Mapping[Role, Sequence[str]]) -> dict[Role, Sequence[str]]:
    """Who has each role, as brokers know them: those who are named, else `User:` and the role."""
    return {role: named.get(role) or [f"User:{role}"] for role in ROLES}
