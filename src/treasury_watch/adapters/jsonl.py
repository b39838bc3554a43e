"""Files of JSON lines: plain, gzipped or on standard input, read without ever holding more than one long line."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from io import BufferedReader, FileIO
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self, cast

from treasury_watch.adapters.wire import MAX_BYTES

_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_BUFFER_BYTES = 262_144


class UnreadableFile(ValueError):
    """A file that cannot be read to its end: one line that names it and says why."""


class Line(NamedTuple):
    """One line that is not blank: its number in the file, from 1, and its bytes without the line end.

    Of a line longer than a message may be, only so much is kept that it is still seen to be too long.
    """

    number: int
    value: bytes


class Lines:
    """The lines of a file, once, in order. `-` is standard input; a gzipped file is known by its first bytes.

    A byte order mark before the first line is dropped. `most_bytes` is how long a line is kept whole. Raises
    UnreadableFile on opening and while iterating.
    """

    def __init__(self, source: Path, most_bytes: int = MAX_BYTES) -> None:
        self._limit = most_bytes + 3  # one byte too many and a line end of two
        self.size: int | None = None
        if str(source) == "-":
            self.name = "standard input"
            self._raw = self._text = sys.stdin.buffer
            return
        self.name = str(source)
        try:
            file = BufferedReader(FileIO(source), _BUFFER_BYTES)
            self.size = source.stat().st_size
            gzipped = file.peek(2).startswith(_GZIP)
        except OSError as error:
            raise UnreadableFile(f"{self.name}: {error.strerror}") from error
        self._raw = file
        self._text = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if gzipped else file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._raw is not sys.stdin.buffer:
            self._raw.close()

    @property
    def position(self) -> int:
        """How many of `size` bytes have been read, those of the gzipped file where it is one; 0 on standard input."""
        return 0 if self.size is None else self._raw.tell()

    def __iter__(self) -> Iterator[Line]:
        readline = self._text.readline
        limit = self._limit
        number = 0
        try:
            while line := readline(limit):
                number += 1
                if number == 1:
                    line = line.removeprefix(_BOM)
                whole = line[-1:] == b"\n"
                value = line.rstrip(b"\r\n")
                if value and not value.isspace():
                    yield Line(number, value)
                while not whole and (line := readline(limit)):
                    whole = line[-1:] == b"\n"
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableFile(f"{self.name}: cannot be read past line {number}: {error}") from error
