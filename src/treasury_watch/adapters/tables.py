"""The rows of a table as text (表内容), apart from the rules that declare it: read, changed row by row, written again.

A row is named by the cells of its identity: the key columns and, in a dated table, the day. What types the cells have
is known to the rules only, which read the text that comes out as they read a file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from treasury_watch.rules.diagnostics import LINE_ENDS
from treasury_watch.rules.limits import FILE_BYTES, ROWS
from treasury_watch.rules.reference import cells_of


class TableError(ValueError):
    """A text that is no table, or a change that does not fit it: one line that says where and why."""


@dataclass(frozen=True, slots=True)
class TableText:
    """`rows` maps the cells of the identity to all cells, in the order of `columns`."""

    columns: tuple[str, ...]
    identity: tuple[str, ...]
    rows: Mapping[tuple[str, ...], tuple[str, ...]]

    def csv(self, columns: tuple[str, ...] | None = None) -> str:
        """The table as CSV, in the order of its identity; with these columns only. Raises TableError if one lacks."""
        columns = columns or self.columns
        absent = [name for name in columns if name not in self.columns]
        if absent:
            raise TableError(f"the published table has no column {', '.join(absent)}, which the rules declare")
        places = [self.columns.index(name) for name in columns]
        lines = [columns, *([self.rows[key][place] for place in places] for key in sorted(self.rows))]
        return "".join(",".join(map(_cell, line)) + "\n" for line in lines)

    @property
    def digest(self) -> str:
        """ "sha256:…" over columns and rows, whatever order they came in."""
        order = sorted(range(len(self.columns)), key=lambda place: self.columns[place])
        said = [
            [self.columns[place] for place in order],
            sorted(self.identity),
            sorted([row[place] for place in order] for row in self.rows.values()),
        ]
        return "sha256:" + hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()

    def changed(self, put: TableText, retired: TableText) -> TableText:
        """The table with rows added or replaced, and rows taken out. Raises TableError if they do not fit.

        A column that `put` has not keeps the cells that it had, and is empty in a new row.
        """
        strange = [name for name in put.columns if name not in self.columns]
        if strange:
            raise TableError(f"the published table has no column {', '.join(strange)}: publish it whole")
        if {self.identity, put.identity, retired.identity} != {self.identity}:
            raise TableError(f"the rows of the published table are named by {', '.join(self.identity)}")
        rows = dict(self.rows)
        for key in retired.rows:
            if key not in rows:
                raise TableError(f"there is no row `{', '.join(key)}` to retire")
            if key in put.rows:
                raise TableError(f"the row `{', '.join(key)}` is both changed and retired")
            del rows[key]
        for key, cells in put.rows.items():
            before = rows.get(key, ("",) * len(self.columns))
            rows[key] = tuple(
                cells[put.columns.index(name)] if name in put.columns else kept
                for name, kept in zip(self.columns, before, strict=True)
            )
        if len(rows) > ROWS.most:
            raise TableError(f"a table of {len(rows):,} rows: at most {ROWS.most:,}")
        return TableText(self.columns, self.identity, rows)


def read_text(data: bytes, identity: tuple[str, ...], name: str) -> TableText:
    """The rows of a CSV file in UTF-8. `name` is what errors call it. Raises TableError."""
    if len(data) > FILE_BYTES.most:
        raise TableError(f"{name}: more than {FILE_BYTES.most:,} bytes")
    try:
        lines = LINE_ENDS.split(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise TableError(f"{name}: not UTF-8 text: {error.reason}") from None
    columns = _line(lines[0], 1, name)
    if len(set(columns)) < len(columns) or "" in columns:
        raise TableError(f"{name}:1: a column without a name, or twice: {lines[0][:200]}")
    absent = [each for each in identity if each not in columns]
    if absent:
        raise TableError(f"{name}:1: no column {', '.join(absent)}, which names a row")
    places = [columns.index(each) for each in identity]
    rows: dict[tuple[str, ...], tuple[str, ...]] = {}
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        cells = _line(line, number, name)
        if len(cells) != len(columns):
            raise TableError(f"{name}:{number}: {len(cells)} cells, expected {len(columns)}: {','.join(columns)}")
        key = tuple(cells[place] for place in places)
        if key in rows:
            raise TableError(f"{name}:{number}: `{', '.join(key)}` stands twice")
        rows[key] = cells
    if len(rows) > ROWS.most:
        raise TableError(f"{name}: {len(rows):,} rows, at most {ROWS.most:,}")
    return TableText(columns, identity, rows)


def no_rows(identity: tuple[str, ...]) -> TableText:
    """A table without rows, of the identity's columns only."""
    return TableText(identity, identity, {})


def _line(line: str, number: int, name: str) -> tuple[str, ...]:
    cells = cells_of(line)
    if cells is None:
        raise TableError(f"{name}:{number}: a quote that is not closed")
    return tuple(cell for _, cell in cells)


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if '"' in text or "," in text or text != text.strip() else text
