"""Partitions of keys, against values that others computed."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import DefaultPartitioner

from treasury_watch.adapters.kafka.partitioner import partitioner_of

LONG = b"this is another string with more length to it perhaps"

# Hashes that librdkafka's own tests expect: CRC-32 by the macOS command crc32, murmur2 by Java.
HASHES = [
    (b"23456", 0xB1B451D7, 0x058D780F),
    (LONG, 0xB0150DF7, 0x4F7703DA),
    (b"hejsan", 0xD077037E, 0x5EC19395),
]


@pytest.mark.parametrize(("key", "crc32", "murmur2"), HASHES)
@pytest.mark.parametrize("partitions", [1, 4, 7, 17])
def test_keys_go_where_librdkafka_and_java_put_them(key: bytes, crc32: int, murmur2: int, partitions: int) -> None:
    assert partitioner_of("crc32", partitions)(key) == crc32 % partitions
    assert partitioner_of("murmur2", partitions)(key) == murmur2 % partitions


@pytest.mark.parametrize("key", ["420100", "420200", "金额", "", "x" * 1000])
def test_murmur2_agrees_with_the_partitioner_of_aiokafka(key: str) -> None:
    everywhere = list(range(12))
    assert partitioner_of("murmur2", 12)(key.encode()) == DefaultPartitioner()(key.encode(), everywhere, everywhere)


def test_the_two_disagree_on_some_keys_of_a_treasury() -> None:
    keys = [f"42{number:04d}".encode() for number in range(100)]
    crc32, murmur2 = partitioner_of("crc32", 4), partitioner_of("murmur2", 4)
    assert sum(crc32(key) != murmur2(key) for key in keys) > 50
