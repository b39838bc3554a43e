"""Ids (指令号): which instructions of one partition-key value were accepted, for as long as they could come again.

Kept in generations, so that forgetting is dropping a whole one: picking the oldest out of one large dictionary, again
and again, would walk over the places of those picked before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta, timezone
from hashlib import sha256

import msgspec

from treasury_watch.domain.payment import AttributeValue, Instruction
from treasury_watch.rules.values import number_of

CHINA = timezone(timedelta(hours=8))  # the offset of nearly every event time: such a one is its own normal form
GENERATIONS = 4  # for the time that an id is kept: memory is held for a quarter more than that
_FINGERPRINT = 16  # bytes
_canonical = msgspec.json.Encoder(order="deterministic").encode  # local fields may come in any order
_IN_JSON = range(-(2**63), 2**64)  # the whole numbers that a message can hold as such


def fingerprint_of(instruction: Instruction) -> bytes:
    """The first half of the SHA-256 digest of an instruction as parsed: equal for what a message may say in two ways,
    as one instant at two offsets, and 1 or 1.0 in a local field.
    """
    attributes = instruction.attributes
    if instruction.event_time.tzinfo != CHINA or (attributes is not None and float in map(type, attributes.values())):
        instruction = _normal(instruction)
    return sha256(_canonical(instruction)).digest()[:_FINGERPRINT]


def _normal(instruction: Instruction) -> Instruction:
    attributes = instruction.attributes
    if attributes is not None:
        attributes = {name: _shortest(value) for name, value in attributes.items()}
    moment = instruction.event_time.astimezone(CHINA)
    return msgspec.structs.replace(instruction, event_time=moment, attributes=attributes)


def _shortest(value: AttributeValue) -> AttributeValue:
    """A local number in the shortest of its forms: whole where it is, as rules read it."""
    if isinstance(value, float):
        number = number_of(value)
        if isinstance(number, int) and number in _IN_JSON:
            return number
    return value


def seen_of(fingerprint: bytes, us: int) -> bytes:
    """What is kept with an id: its content's fingerprint (16 bytes) and its event time (microseconds)."""
    return fingerprint + us.to_bytes(8, "big", signed=True)


def fingerprint_in(seen: bytes) -> bytes:
    """The fingerprint of the content that an id came with."""
    return seen[:_FINGERPRINT]


def us_in(seen: bytes) -> int:
    """The event time (microseconds) that an id came with."""
    return int.from_bytes(seen[_FINGERPRINT:], "big", signed=True)


class Ids:
    """Ids with what is kept of them. `newest` takes new ones; `older` are full generations, newest first."""

    __slots__ = ("_starts", "newest", "older")

    def __init__(self) -> None:
        self.newest: dict[str, bytes] = {}
        self.older: list[dict[str, bytes]] = []
        self._starts: list[int] = []  # the watermark at which each generation began, the newest first

    def __len__(self) -> int:
        return len(self.newest) + sum(map(len, self.older))

    def items(self) -> Iterator[tuple[str, bytes]]:
        """All ids that are held, in no particular order."""
        for generation in (self.newest, *self.older):
            yield from generation.items()

    def find(self, instruction_id: str) -> bytes | None:
        """What is kept of an id; `None` if it is not known."""
        for generation in (self.newest, *self.older):
            seen = generation.get(instruction_id)
            if seen is not None:
                return seen
        return None

    def drop(self, instruction_id: str) -> None:
        """Forgets an id that is known."""
        for generation in (self.newest, *self.older):
            if generation.pop(instruction_id, None) is not None:
                return

    def put(self, ids: Iterable[tuple[str, bytes]]) -> None:
        """Takes ids in, each in the place of what is known of it."""
        for instruction_id, seen in ids:
            if self.older:
                self.drop(instruction_id)
            self.newest[instruction_id] = seen

    def forget(self, watermark: int, keep_us: int) -> None:
        """Forgets generations of which no id is younger than `keep_us` before the watermark; begins one when it is
        time.

        Where one generation began, the one before it ended: its ids have no event time beyond that.
        """
        if not self._starts:
            self._starts = [watermark]
        elif watermark - self._starts[0] > keep_us // GENERATIONS:
            self.older.insert(0, self.newest)
            self._starts.insert(0, watermark)
            self.newest = {}
        while self.older and watermark - self._starts[-2] > keep_us:
            self.older.pop()
            self._starts.pop()
