"""ACLs on the brokers: creating those of the table that are missing, finding those that are not of the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka.errors import NoError, for_code
from aiokafka.protocol.admin import CreateAclsRequest_v1, DescribeAclsRequest_v1
from aiokafka.protocol.api import Request

from treasury_watch.adapters.acls import Role, rights
from treasury_watch.adapters.kafka.connection import BrokerError, administering
from treasury_watch.adapters.settings import Settings

# Numbers of the Kafka protocol (org.apache.kafka.common.acl and .resource).
_SECURITY_DISABLED: Final = 54
_ANY: Final = 1
_ALLOW: Final = 3
_EVERY_HOST: Final = "*"
_RESOURCES: Final[Mapping[int, str]] = {2: "topic", 3: "group", 4: "cluster", 5: "transactional-id"}
_PATTERNS: Final[Mapping[int, bool]] = {3: False, 4: True}  # literal, prefixed
_OPERATIONS: Final[Mapping[int, str]] = {
    **{2: "all", 3: "read", 4: "write", 5: "create", 6: "delete", 7: "alter", 8: "describe", 9: "cluster-action"},
    **{10: "describe-configs", 11: "alter-configs", 12: "idempotent-write"},
}


class Entry(NamedTuple):
    """One ACL that allows: a principal, one operation, one resource or all whose names begin so (`prefixed`)."""

    principal: str
    resource: str
    name: str
    prefixed: bool
    operation: str

    def __str__(self) -> str:
        return f"{self.principal} may {self.operation} {self.resource} {self.name}{'…' if self.prefixed else ''}"


class AclReport(NamedTuple):
    """What `create_acls` did: entries created, entries that were there, entries that the table does not know."""

    created: list[Entry]
    existing: list[Entry]
    unexpected: list[Entry]


async def create_acls(settings: Settings, principals: Mapping[Role, Sequence[str]]) -> AclReport:
    """Creates what is missing; a second call changes nothing, and nothing is ever taken away.

    `unexpected` is what others, or these principals beyond the table, may do with our topics, the workers' group and
    their transactional ids. Raises BrokerError, also where brokers have no ACLs at all.
    """
    wanted = entries(settings, principals)
    async with administering(settings) as admin:
        there = await _entries_there(admin)
        missing = [entry for entry in wanted if entry not in there]
        await _create(admin, missing)
    return AclReport(missing, [entry for entry in wanted if entry in there], _unexpected(there, wanted))


def entries(settings: Settings, principals: Mapping[Role, Sequence[str]]) -> list[Entry]:
    """The table as entries, one for each operation, each once and in the order of the table."""
    every = (
        Entry(principal, right.resource, right.name, right.prefixed, operation)
        for right in rights(settings.topic_prefix, settings.group)
        for principal in principals[right.role]
        for operation in right.operations
    )
    return list(dict.fromkeys(every))


def _unexpected(there: Iterable[Entry], wanted: Iterable[Entry]) -> list[Entry]:
    ours = [(entry.resource, entry.name) for entry in wanted if entry.resource != "group"]
    known = set(wanted)
    return sorted(
        entry for entry in there if entry not in known and any(_covers(entry, *resource) for resource in ours)
    )


def _covers(entry: Entry, resource: str, name: str) -> bool:
    return entry.resource == resource and (
        entry.name in ("*", name) or (entry.prefixed and name.startswith(entry.name))
    )


class _DescribeAcls(Request[DescribeAclsRequest_v1]):  # type: ignore[misc]  # aiokafka has no types
    """Every ACL. aiokafka offers brokers a version 2 that is written as if it were 1, which they cannot read."""

    API_KEY = DescribeAclsRequest_v1.API_KEY

    def build(self, request_struct_class: type[DescribeAclsRequest_v1]) -> DescribeAclsRequest_v1:
        return request_struct_class(_ANY, None, _ANY, None, None, _ANY, _ANY)


class _CreateAcls(Request[CreateAclsRequest_v1]):  # type: ignore[misc]
    """All of them at once; aiokafka's takes one."""

    API_KEY = CreateAclsRequest_v1.API_KEY

    def __init__(self, wanted: Sequence[Entry]) -> None:
        self._wanted = wanted

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        return request_struct_class(
            [
                (
                    _code(_RESOURCES, entry.resource),
                    entry.name,
                    _code(_PATTERNS, entry.prefixed),
                    entry.principal,
                    _EVERY_HOST,
                    _code(_OPERATIONS, entry.operation),
                    _ALLOW,
                )
                for entry in self._wanted
            ]
        )


async def _entries_there(admin: Any) -> set[Entry]:
    answer = await admin._send_request(_DescribeAcls())
    _raise_on(answer.error_code, answer.error_message, "ACLs cannot be read")
    return {
        Entry(principal, _RESOURCES[resource], name, _PATTERNS[pattern], _OPERATIONS[operation])
        for resource, name, pattern, acls in answer.resources
        for principal, _, operation, permission in acls
        if permission == _ALLOW and resource in _RESOURCES and pattern in _PATTERNS and operation in _OPERATIONS
    }


async def _create(admin: Any, missing: Sequence[Entry]) -> None:
    if missing:
        answer = await admin._send_to_controller(_CreateAcls(missing))
        for entry, (error_code, message) in zip(missing, answer.creation_responses, strict=True):
            _raise_on(error_code, message, f"not created: {entry}")


def _code(table: Mapping[int, Any], meaning: object) -> int:
    return next(code for code, each in table.items() if each == meaning)


def _raise_on(error_code: int, message: str | None, what: str) -> None:
    if error_code == NoError.errno:
        return
    if error_code == _SECURITY_DISABLED:
        raise BrokerError(
            "these brokers have no ACLs: authorizer.class.name is not set, and everyone may do everything"
        )
    raise BrokerError(f"{what}: {message or for_code(error_code).__name__}")
