"""The difference between the lists, tables and calendars of two rule sets, entry by entry, with their places.

Accounts and card numbers are masked to their last four; the place tells which one it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from treasury_watch.domain.payment import masked
from treasury_watch.rules.diagnostics import lines_of
from treasury_watch.rules.diff import Part
from treasury_watch.rules.reference import cells_of
from treasury_watch.rules.schema import Calendar, NamedList, RuleSet, Span, Table
from treasury_watch.rules.source import MappingNode, Report, ScalarNode, SequenceNode, compose
from treasury_watch.rules.types import FORMS

_LONG_NUMBER = re.compile(r"[0-9][0-9 -]{10,}[0-9]")
Row = tuple[tuple[str, ...], date | None]  # the key of a row, and from when it counts


@dataclass(frozen=True, slots=True)
class DataDiff:
    """A list, table or calendar that differs. `old` or `new` is `None` where it is absent."""

    kind: str  # list, table, calendar
    name: str
    old: Span | None
    new: Span | None
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Set:
    """A rule set and the files that it was read from."""

    ruleset: RuleSet
    files: Mapping[str, bytes]


def data_diffs(old: Set, new: Set) -> list[DataDiff]:
    """Lists, then tables, then calendars, each by name."""
    found = []
    kinds: tuple[tuple[str, Mapping[str, Any], Mapping[str, Any], Callable[..., Iterator[Part]]], ...] = (
        ("list", old.ruleset.lists, new.ruleset.lists, _list_parts),
        ("table", old.ruleset.tables, new.ruleset.tables, _table_parts),
        ("calendar", old.ruleset.calendars, new.ruleset.calendars, _calendar_parts),
    )
    for kind, before, after, differ in kinds:
        for name in sorted(before.keys() | after.keys()):
            one, other = before.get(name), after.get(name)
            if one == other:
                continue
            roots = _root(kind, name, old.files), _root(kind, name, new.files)
            parts = tuple(differ(one, other, roots, (old.files, new.files)))
            if parts or one is None or other is None:
                found.append(DataDiff(kind, name, _start(roots[0]), _start(roots[1]), parts))
    return found


Roots = tuple[MappingNode | None, MappingNode | None]
Files = tuple[Mapping[str, bytes], Mapping[str, bytes]]


def _root(kind: str, name: str, files: Mapping[str, bytes]) -> MappingNode | None:
    """The file that declares it."""
    for path, data in sorted(files.items()):
        if path.endswith(".yaml") and f"{kind}:".encode() in data and name.encode() in data:
            root = compose(path, data, Report())
            node = root.get(kind) if isinstance(root, MappingNode) else None
            if isinstance(root, MappingNode) and isinstance(node, ScalarNode) and node.text == name:
                return root
    return None


def _start(root: MappingNode | None) -> Span | None:
    return None if root is None else root.span


# --- lists ---


def _list_parts(old: NamedList | None, new: NamedList | None, roots: Roots, _: Files) -> Iterator[Part]:
    before, after = (each.entries if each is not None else {} for each in (old, new))
    old_places, new_places = _entry_places(roots[0]), _entry_places(roots[1])
    for entry in [*before, *(each for each in after if each not in before)]:
        told, now = _expiry(before, entry), _expiry(after, entry)
        if told != now:
            yield Part("entry", _shown(entry), told, now, old_places.get(entry), new_places.get(entry))


def _expiry(entries: Mapping[str, date | None], entry: str) -> str | None:
    if entry not in entries:
        return None
    expires = entries[entry]
    return f"expires {expires}" if expires else "listed"


def _entry_places(root: MappingNode | None) -> dict[str, Span]:
    entries = None if root is None else root.get("entries")
    places = {}
    for node in entries.items if isinstance(entries, SequenceNode) else ():
        value = node.get("value") if isinstance(node, MappingNode) else node
        if isinstance(value, ScalarNode):
            places[value.text] = value.span
    return places


def _shown(text: str) -> str:
    return masked(text) if _LONG_NUMBER.fullmatch(text) else text


# --- tables ---


def _table_parts(old: Table | None, new: Table | None, roots: Roots, files: Files) -> Iterator[Part]:
    if old is not None and new is not None and (old.key, dict(old.types)) != (new.key, dict(new.types)):
        yield Part("columns", None, _columns(old), _columns(new), _start(roots[0]), _start(roots[1]))
    before, after = _rows(old), _rows(new)
    old_lines = _row_places(old, roots[0], files[0])
    new_lines = _row_places(new, roots[1], files[1])
    for row in [*before, *(each for each in after if each not in before)]:
        one, other = before.get(row), after.get(row)
        if one != other:
            table = new if one is None else old
            assert table is not None
            yield Part("row", _row_name(row, table), *_cells(one, other, table), old_lines.get(row), new_lines.get(row))


def _columns(table: Table) -> str:
    return f"key {', '.join(table.key)}; " + ", ".join(f"{name} {kind}" for name, kind in table.types.items())


def _rows(table: Table | None) -> dict[Row, Mapping[str, Any]]:
    if table is None:
        return {}
    return {(key, since): cells for key, dated in table.rows.items() for since, cells in dated}


def _row_name(row: Row, table: Table) -> str:
    key, since = row
    told = ", ".join(
        masked(cell) if table.types[column] == "account" else cell for column, cell in zip(table.key, key, strict=True)
    )
    return f"{told} from {since}" if since else told


def _cells(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, table: Table) -> tuple[str | None, str | None]:
    """What is said of a row's cells: of two rows, only the cells that differ."""
    told: list[str | None] = []
    for own, other in ((old, new), (new, old)):
        if own is None:
            told.append(None)
            continue
        names = [name for name in table.types if name not in table.key]
        if other is not None:
            names = [name for name in (own.keys() | other.keys()) if own.get(name) != other.get(name)]
        shown = [f"{name} {_cell(own.get(name), table.types.get(name))}" for name in sorted(names)]
        told.append(", ".join(shown))
    return told[0], told[1]


def _cell(value: Any, kind: str | None) -> str:
    if value is None:
        return "(empty)"
    if kind == "account":
        return masked(str(value))
    return f"{value:,}" if kind == "money" else str(value).lower() if kind == "boolean" else str(value)


def _row_places(table: Table | None, root: MappingNode | None, files: Mapping[str, bytes]) -> dict[Row, Span]:
    if table is None or root is None:
        return {}
    path = root.span.file.removesuffix(".yaml") + ".csv"
    dated = root.get("dated")
    column = dated.text if isinstance(dated, ScalarNode) else None
    lines = lines_of(files.get(path, b""))
    header = [cell for _, cell in cells_of(lines[0]) or []]
    places = {}
    for number, line in enumerate(lines[1:], 2):
        cells = dict(zip(header, (cell for _, cell in cells_of(line) or []), strict=False))
        if line.strip() and all(name in cells for name in table.key):
            key = tuple(str(FORMS[table.types[name]](cells[name])) for name in table.key)
            since = date.fromisoformat(cells[column]) if column else None
            places[key, since] = Span(path, number, 1)
    return places


# --- calendars ---


def _calendar_parts(old: Calendar | None, new: Calendar | None, roots: Roots, _: Files) -> Iterator[Part]:
    before, after = (each.years if each is not None else {} for each in (old, new))
    places = _start(roots[0]), _start(roots[1])
    for year in sorted(before.keys() | after.keys()):
        one, other = before.get(year), after.get(year)
        for part in ("holidays", "made_up"):
            days = [getattr(each, part) if each is not None else frozenset() for each in (one, other)]
            gone, come = _days(days[0] - days[1]), _days(days[1] - days[0])
            if gone or come:
                yield Part(part, str(year), gone, come, *places)


def _days(ordinals: frozenset[int]) -> str | None:
    return ", ".join(date.fromordinal(each).isoformat() for each in sorted(ordinals)) or None
