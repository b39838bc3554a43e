"""A delimited text file, plain or gzip, as rows with the physical lines they begin on; never whole in memory."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from treasury_watch.adapters.importer.fields import RejectReason, Row
from treasury_watch.adapters.importer.mapping import FileFormat, ImportProblem

SAMPLE = 1 << 20  # bytes beyond the first non-ASCII one that decide between declared encodings
LONGEST_LINE = 1 << 20  # characters

_NOT_TEXT = {
    b"PK\x03\x04": "an .xlsx workbook or another zip archive",
    b"\xd0\xcf\x11\xe0": "an .xls workbook",
    b"%PDF": "a PDF document",
}
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_GZIP_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile)
_UNDECODED = re.compile("[\udc80-\udcff]")  # what errors="surrogateescape" makes of a byte that is not text


class Damaged(NamedTuple):
    """A row whose cells cannot be told: its number and first physical line (both from 1), and what is wrong."""

    number: int
    line: int
    reason: RejectReason
    detail: str


class Rows:
    """The rows of a file under its header. Iterate once, inside `with`; raises ImportProblem for what ends the import.

    Quotes are read strictly: a stray one would otherwise swallow the rows behind it, without a word where the count of
    cells happens to fit. Such a row is given back as damaged, and reading goes on with the line after the one it began
    on. Empty lines are not rows.
    """

    def __init__(self, path: Path, form: FileFormat) -> None:
        self.path = path
        self.form = form
        try:
            self.size = path.stat().st_size
            self._raw: IO[bytes] = path.open("rb")
        except OSError as error:
            raise ImportProblem(f"{path}: {error.strerror or error}") from None
        try:
            self._bytes = self._unpacked()
            self.encoding = self._encoding()
            self._text = io.TextIOWrapper(self._bytes, self.encoding, errors="surrogateescape", newline="")
            self._lines = _Lines(self._text, path)
            self._reader = csv.reader(self._lines, delimiter=form.delimiter, strict=True)
            self.header = self._header()
        except BaseException:
            self._raw.close()
            raise

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()
        self._raw.close()

    def position(self) -> int:
        """Bytes of the file read so far, of `size` (compressed ones of a gzip file)."""
        return self._raw.tell()

    def __iter__(self) -> Iterator[Row | Damaged]:
        width, lines, number = len(self.header), self._lines, 0
        while True:
            lines.begin_row()
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                number += 1
                lines.give_back()
                yield Damaged(number, lines.first, "quoting", _plainly(error))
                continue
            except _GZIP_ERRORS as error:
                raise ImportProblem(f"{self.path}: the gzip file is damaged after line {lines.last}: {error}") from None
            if not cells:
                continue
            number += 1
            if lines.undecoded:
                yield Damaged(number, lines.first, "encoding", f"not valid {self.encoding}")
            elif len(cells) != width:
                lines.give_back()
                yield Damaged(number, lines.first, "columns", f"{len(cells)} cells, expected {width}")
            else:
                yield Row(number, lines.first, cells)

    def _unpacked(self) -> IO[bytes]:
        """The bytes of the text, unpacked where the file begins as gzip does, whatever its name."""
        magic = self._raw.read(4)
        self._raw.seek(0)
        if magic[:2] == b"\x1f\x8b":
            return io.BufferedReader(gzip.GzipFile(fileobj=self._raw), 1 << 18)
        for each, what in _NOT_TEXT.items():
            if magic == each:
                raise ImportProblem(f"{self.path}: {what}, not a text file; save the sheet as CSV and import that")
        return self._raw

    def _encoding(self) -> str:
        """The encoding that a byte order mark names, or the first declared one in which the sample is valid."""
        try:
            start = self._bytes.read(3)
            named = next((name for bom, name in _BOMS.items() if start.startswith(bom)), None)
            if named or len(self.form.encodings) == 1:
                self._bytes.seek(0)
                return named or self.form.encodings[0]
            sample = start + self._bytes.read(SAMPLE)
            while sample.isascii() and (more := self._bytes.read(SAMPLE)):
                sample = more
            self._bytes.seek(0)
        except _GZIP_ERRORS as error:
            raise ImportProblem(f"{self.path}: the gzip file is damaged: {error}") from None
        for name in self.form.encodings:
            try:
                codecs.getincrementaldecoder(name)().decode(sample)
            except UnicodeDecodeError:
                continue
            return name
        raise self._wrong_encoding()

    def _header(self) -> Sequence[str]:
        if self.form.columns:
            return self.form.columns
        header: list[str] = []
        while not header:
            self._lines.begin_row()
            try:
                header = next(self._reader)
            except StopIteration:
                raise ImportProblem(f"{self.path}: the file is empty; expected a header line") from None
            except csv.Error as error:
                raise ImportProblem(f"{self.path}: the header line cannot be read: {error}") from None
        if self._lines.undecoded:
            raise self._wrong_encoding()
        return header

    def _wrong_encoding(self) -> ImportProblem:
        return ImportProblem(f"{self.path}: not valid {' or '.join(self.form.encodings)}; declare its `encodings`")


def _plainly(error: csv.Error) -> str:
    said = str(error)
    if "expected after" in said:
        return "a quote inside a quoted cell is not doubled"
    if "field larger" in said or "unexpected end" in said:
        return "a quote opens a cell and never closes it"
    return said


class _Lines:
    """The physical lines for the csv reader, counted, with those of the current row at hand."""

    def __init__(self, text: io.TextIOWrapper, path: Path) -> None:
        self.first = self.last = 0  # lines of the current row, from 1
        self.undecoded = False  # whether the current row has bytes that are not text
        self._read = partial(text.readline, LONGEST_LINE)
        self._path = path
        self._row: list[str] = []
        self._returned: deque[str] = deque()

    def begin_row(self) -> None:
        self.first = self.last + 1
        self.undecoded = False
        self._row.clear()

    def give_back(self) -> None:
        """Ends the current row with its first line: the lines after it are read again."""
        self._returned.extendleft(reversed(self._row[1:]))
        self.last = self.first

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else self._read()
        if not line:
            raise StopIteration
        self.last += 1
        if len(line) == LONGEST_LINE and not line.endswith(("\r", "\n")):
            raise ImportProblem(
                f"{self._path}: line {self.last} is longer than {LONGEST_LINE} characters: no text table"
            )
        if not line.isascii() and _UNDECODED.search(line):
            self.undecoded = True
        self._row.append(line)
        return line
