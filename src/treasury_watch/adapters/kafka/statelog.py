"""The state of a partition on `treasury.state`: written as it changes, deleted when it is needed no more (ADR 0019).

Every record is one of the engine's journal (`engine.journal`). Its header `whole` names the offset at which the newest
whole rotation begins, -1 before the first: from there on, the records make the state. The rotation before it stays as
well, in case that this one turns out to be damaged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from treasury_watch.adapters.kafka.publisher import Output, Sent, acknowledged
from treasury_watch.engine import Engine
from treasury_watch.engine.journal import BEGIN, WHOLE, Journal, Record

WHOLE_HEADER = "whole"
RESET_HEADER = "reset"  # of a record that says: what is before it counts nothing
NONE_YET = -1
# How much of what is remembered is written again for each payment: about as many keys and ids as a payment of the
# default pack adds, so that no more payments lie behind the newest whole rotation than are remembered keys of.
KEYS_A_PAYMENT = 6
Send = Callable[[Sequence[Output]], Awaitable[list[Sent]]]


class StateLog:
    """Writes the state of one partition. One caller at a time; nothing else writes to that partition of the topic."""

    def __init__(
        self, engine: Engine, position: int, send: Send, number: int = 0, whole: int | None = None, size: int = 0
    ) -> None:
        """`position` is the offset of the next payment, `number` that of the first record to be written, `whole` the
        offset at which the newest whole rotation begins, if there is one, and `size` how many bytes there are from
        there on. `send` hands records to the producer, in order.
        """
        self._journal = Journal(engine, position, number)
        self._send = send
        self._whole = NONE_YET if whole is None else whole
        self._begins: list[int] = []  # offsets of rotations that began and are not whole yet, the newest last
        self.size = size  # bytes from the begin of the newest whole rotation on: what a restore reads
        self._begun = 0  # bytes from the newest begin on
        self.obsolete: int | None = None  # the offset before which the topic's records are needed no more

    @property
    def last(self) -> int | None:
        """The number of the last record; `None` before the first."""
        return self._journal.number - 1 if self._journal.number else None

    @property
    def pending(self) -> int:
        """How many payments and dispositions are not written yet."""
        return self._journal.pending

    def changes(self, position: int) -> list[Record]:
        """What happened since the last time, up to that offset of the payments, with the next stretches of a rotation.

        To be taken while nothing is being judged.
        """
        keys = self._journal.pending * KEYS_A_PAYMENT + 1
        records = self._journal.effects(position)
        return records + self._journal.checkpoint(keys)

    def everything(self) -> list[Record]:
        """All that is remembered at once, to begin with."""
        return self._journal.rotate()

    async def write(self, records: Sequence[Record]) -> int:
        """Writes records; returns how many bytes when all in-sync replicas have them. Raises PublishError."""
        starts = [at for at, record in enumerate(records) if record.kind == BEGIN]
        bounds = sorted({0, *starts, len(records)})
        sent: list[tuple[bool, int, list[Sent]]] = []
        for start, stop in pairwise(bounds):
            outputs = [self._output(record) for record in records[start:stop]]
            size = sum(len(record.data) for record in records[start:stop])
            sent.append((records[start].kind == BEGIN, size, await self._send(outputs)))
        for begins, size, batches in sent:
            await acknowledged(batches)
            if begins:
                self._begins.append(batches[0].future.result().offset)
                self._begun = 0
            self._begun += size
            self.size += size
        if records and records[-1].kind == WHOLE:
            # A rotation that a change of rules broke off never becomes whole: begins before the last count nothing.
            self.obsolete = None if self._whole == NONE_YET else self._whole
            self._whole = self._begins[-1]
            self._begins.clear()
            self.size = self._begun
        return sum(size for _, size, _ in sent)

    def _output(self, record: Record) -> Output:
        return None, record.data, [(WHOLE_HEADER, str(self._whole).encode())]


def newest_whole(record: Any) -> int | None:
    """The offset at which the newest whole rotation of before a record begins; `None` if there was none yet."""
    said = int(_header(record.headers, WHOLE_HEADER) or NONE_YET)
    return None if said == NONE_YET else said


def is_reset(record: Any) -> bool:
    """Whether a record says that what is before it counts nothing."""
    return _header(record.headers, RESET_HEADER) is not None


def _header(headers: Iterable[tuple[str, bytes]], name: str) -> str | None:
    return next((value.decode() for key, value in headers if key == name), None)
