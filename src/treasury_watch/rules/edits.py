"""Edits of rule files: the bytes that are replaced, and every other byte as it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from treasury_watch.rules.diagnostics import LINE_ENDS
from treasury_watch.rules.schema import Span

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Edit:
    """What `span` says is to read `text`. A span of length 0 is a place to insert at."""

    span: Span
    text: str


def edited(data: bytes, edits: Iterable[Edit]) -> bytes:
    """The content of a file after edits of different places. Line ends within a text become those of the file."""
    bom = _BOM if data.startswith(_BOM) else b""
    text = data[len(bom) :].decode()
    starts = [0, *(match.end() for match in LINE_ENDS.finditer(text))]
    end = line_end(text)
    for edit in sorted(edits, key=lambda each: (each.span.line, each.span.column), reverse=True):
        at = starts[edit.span.line - 1] + edit.span.column - 1
        text = text[:at] + edit.text.replace("\n", end) + text[at + edit.span.length :]
    return bom + text.encode()


def with_lines(data: bytes, after: int, lines: Iterable[str]) -> bytes:
    """The content of a file with lines put in after one of it, which is counted from 1 (0: before the first)."""
    bom = _BOM if data.startswith(_BOM) else b""
    text = data[len(bom) :].decode()
    end = line_end(text)
    own = _lines(text)
    if 0 < after <= len(own) and not own[after - 1].endswith(("\n", "\r")):
        own[after - 1] += end
    return bom + "".join([*own[:after], *(line + end for line in lines), *own[after:]]).encode()


def without_lines(data: bytes, first: int, last: int) -> bytes:
    """The content of a file without the lines from `first` to `last`, both included and counted from 1."""
    bom = _BOM if data.startswith(_BOM) else b""
    own = _lines(data[len(bom) :].decode())
    return bom + "".join([*own[: first - 1], *own[last:]]).encode()


def _lines(text: str) -> list[str]:
    """The lines of a text with their ends."""
    starts = [0, *(match.end() for match in LINE_ENDS.finditer(text))]
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True) if start < end]


def line_end(text: str) -> str:
    """The line end that a text uses first; a line feed where it has none."""
    found = LINE_ENDS.search(text)
    return found[0] if found else "\n"
