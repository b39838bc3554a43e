"""Imports a file: every row becomes one instruction that a worker will accept, or one reject that says why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from treasury_watch.adapters.importer.fields import ReadRow, RejectReason, Row, Unreadable, row_reader
from treasury_watch.adapters.importer.mapping import Mapping
from treasury_watch.adapters.importer.source import Damaged, Rows
from treasury_watch.adapters.wire import decode, encode_instruction
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Refusal

PROGRESS_EVERY = 2_000  # rows

_encode = msgspec.json.Encoder().encode


class Reject(NamedTuple):
    """A row that was not imported: its number among the data rows and the physical line it begins on, both from 1."""

    row: int
    line: int
    reason: RejectReason
    detail: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}: {self.detail}"


@dataclass
class ImportSummary:
    """What became of the rows: `rows` is `imported` plus all of `rejected`, which counts by reason."""

    rows: int = 0
    imported: int = 0
    rejected: Counter[RejectReason] = field(default_factory=Counter)
    encoding: str = ""
    earliest: datetime | None = None  # event times of the imported instructions
    latest: datetime | None = None
    notes: tuple[str, ...] = ()  # of the mapping: to be shown with every output


def import_file(
    source: Path,
    mapping: Mapping,
    out: IO[bytes],
    rejects: Callable[[Reject], object],
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> ImportSummary:
    """Writes the instructions of `source` to `out` as JSON lines, in the order of the rows, and returns the counts.

    Every row that is not imported is handed to `rejects`. `progress` gets the bytes of the file read so far and in
    all. Memory does not grow with the file, so ids that come twice are left to the worker, which sees them anyway.
    Raises ImportProblem when the whole file cannot be imported; what was written until then is of no use.
    """
    summary = ImportSummary(notes=mapping.notes)
    with Rows(source, mapping.file) as rows:
        summary.encoding = rows.encoding
        read = row_reader(mapping, rows.header, str(source))
        for row in rows:
            summary.rows += 1
            if summary.rows % PROGRESS_EVERY == 0:
                progress(rows.position(), rows.size)
            outcome = _instruction(row, read)
            if isinstance(outcome, Reject):
                summary.rejected[outcome.reason] += 1
                rejects(outcome)
                continue
            out.write(encode_instruction(outcome) + b"\n")
            summary.imported += 1
            moment = outcome.event_time
            if summary.earliest is None or summary.latest is None:
                summary.earliest = summary.latest = moment
            elif moment > summary.latest:
                summary.latest = moment
            elif moment < summary.earliest:
                summary.earliest = moment
        progress(rows.size, rows.size)
    return summary


def _instruction(row: Row | Damaged, read: ReadRow) -> Instruction | Reject:
    if isinstance(row, Damaged):
        return Reject(row.number, row.line, row.reason, row.detail)
    try:
        # Through the same door as a message from Kafka: what comes out here is accepted there.
        outcome = decode(_encode(read(row)))
    except Unreadable as error:
        return Reject(row.number, row.line, error.reason, str(error))
    if isinstance(outcome, Refusal):
        return Reject(row.number, row.line, "too_large" if outcome.reason == "too_large" else "schema", outcome.detail)
    return outcome
