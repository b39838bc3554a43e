"""History (历史): payments of before the topic, put where workers read them before they read the topic.

A feed is a directory `history/<topic>/<first day>_<last day>-<digest>` under the data directory: a manifest, and for
each partition one gzipped file of instructions as they were given, in order of event time. The digest is that of the
manifest, which names the digest of each file: a directory is what its name says, or it is damaged. It appears as a
whole or not at all, and the same payments fed twice are one feed (ADR 0016).
"""

from __future__ import annotations

import gzip
import hashlib
import heapq
import os
import shutil
import tempfile
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
from msgspec import Struct

from treasury_watch.adapters.jsonl import Line
from treasury_watch.adapters.kafka.partitioner import Partitioner, partitioner_of
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.wire import decode_batch
from treasury_watch.domain.calendar import Days
from treasury_watch.domain.payment import Instruction, microseconds, moment_of, partition_key_of
from treasury_watch.domain.verdict import Refusal

FORMAT = 1
_MANIFEST = "manifest.json"
_CHUNK = 1000  # lines decoded together


class HistoryError(ValueError):
    """History that cannot be used: one line that names the feed, says what is wrong and what to do."""


class Part(Struct, frozen=True):
    """What a feed holds of one partition; times are RFC 3339, the digest is that of the lines before compression."""

    partition: int
    payments: int
    first: datetime
    last: datetime
    sha256: str


class Manifest(Struct, frozen=True):
    """What a feed holds: every payment with event time in [start, end), as far as it went to these partitions."""

    format: int
    topic: str
    partition_by: str
    partitions: int
    partitioner: Partitioner
    start: datetime
    end: datetime
    parts: tuple[Part, ...]

    @property
    def payments(self) -> int:
        return sum(part.payments for part in self.parts)


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed and where it stands."""

    path: Path
    manifest: Manifest

    def instructions(self, partition: int) -> Iterator[Instruction]:
        """The payments of a partition in order of event time. Raises HistoryError when they are not what was fed."""
        part = next((each for each in self.manifest.parts if each.partition == partition), None)
        if part is None:
            return
        digest = hashlib.sha256()
        try:
            with gzip.open(self.path / _file_name(partition)) as lines:
                while chunk := list(islice(lines, _CHUNK)):
                    for line in chunk:
                        digest.update(line)
                    for decoded in decode_batch([line.rstrip(b"\n") for line in chunk]).outcomes:
                        if isinstance(decoded, Refusal):
                            raise HistoryError(f"{self.path}: {decoded.reason}: {decoded.detail}; {_AGAIN}")
                        yield decoded
        except (OSError, EOFError, zlib.error) as error:
            raise HistoryError(f"{self.path}: partition {partition} cannot be read: {error}; {_AGAIN}") from error
        if digest.hexdigest() != part.sha256:
            raise HistoryError(f"{self.path}: partition {partition} is not what was fed; {_AGAIN}")


_AGAIN = "remove the directory and feed the history again"


def feeds_of(settings: Settings, partition_by: str) -> list[Feed]:
    """The feeds for the payments topic, by name. Raises HistoryError when one is damaged or was made for other
    partitions.
    """
    root = _root(settings)
    if not root.is_dir():
        return []
    return [_opened(path, settings, partition_by) for path in sorted(root.iterdir()) if not path.name.startswith(".")]


def reaching_back(feeds: Iterable[Feed], begin: int) -> int:
    """From which event time on everything is known, when the topic holds all from `begin` on (microseconds): feeds
    count as far as no day lies between them and what comes after them.
    """
    for start, end in sorted(((_us(feed.manifest.start), _us(feed.manifest.end)) for feed in feeds), reverse=True):
        if start < begin <= end:
            begin = start
    return begin


def merged(feeds: Sequence[Feed], partition: int) -> Iterator[Instruction]:
    """The payments of a partition that all feeds hold, in order of event time; one that two hold comes twice."""
    return heapq.merge(*(feed.instructions(partition) for feed in feeds), key=lambda each: each.event_time)


def feed(
    lines: Iterable[Line],
    settings: Settings,
    partition_by: str,
    days: Days,
    *,
    first: date | None = None,
    last: date | None = None,
    refused: Callable[[int, Refusal], object] = lambda line, refusal: None,
    progress: Callable[[int], object] = lambda lines: None,
) -> tuple[Feed | None, Counter[str]]:
    """Writes the feed of a file and returns it, with how many lines were refused, and why.

    `first` and `last` are the local days of which the lines hold every payment; those of the earliest and the latest
    payment where they are not given. There is no feed when a line was refused, since windows would lack its payment, or
    when there is no payment at all. Raises OSError, and ValueError when the last day is before the first.
    """
    root = _root(settings)
    root.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".", dir=root))  # readable by this user only: it holds names and cards
    try:
        with (work / "spool").open("w+b") as spool:
            sorted_out = _Spool(spool, settings, partition_by)
            counts = sorted_out.take(lines, refused, progress)
            if counts or not sorted_out.times:
                return None, counts
            start = days.midnight(first or _day(days, min(sorted_out.times)))
            end = days.midnight((last or _day(days, max(sorted_out.times))) + timedelta(days=1))
            if end <= start:
                raise ValueError("the last day is before the first")
            parts = tuple(sorted_out.write(work))
        (work / "spool").unlink()
        manifest = Manifest(
            format=FORMAT,
            topic=settings.topic("payments"),
            partition_by=partition_by,
            partitions=settings.partitions,
            partitioner=settings.partitioner,
            start=moment_of(start).astimezone(days.zone),
            end=moment_of(end).astimezone(days.zone),
            parts=parts,
        )
        return _placed(work, root, manifest), counts
    finally:
        shutil.rmtree(work, ignore_errors=True)


class _Spool:
    """Lines by partition and event time: the lines in a file, what they are sorted by in arrays, 33 bytes for each."""

    def __init__(self, spool: IO[bytes], settings: Settings, partition_by: str) -> None:
        self._spool = spool
        self._partition_by = partition_by
        self._partition_of = partitioner_of(settings.partitioner, settings.partitions)
        self.times = array("q")
        self._partitions, self._ids, self._begins = array("l"), array("q"), array("q", [0])

    def take(
        self, lines: Iterable[Line], refused: Callable[[int, Refusal], object], progress: Callable[[int], object]
    ) -> Counter[str]:
        counts: Counter[str] = Counter()
        remaining, total = iter(lines), 0
        while chunk := list(islice(remaining, _CHUNK)):
            for line, decoded in zip(chunk, decode_batch([each.value for each in chunk]).outcomes, strict=True):
                found = self._keyed(decoded)
                if isinstance(found, Refusal):
                    counts[found.reason] += 1
                    refused(line.number, found)
                    continue
                instruction, key = found
                self.times.append(microseconds(instruction.event_time))
                self._partitions.append(self._partition_of(key.encode()))
                self._ids.append(hash((key, instruction.instruction_id)))
                self._begins.append(self._begins[-1] + self._spool.write(line.value + b"\n"))
            total += len(chunk)
            progress(total)
        return counts

    def _keyed(self, decoded: Instruction | Refusal) -> tuple[Instruction, str] | Refusal:
        if isinstance(decoded, Refusal):
            return decoded
        key = partition_key_of(decoded, self._partition_by)
        return (
            Refusal("wrong_key", f"{self._partition_by} is missing, and it is the partition key")
            if key is None
            else (decoded, key)
        )

    def write(self, directory: Path) -> Iterator[Part]:
        """Writes each partition's file; of lines with one id and one event time the first."""
        order = np.lexsort((np.arange(len(self.times)), np.array(self.times), np.array(self._partitions))).tolist()
        self._spool.flush()
        at = 0
        while at < len(order):
            partition = self._partitions[order[at]]
            until = at
            while until < len(order) and self._partitions[order[until]] == partition:
                until += 1
            yield self._write_part(directory, partition, order[at:until])
            at = until

    def _write_part(self, directory: Path, partition: int, rows: list[int]) -> Part:
        digest, payments, now = hashlib.sha256(), 0, None
        ids: set[int] = set()
        with (
            (directory / _file_name(partition)).open("wb") as raw,
            gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as out,
        ):
            for row in rows:
                if self.times[row] != now:
                    now, ids = self.times[row], set()
                if self._ids[row] in ids:
                    continue
                ids.add(self._ids[row])
                self._spool.seek(self._begins[row])
                line = self._spool.read(self._begins[row + 1] - self._begins[row])
                digest.update(line)
                out.write(line)
                payments += 1
        first, last = moment_of(self.times[rows[0]]), moment_of(self.times[rows[-1]])
        return Part(partition, payments, first, last, digest.hexdigest())


def _placed(work: Path, root: Path, manifest: Manifest) -> Feed:
    """The feed under its own name, now that all of it is written."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    (work / _MANIFEST).write_bytes(data)
    path = root / _name(manifest, data)
    try:
        os.rename(work, path)
    except OSError:
        if not path.is_dir():
            raise
    return Feed(path, manifest)


def _opened(path: Path, settings: Settings, partition_by: str) -> Feed:
    try:
        data = (path / _MANIFEST).read_bytes()
        manifest = msgspec.json.decode(data, type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise HistoryError(f"{path}: no history: {error}; {_AGAIN}") from error
    if manifest.format != FORMAT or path.name != _name(manifest, data):
        raise HistoryError(f"{path}: the manifest is not what was fed; {_AGAIN}")
    made_for = (manifest.partition_by, manifest.partitions, manifest.partitioner)
    if made_for != (partition_by, settings.partitions, settings.partitioner):
        raise HistoryError(
            f"{path}: made for {manifest.partitions} partitions by {manifest.partition_by} ({manifest.partitioner}), "
            f"expected {settings.partitions} by {partition_by} ({settings.partitioner}); {_AGAIN}"
        )
    return Feed(path, manifest)


def _root(settings: Settings) -> Path:
    return settings.data_dir / "history" / settings.topic("payments")


def _name(manifest: Manifest, data: bytes) -> str:
    last = (manifest.end - timedelta(microseconds=1)).date()
    return f"{manifest.start.date()}_{last}-{hashlib.sha256(data).hexdigest()[:16]}"


def _file_name(partition: int) -> str:
    return f"partition-{partition}.jsonl.gz"


def _day(days: Days, us: int) -> date:
    return days.of(us).date


def _us(moment: datetime) -> int:
    return microseconds(moment)
