"""Verifying what was signed: records one after another, from topics or from a file, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from treasury_watch.adapters.jsonl import Lines
from treasury_watch.adapters.signatures import VerifyingKey
from treasury_watch.adapters.verdictsigning import Finding, Header, verify
from treasury_watch.adapters.wire import instruction_id_of

_MOST_BYTES: Final = 1_048_576  # of a line: a case holds a whole instruction, and JSON in JSON is longer


class BadEnvelope(ValueError):
    """A line that is no record: one line that names it and says why."""


class Verified(NamedTuple):
    """One record: where it is, whose verdict it tells, whether its signature is good, and by which key."""

    where: str
    instruction_id: str | None
    finding: Finding
    key: str | None


class Verifier:
    """Verifies record after record with the keys that are trusted and keeps count; of `only` these instructions.

    `told` hears of every record whose signature is not good.
    """

    def __init__(
        self, keys: Mapping[str, VerifyingKey], told: Callable[[Verified], None], only: Collection[str] = ()
    ) -> None:
        self._keys = keys
        self._told = told
        self._only = frozenset(only)
        self.findings: Counter[Finding] = Counter()
        self.by_key: Counter[str] = Counter()  # of the good ones
        self.unseen = set(only)

    def take(self, where: str, value: bytes | None, headers: Sequence[Header]) -> None:
        """A record with its headers."""
        self._count(where, value or b"", *verify(value or b"", headers, self._keys))

    def take_alone(self, where: str, value: bytes, signature: str) -> None:
        """A value whose signature came another way, without saying whose it is."""
        signer = next((key.id for key in self._keys.values() if key.verifies(value, signature)), None)
        self._count(where, value, "verified" if signer else "wrong_signature", signer)

    def _count(self, where: str, value: bytes, finding: Finding, key: str | None) -> None:
        instruction_id = instruction_id_of(value)
        if self._only and instruction_id not in self._only:
            return
        self.unseen.discard(instruction_id or "")
        self.findings[finding] += 1
        if finding == "verified" and key:
            self.by_key[key] += 1
        else:
            self._told(Verified(where, instruction_id, finding, key))


class _Envelope(msgspec.Struct):
    """A record as `kcat -J` writes it; headers are names and values in turn."""

    payload: str | None = None
    topic: str = ""
    partition: int = -1
    offset: int = -1
    headers: list[str | None] = []


def envelopes(source: Path) -> Iterator[tuple[str, bytes, list[Header]]]:
    """Where, value and headers of records that `kcat -C -J` wrote to a file, or to standard input (`-`).

    Raises BadEnvelope and UnreadableFile.
    """
    decode = msgspec.json.Decoder(_Envelope).decode
    with Lines(source, _MOST_BYTES) as lines:
        for line in lines:
            try:
                record = decode(line.value)
            except (ValueError, RecursionError) as error:
                raise BadEnvelope(f"{lines.name}:{line.number}: no record as kcat -J writes them: {error}") from None
            if record.payload is None:
                raise BadEnvelope(f"{lines.name}:{line.number}: no record as kcat -J writes them: it has no payload")
            where = f"{record.topic} {record.partition}:{record.offset}" if record.topic else f"line {line.number}"
            pairs = zip(record.headers[::2], record.headers[1::2], strict=False)
            headers = [(name or "", (value or "").encode()) for name, value in pairs]
            yield where, record.payload.encode("utf-8", "surrogatepass"), headers
