"""Which partition a key belongs to: `hash(key) mod n`, by murmur2 (Java, aiokafka) or CRC-32 (librdkafka's default).

The two disagree on most keys, so all writers of a topic use the same one. Keys are never None here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal
from zlib import crc32

from aiokafka.partitioner import murmur2

Partitioner = Literal["murmur2", "crc32"]


def partitioner_of(name: Partitioner, partitions: int) -> Callable[[bytes], int]:
    """The function from a key to its partition number, 0 to `partitions` - 1."""
    if name == "murmur2":
        return lambda key: (murmur2(key) & 0x7FFFFFFF) % partitions  # Java drops the sign bit, it does not negate
    return lambda key: crc32(key) % partitions
