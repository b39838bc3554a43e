"""The load of a trial: messages of every sort, the same for the same seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.wire import MAX_BYTES, encode_instruction
from treasury_watch.domain.payment import Instruction

JURISDICTIONS = [f"42{number:04d}" for number in range(100, 116)]  # over all four partitions
FIRST_SHARE = 8  # times what any other has: so that the model of the first one knows enough to say something
START = datetime(2025, 3, 25, 8, tzinfo=timezone(timedelta(hours=8)))  # so that a month ends on the way
FAR_AHEAD = datetime(2999, 1, 1, tzinfo=timezone(timedelta(hours=8)))
REMEMBERED = 400  # instructions of each jurisdiction that may be delivered again
AMOUNTS = ("12.00", "980.50", "4300.00", "8800.00", "19999.99", "49999.99", "50000.00", "120000.00", "-980.50")


class Message(NamedTuple):
    """One message, and the partition to which it is sent."""

    key: bytes | None
    value: bytes | None
    partition: int


@dataclass
class Stream:
    """The instructions of one jurisdiction so far: how many, when the next one is, which may come again."""

    jurisdiction: str
    now: datetime = START
    count: int = 0
    sent: deque[Instruction] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


def messages(seed: int, partitions: int) -> Iterator[Message]:
    """Endless messages: mostly new instructions, the others by the shares of SORTS."""
    chance = Random(f"load {seed}")
    partition_of = partitioner_of("murmur2", partitions)
    streams = [Stream(each) for each in JURISDICTIONS]
    sizes = [FIRST_SHARE, *(1 for _ in streams[1:])]
    sorts, shares = [sort for sort, _ in SORTS], [share for _, share in SORTS]
    while True:
        (stream,) = chance.choices(streams, sizes)
        key = stream.jurisdiction.encode()
        yield chance.choices(sorts, shares)[0](chance, stream, key, partition_of(key), partitions)


def _new(chance: Random, stream: Stream) -> Instruction:
    stream.now += timedelta(minutes=chance.randrange(60))
    stream.count += 1
    payee = chance.randrange(12)
    return Instruction(
        instruction_id=f"{stream.jurisdiction}-{stream.count:06d}",
        event_time=stream.now,
        jurisdiction=stream.jurisdiction,
        budget_unit=f"10{chance.randrange(6):04d}",
        amount=chance.choice(AMOUNTS) if chance.random() < 0.4 else f"{chance.randrange(1, 3_000_000) / 100:.2f}",
        payment_mode="authorised",
        settlement="transfer",
        payee_name=f"江汉办公用品有限公司{payee}",
        payee_account=f"4200200000000000{payee:04d}",
        purpose=chance.choice(("办公用品采购", "差旅费", "会议费", "维修费")),
    )


def _again(stream: Stream, chance: Random) -> Instruction:
    return chance.choice(stream.sent) if stream.sent else _kept(stream, _new(chance, stream))


def _kept(stream: Stream, instruction: Instruction) -> Instruction:
    stream.sent.append(instruction)
    return instruction


def ordinary(chance: Random, stream: Stream, key: bytes, partition: int, partitions: int) -> Message:
    return Message(key, encode_instruction(_kept(stream, _new(chance, stream))), partition)


def duplicate(chance: Random, stream: Stream, key: bytes, partition: int, partitions: int) -> Message:
    return Message(key, encode_instruction(_again(stream, chance)), partition)


def conflicting(chance: Random, stream: Stream, key: bytes, partition: int, partitions: int) -> Message:
    return Message(key, _other(_again(stream, chance), amount="77.77"), partition)


def late(chance: Random, stream: Stream, key: bytes, partition: int, partitions: int) -> Message:
    instruction = _new(chance, stream)
    return Message(
        key, _other(instruction, event_time=stream.now - timedelta(hours=chance.randrange(1, 480))), partition
    )


def too_late(chance: Random, stream: Stream, key: bytes, partition: int, partitions: int) -> Message:
    return Message(key, _other(_new(chance, stream), event_time=stream.now - timedelta(days=40)), partition)


def future(chance: Random, stream: Stream, key: bytes, partition: int, partitions: int) -> Message:
    return Message(key, _other(_new(chance, stream), event_time=FAR_AHEAD), partition)


def malformed(chance: Random, stream: Stream, key: bytes, partition: int, partitions: int) -> Message:
    whole = encode_instruction(_new(chance, stream))
    return Message(
        key, chance.choice((whole[: chance.randrange(len(whole))], chance.randbytes(40), b"", None)), partition
    )


def wrong_schema(chance: Random, stream: Stream, key: bytes, partition: int, partitions: int) -> Message:
    return Message(key, encode_instruction(_new(chance, stream)).replace(b'"amount":"', b'"amount":"x'), partition)


def wrong_key(chance: Random, stream: Stream, key: bytes, partition: int, partitions: int) -> Message:
    return Message(chance.choice((None, b"misspelt")), encode_instruction(_new(chance, stream)), partition)


def misplaced(chance: Random, stream: Stream, key: bytes, partition: int, partitions: int) -> Message:
    return Message(key, encode_instruction(_new(chance, stream)), (partition + 1) % partitions)


def too_large(chance: Random, stream: Stream, key: bytes, partition: int, partitions: int) -> Message:
    return Message(key, _other(_new(chance, stream), purpose="用" * (MAX_BYTES // 3)), partition)


def _other(instruction: Instruction, **changes: object) -> bytes:
    return encode_instruction(replace(instruction, **changes))


Sort = Callable[[Random, Stream, bytes, int, int], Message]
SORTS: tuple[tuple[Sort, float], ...] = (
    (ordinary, 77.0),
    (duplicate, 8.0),
    (conflicting, 2.0),
    (late, 6.0),
    (too_late, 1.0),
    (future, 1.0),
    (malformed, 2.0),
    (wrong_schema, 1.4),
    (wrong_key, 1.0),
    (misplaced, 0.5),
    (too_large, 0.1),
)
