"""Reference data: named lists, and tables whose columns are declared in YAML and whose rows stand in CSV."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from treasury_watch.domain.payment import name_form
from treasury_watch.rules import limits, scalars
from treasury_watch.rules.diagnostics import LINE_ENDS, did_you_mean, use_one_of
from treasury_watch.rules.limits import COLUMNS, ROWS
from treasury_watch.rules.schema import NamedList, Scalar, Span, Table
from treasury_watch.rules.shapes import IDENTIFIER, Day, Key, Line, ListOf, MapOf, Raw, Record, Word
from treasury_watch.rules.source import MappingNode, Report, ScalarNode, text_of
from treasury_watch.rules.types import COLUMN_TYPES, FORMS

LIST_ENTRY = Record(
    "list entry",
    (
        Key("value", Line(), "the account, name, code or word", "账号、名称、编码或词", True),
        Key("expires", Day(), "the last local day on which it counts", "有效的最后一个当地日"),
        Key("note", Line(), "why it is in the list", "列入名单的原因"),
    ),
)
LIST_FILE = Record(
    "list",
    (
        Key("list", IDENTIFIER, "its name, as `in_list` says it", "名单名称，供 `in_list` 引用", True),
        Key("owner", Line(), "who answers for it", "负责人", True),
        Key("basis", Line(), "the document it comes from", "所依据的文件", True),
        Key(
            "entries",
            ListOf(Raw("list_entry"), limit=limits.ENTRIES),
            "texts, or {value, expires, note}",
            "条目：文本，或 {value, expires, note}",
            True,
        ),
    ),
)
TABLE_FILE = Record(
    "table",
    (
        Key("table", IDENTIFIER, "its name, as `lookup` says it", "表名，供 `lookup` 引用", True),
        Key("owner", Line(), "who answers for it", "负责人", True),
        Key("basis", Line(), "the document it comes from", "所依据的文件", True),
        Key("key", ListOf(IDENTIFIER, 1, limits.BY), "the columns that name a row", "确定一行的键列", True),
        Key("columns", MapOf(IDENTIFIER, Word("type", tuple(COLUMN_TYPES))), "column: type", "列名: 类型", True),
        Key(
            "dated",
            IDENTIFIER,
            "the column with the first local day on which a row holds",
            "记录每行第一个生效当地日的列",
        ),
    ),
)

_KEY_TYPES = ("text", "account", "name")
_EXCHANGE_RATES = "exchange_rates"


def read_list(root: MappingNode, report: Report) -> NamedList | None:
    """A named list, or `None` after telling its author what is wrong."""
    before = len(report.diagnostics)
    read = LIST_FILE.read(root, report) or {}
    entries: dict[str, date | None] = {}
    seen: dict[str, int] = {}
    for node in read.get("entries", ()):
        if isinstance(node, MappingNode):
            entry = LIST_ENTRY.read(node, report) or {}
            value, expires = entry.get("value"), entry.get("expires")
        else:
            value, expires = scalars.text(node, report), None
        if value is None:
            continue
        if name_form(value) in seen:
            line = seen[name_form(value)]
            report.error(node.span, "TW110", f"`{value}` stands twice", f"the first is in line {line}")
        seen.setdefault(name_form(value), node.span.line)
        entries[value] = expires
    if len(report.diagnostics) > before:
        return None
    return NamedList(read["list"], read["owner"], read["basis"], MappingProxyType(entries))


def read_table(root: MappingNode, csv_path: str, csv: bytes | None, report: Report) -> Table | None:
    """A table, its rows from the CSV file that stands beside its declaration."""
    before = len(report.diagnostics)
    read = TABLE_FILE.read(root, report) or {}
    if len(report.diagnostics) > before:
        return None
    columns: dict[str, str] = read["columns"]
    columns_node = root.get("columns")
    if isinstance(columns_node, MappingNode) and not report.within([key for key, _ in columns_node.entries], COLUMNS):
        return None
    dated: str | None = read.get("dated")
    _check_declaration(read["table"], read["key"], columns, dated, root, report)
    if csv is None:
        report.error(root.span, "TW501", f"the table `{read['table']}` has no rows", f"add the file {csv_path}")
    if len(report.diagnostics) > before or csv is None:
        return None
    rows = _read_rows(Layout(read["table"], read["key"], columns, dated), csv_path, csv, report)
    types = {name: kind for name, kind in columns.items() if name != dated}
    return None if rows is None else Table(read["table"], read["key"], MappingProxyType(types), rows)


def read_layout(root: MappingNode) -> Layout | None:
    """What a declaration of a table says; `None` if something is wrong with it, which `read_table` tells."""
    report = Report()
    read = TABLE_FILE.read(root, report) or {}
    return None if report.diagnostics else Layout(read["table"], read["key"], read["columns"], read.get("dated"))


def _check_declaration(
    name: str, key: tuple[str, ...], columns: Mapping[str, str], dated: str | None, root: MappingNode, report: Report
) -> None:
    key_span = (root.get("key") or root).span
    for each in key:
        if each not in columns:
            report.error(key_span, "TW205", f"the key `{each}` is no column", did_you_mean(each, columns))
        elif columns[each] not in _KEY_TYPES or each == dated:
            report.error(key_span, "TW104", f"the key `{each}` is of type {columns[each]}", use_one_of(_KEY_TYPES))
    if dated is not None and columns.get(dated) != "date":
        report.error(
            (root.get("dated") or root).span, "TW205", f"`{dated}` is no column of type date", "declare it as one"
        )
    if name == _EXCHANGE_RATES and (key != ("currency",) or columns.get("rate") != "number" or dated is None):
        hint = "key: [currency], a column `rate: number` (CNY for one unit), and `dated:`"
        report.error(root.span, "TW505", "exchange rates of another shape", f"expected {hint}")


# --- rows ---


@dataclass(frozen=True, slots=True)
class Layout:
    """What a table's declaration says of its rows: the columns that name one, every column's type, and the one with
    the day from which it holds.
    """

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    dated: str | None

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns of which no two rows have the same cells."""
        return self.key if self.dated is None else (*self.key, self.dated)


_Rows = Mapping[tuple[str, ...], tuple[tuple[date | None, Mapping[str, Scalar]], ...]]
_ROUNDED = re.compile(r"[0-9]\.[0-9]+[eE]\+[0-9]+")
_CELL = re.compile(r'\s*"((?:[^"]|"")*)"\s*(?:,|$)|([^,"]*)(?:,|$)')


def cells_of(line: str) -> list[tuple[int, str]] | None:
    """The cells of one line of CSV, each with its offset; `None` if a quote is not closed on the line."""
    if '"' not in line:
        cells, at = [], 0
        for cell in line.split(","):
            cells.append((at + len(cell) - len(cell.lstrip()), cell.strip()))
            at += len(cell) + 1
        return cells
    cells, at = [], 0
    while True:
        match = _CELL.match(line, at)
        if match is None:
            return None
        quoted = match[1]
        cells.append((at, match[2].strip() if quoted is None else quoted.replace('""', '"')))
        if not match[0].endswith(","):
            return cells if match.end() == len(line) else None
        at = match.end()


def _read_rows(layout: Layout, path: str, csv: bytes, report: Report) -> _Rows | None:
    text = text_of(path, csv, report)
    if text is None:
        return None
    before = len(report.diagnostics)
    lines = LINE_ENDS.split(text)
    header = [cell for _, cell in cells_of(lines[0]) or []]
    if sorted(header) != sorted(layout.columns):
        absent = [name for name in layout.columns if name not in header]
        found = (
            f"the header lacks {', '.join(f'`{each}`' for each in absent)}"
            if absent
            else f"the header is {','.join(header)}"
        )
        report.error(Span(path, 1, 1), "TW502", found, f"expected {','.join(layout.columns)}")
        return None
    rows: dict[tuple[str, ...], dict[date | None, Mapping[str, Scalar]]] = {}
    if len(lines) > ROWS.most + 2:  # the header, and what comes after the last line end
        report.over(ROWS, Span(path, ROWS.most + 2, 1))
        return None
    for number, line in enumerate(lines[1:], 2):
        if line.strip():
            row = _read_row(layout, header, path, number, line, report)
            if row is not None:
                key, since, cells = row
                if since in rows.setdefault(key, {}):
                    found = ", ".join(key) + (f" from {since}" if since else "")
                    report.error(Span(path, number, 1), "TW504", f"`{found}` stands twice", "keep one of the rows")
                rows[key][since] = cells
    if len(report.diagnostics) > before:
        return None
    return MappingProxyType(
        {key: tuple(sorted(by_day.items(), key=lambda each: each[0] or date.min)) for key, by_day in rows.items()}
    )


def _read_row(
    layout: Layout, header: list[str], path: str, number: int, line: str, report: Report
) -> tuple[tuple[str, ...], date | None, Mapping[str, Scalar]] | None:
    cells = cells_of(line)
    if cells is None or len(cells) != len(header):
        found = "a quote that is not closed" if cells is None else f"{len(cells)} cells"
        report.error(Span(path, number, 1), "TW503", found, f"expected {len(header)} cells: {','.join(header)}")
        return None
    values: dict[str, Any] = {}
    whole = True
    for name, (offset, text) in zip(header, cells, strict=True):
        span = Span(path, number, min(offset, len(line)) + 1, max(1, len(text)))
        if len(text) > scalars.MAX_TEXT:
            report.error(span, "TW108", f"a cell of {len(text):,} characters", f"at most {scalars.MAX_TEXT:,}")
            whole = False
            continue
        value = _read_cell(name, layout.columns[name], ScalarNode(text, True, span), report) if text else None
        if value is not None:
            values[name] = value
        elif text:
            whole = False
        elif name in layout.key or name == layout.dated:
            report.error(span, "TW503", f"an empty `{name}`", "every row has its key and its date")
            whole = False
    if not whole:
        return None
    if layout.name == _EXCHANGE_RATES and not values.get("rate", 0) > 0:
        report.error(Span(path, number, 1), "TW503", "a rate that is not above zero", "expected CNY for one unit")
        return None
    key = tuple(FORMS[layout.columns[name]](values[name]) for name in layout.key)
    since = values.pop(layout.dated) if layout.dated else None
    return key, since, MappingProxyType(values)


def _read_cell(name: str, kind: str, node: ScalarNode, report: Report) -> Scalar | None:
    found = Report()
    value = _CELL_READERS[kind](node, found)
    for each in found.diagnostics:
        report.error(each.span, "TW503", f"`{name}` is of type {kind}, and {each.message}", each.hint)
    return value


def _read_integer(node: ScalarNode, report: Report) -> int | None:
    return scalars.whole(node, report, -(2**63), 2**63 - 1)


def _read_exact(node: ScalarNode, report: Report) -> Decimal | None:
    value = scalars.number(node, report)
    return None if value is None else Decimal(value)


def _read_as_is(node: ScalarNode, report: Report) -> str:
    return node.text


def _read_account(node: ScalarNode, report: Report) -> str | None:
    if _ROUNDED.fullmatch(node.text):
        hint = "a spreadsheet rounded the number: format the column as text, and enter it again"
        report.error(node.span, "TW503", f"`{node.text}` has lost its digits", hint)
        return None
    return node.text


_CELL_READERS: Mapping[str, Callable[[ScalarNode, Report], Scalar | None]] = {
    "text": _read_as_is,
    "account": _read_account,
    "name": _read_as_is,
    "money": scalars.money,
    "integer": _read_integer,
    "number": _read_exact,
    "date": scalars.day,
    "boolean": scalars.flag,
}
