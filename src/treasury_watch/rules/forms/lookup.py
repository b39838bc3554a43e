"""Look-ups: a value of reference data, by one or several key fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from treasury_watch.domain.payment import Kind
from treasury_watch.rules import scalars
from treasury_watch.rules.diagnostics import did_you_mean
from treasury_watch.rules.evaluation import Coder, Expression, Judging
from treasury_watch.rules.meaning import runtime_value
from treasury_watch.rules.schema import Feature, Span, Table
from treasury_watch.rules.scope import Scope, field_names
from treasury_watch.rules.shapes import Key, Raw, Record, article
from treasury_watch.rules.source import MappingNode
from treasury_watch.rules.types import COLUMN_TYPES, Sort, Type, field_type

RECORD = Record(
    "lookup",
    (
        Key("lookup", Raw("name"), "the table", "表", True),
        Key(
            "key",
            Raw("fields"),
            "the field or fields that the table's key columns are compared with",
            "与表的键列比对的一个或多个字段",
            True,
        ),
        Key("column", Raw("name"), "the column whose value is wanted", "取值的列", True),
    ),
)
_KINDS = {
    "text": Kind.TEXT,
    "account": Kind.ACCOUNT,
    "name": Kind.NAME,
    "money": Kind.MONEY,
    "integer": Kind.INTEGER,
    "number": Kind.INTEGER,
    "date": Kind.DATE,
    "boolean": Kind.BOOLEAN,
}

Column = Callable[[tuple[Any, ...], int], Any]


@dataclass(frozen=True, slots=True)
class Lookup(Feature):
    """`{lookup: table, key: field(s), column: c}`: a value of reference data; a missing row or cell is missing."""

    table: str
    key: tuple[str, ...]  # field names, in the order of the table's key columns
    column: str
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)

    def type(self, tables: Mapping[str, Table]) -> Type:
        return COLUMN_TYPES[tables[self.table].types[self.column]]

    def code(self, coder: Coder) -> Expression:
        table = coder.ruleset.tables[self.table]
        keys = [coder.field(name, Kind.TEXT) for name in self.key]
        missing = " or ".join(f"{key.code} is None" for key in keys if key.may_miss)
        cells = f"({', '.join(key.code for key in keys)},)"
        if all(since is None for dated in table.rows.values() for since, _ in dated):
            always = coder.constant(("cells", self.table, self.column), lambda: _cells(table, self.column))
            found = f"{always}.get({cells})"
        else:
            column = coder.constant(("column", self.table, self.column), lambda: column_of(table, self.column))
            found = f"{column}({cells}, day.ordinal)"
        code = coder.once(self, "v", lambda: f"None if {missing} else {found}" if missing else found)
        return Expression(code, True, column_kind(table, self.column))

    def value(self, judged: Judging) -> tuple[Any, Kind]:
        table = judged.ruleset.tables[self.table]
        key = tuple(judged.field(name, Kind.TEXT)[0] for name in self.key)
        kind = column_kind(table, self.column)
        return (None, kind) if None in key else (judged.cell(self.table, self.column, key), kind)

    def absent(self, judged: Judging) -> Iterator[str]:
        lacking = [name for name in self.key if judged.field(name, Kind.TEXT)[0] is None]
        yield from lacking or [f"{self.table}.{self.column}"]


def column_kind(table: Table, column: str) -> Kind:
    """The kind of a column's values."""
    return _KINDS[table.types[column]]


def column_of(table: Table, column: str) -> Column:
    """The look-up `(key cells, local day) → value or None` of one column of a table, in run-time values."""
    rows = _dated_cells(table, column)

    def find(key: tuple[Any, ...], ordinal: int) -> Any:
        found = None
        for since, value in rows.get(key, ()):
            if since > ordinal:
                break
            found = value
        return found

    return find


def _cells(table: Table, column: str) -> dict[tuple[Any, ...], Any]:
    """Key cells → value or `None`, of a table without dates."""
    return {cells: dated[-1][1] for cells, dated in _dated_cells(table, column).items()}


def _dated_cells(table: Table, column: str) -> dict[tuple[Any, ...], list[tuple[int, Any]]]:
    """Key cells → first local day (0: always) and value or `None`, oldest first."""
    kind, forms = column_kind(table, column), [column_kind(table, name) for name in table.key]
    return {
        tuple(runtime_value(cell, form) for cell, form in zip(key, forms, strict=True)): [
            (0 if since is None else since.toordinal(), runtime_value(row[column], kind) if column in row else None)
            for since, row in dated
        ]
        for key, dated in table.rows.items()
    }


def read_lookup(form: str, read: dict[str, Any], node: MappingNode, scope: Scope) -> Lookup | None:
    """A look-up whose key fields have the types of the table's key columns, or `None` after telling the author."""
    report = scope.report
    if not {"key", "column"} <= read.keys():
        return None
    keys = field_names(read["key"], report, at_least=1)
    name = scalars.scalar(read[form], report, "the name of a table")
    column = scalars.scalar(read["column"], report, "the name of a column")
    if keys is None or name is None or column is None:
        return None
    table = scope.reference.tables.get(name.text)
    if table is None:
        if scope.reference.whole:
            hint = did_you_mean(name.text, scope.reference.tables)
            report.error(name.span, "TW204", f"there is no table `{name.text}`", hint)
        return None
    if column.text not in table.types:
        hint = did_you_mean(column.text, table.types)
        report.error(column.span, "TW205", f"the table `{table.name}` has no column `{column.text}`", hint)
        return None
    key_span = read["key"].span
    if len(keys) != len(table.key):
        wanted = ", ".join(table.key)
        report.error(key_span, "TW305", f"{len(keys)} key field(s) for `{table.name}`", f"its key is [{wanted}]")
        return None
    for each, key_column in zip(keys, table.key, strict=True):
        kind = table.types[key_column]
        if not _fits(field_type(each), COLUMN_TYPES[kind]):
            message = f"`{each}` does not compare with `{key_column}`, {article(kind)} of `{table.name}`"
            report.error(key_span, "TW305", message, "declare the key column with the field's type")
            return None
    return Lookup(table.name, keys, column.text, node.span)


def _fits(field: Type, column: Type) -> bool:
    return field.sort is Sort.LOCAL or (field.sort is column.sort and field.form == column.form)
