"""What brokers tell of a topic: whether it is there, its partitions, and what this login may do with it.

aiokafka asks in a version of the protocol that says nothing of rights, so the request is written out here: Metadata
version 8 (KIP-430), which Apache Kafka understands since 2.3.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple

from aiokafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

_NOT_SAID: Final = -(2**31)  # brokers that know nothing of rights
_BITS: Final = {"read": 3, "write": 4, "create": 5, "delete": 6, "describe": 8, "describe-configs": 10}


class Described(NamedTuple):
    """A topic as this login sees it: partitions, 0 when there is none; may it be seen; the operations it may do."""

    partitions: int
    visible: bool
    operations: frozenset[str]


async def describe(admin: Any, topics: Collection[str]) -> dict[str, Described]:
    """These topics by name. Whoever asks brokers without rights may do everything."""
    answer = await admin._send_request(_Metadata(list(topics)))
    found: dict[str, Described] = {}
    for error_code, name, _, partitions, bits in answer.topics:
        if error_code == TopicAuthorizationFailedError.errno:
            found[name] = Described(0, False, frozenset())
        else:
            there = 0 if error_code == UnknownTopicOrPartitionError.errno else len(partitions)
            allowed = (name for name, bit in _BITS.items() if bits == _NOT_SAID or bits >> bit & 1)
            found[name] = Described(there, True, frozenset(allowed))
    return found


class _MetadataResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8"))),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("name", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("in_sync", Array(Int32)),
                        ("offline", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _MetadataStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _Metadata(Request[_MetadataStruct]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataStruct]) -> _MetadataStruct:
        return request_struct_class(self._topics, False, False, True)
