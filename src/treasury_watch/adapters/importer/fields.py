"""One row of cells to the values of one instruction: a mapping, made ready for the columns of one file."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

from treasury_watch.adapters.importer.amounts import amount_reader
from treasury_watch.adapters.importer.mapping import COUNTERS, FieldSource, ImportProblem, Mapping, template_parts
from treasury_watch.adapters.importer.moments import day_reader, moment_reader
from treasury_watch.domain.payment import Field, Kind, field_of, masked, name_form

RejectReason = Literal["quoting", "columns", "encoding", "amount", "date", "value", "number", "schema", "too_large"]


class Row(NamedTuple):
    """One data row: its number (from 1), the physical line it begins on (from 1) and its cells."""

    number: int
    line: int
    cells: Sequence[str]


class Unreadable(Exception):
    """A cell that cannot become the value of its field."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: RejectReason = reason


Texts = Callable[[Row], str]
Convert = Callable[[str], Any]
ReadRow = Callable[[Row], dict[str, Any]]

_WHOLE = re.compile(r"-?[0-9]{1,19}")
_ROUNDED = re.compile(r"[0-9]\.?[0-9]*[eE]\+?[0-9]{1,3}")
_LONG_NUMBER = re.compile(r"[0-9]{11,}")
_TRUTHS = {"true": True, "是": True, "1": True, "false": False, "否": False, "0": False}


def row_reader(mapping: Mapping, header: Sequence[str], name: str) -> ReadRow:
    """A function from a row under `header` to field values (missing ones left out); it raises Unreadable.

    Headers are compared in name form. Raises ImportProblem, lines beginning with `name`, for columns that the file does
    not have (or has twice) and for constants that cannot be read.
    """
    positions = _positions(mapping, header, name)
    plain: list[tuple[str, Texts, Convert | None]] = []
    local: list[tuple[str, Texts, Convert | None]] = []
    constant: dict[str, Any] = {}
    for field_name, source in mapping.fields.items():
        field = field_of(field_name)
        if field is None:
            raise ValueError(field_name)  # refused by the mapping
        convert = _converter(field, source)
        if source.constant is not None and field.kind is not Kind.ATTRIBUTE:
            constant[field_name] = _constant(field, source.constant, convert, name)
        else:
            target = local if field.kind is Kind.ATTRIBUTE else plain
            target.append((field_name.removeprefix("attributes."), _texts(source, positions), convert))

    def read(row: Row) -> dict[str, Any]:
        values = dict(constant)
        _fill(values, plain, row)
        if local:
            attributes: dict[str, Any] = {}
            _fill(attributes, local, row)
            if attributes:
                values["attributes"] = attributes
        return values

    return read


def _fill(values: dict[str, Any], parts: list[tuple[str, Texts, Convert | None]], row: Row) -> None:
    for name, texts, convert in parts:
        text = texts(row)
        if text:
            try:
                value = convert(text) if convert else text
            except Unreadable as error:
                raise Unreadable(error.reason, f"{name} {error}") from None
            if value is not None:
                values[name] = value


def _positions(mapping: Mapping, header: Sequence[str], name: str) -> dict[str, int]:
    """Where each column of the mapping is, by the name the mapping gives it."""
    formed = [name_form(each) for each in header]
    positions: dict[str, int] = {}
    wrong, absent = [], []
    for column in dict.fromkeys(each for source in mapping.fields.values() for each in source.columns):
        wanted = name_form(column)
        count = formed.count(wanted)
        if count == 1:
            positions[column] = formed.index(wanted)
        elif count:
            wrong.append(f"has {count} columns `{column}`, expected one")
        elif close := get_close_matches(wanted, formed, 1):
            wrong.append(f"no column `{column}`; did you mean `{close[0]}`?")
        else:
            absent.append(f"`{column}`")
    if absent:
        wrong.append(f"no column {', '.join(absent)}; its first line is {textwrap.shorten(', '.join(formed), 200)}")
    if wrong and not positions:
        wrong.append("if its first line is no header, name the columns in order with `file: {columns: […]}`")
    if wrong:
        raise ImportProblem("\n".join(f"{name}: {each}" for each in wrong))
    return positions


def _texts(source: FieldSource, positions: dict[str, int]) -> Texts:
    """The text of a row before it is read as its field's kind; empty where missing."""
    if source.constant is not None:
        fixed = source.constant
        return lambda row: fixed
    if source.template is not None:
        return _filled(source.template, positions)
    at = positions[source.column or ""]
    empty = source.empty or ""
    if not source.missing:
        return lambda row: row.cells[at].strip() or empty
    none = frozenset(source.missing)

    def text(row: Row) -> str:
        cell = row.cells[at].strip()
        return empty if cell in none else cell or empty

    return text


def _filled(template: str, positions: dict[str, int]) -> Texts:
    """The filled template. Where every column it names is empty, so is the text: an id of nothing is no id."""
    parts = template_parts(template)
    columns = [positions[name] for _, name, _ in parts if name and name not in COUNTERS]

    def text(row: Row) -> str:
        if columns and not any(row.cells[at].strip() for at in columns):
            return ""
        filled = []
        for literal, name, width in parts:
            filled.append(literal)
            if name in COUNTERS:
                filled.append(str(row.number if name == "row" else row.line).zfill(int(width or 0)))
            elif name is not None:
                filled.append(row.cells[positions[name]].strip())
        return "".join(filled).strip()

    return text


def _constant(field: Field, text: str, convert: Convert | None, name: str) -> Any:
    try:
        return convert(text) if convert else text
    except Unreadable as error:
        raise ImportProblem(f"{name}: fields.{field.name}.constant {error}") from None


def _converter(field: Field, source: FieldSource) -> Convert | None:
    """Text to the value of a field (`None` for missing), or no function where the text is the value."""
    convert = _kind_converter(field, source)
    if source.values is None:
        return convert
    table = source.values if source.empty is None else {source.empty: source.empty} | source.values

    def translated(text: str) -> Any:
        if text not in table:
            raise Unreadable("value", f"{_shown(text)} is not among the `values` of the mapping")
        value = table[text]
        return (convert(value) if convert else value) if value else None

    return translated


def _kind_converter(field: Field, source: FieldSource) -> Convert | None:
    if field.kind is Kind.MONEY:
        return _guarded("amount", amount_reader(source.unit or "元"))
    if field.kind is Kind.TIME and source.zone is not None:
        return _guarded("date", moment_reader(source.formats, source.zone, source.assume_time, source.shift_weeks))
    if field.kind is Kind.DATE:
        return _guarded("date", day_reader(source.formats, source.shift_weeks))
    if field.kind is Kind.ENUM:
        known = field.values

        def one_of(text: str) -> str:
            if text not in known:
                raise Unreadable("value", f"{_shown(text)} is not one of {', '.join(known)}")
            return text

        return one_of
    return {Kind.INTEGER: _whole, Kind.BOOLEAN: _truth, Kind.ACCOUNT: _number}.get(field.kind)


def _guarded(reason: RejectReason, read: Convert) -> Convert:
    def guarded(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise Unreadable(reason, f"{_shown(text)}: {error}") from None

    return guarded


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise Unreadable("value", f"{_shown(text)} is not a whole number")
    return int(text)


def _truth(text: str) -> bool:
    if text not in _TRUTHS:
        raise Unreadable("value", f"{_shown(text)} is not one of {', '.join(_TRUTHS)}")
    return _TRUTHS[text]


def _number(text: str) -> str:
    if _ROUNDED.fullmatch(text):
        raise Unreadable("number", "in scientific notation, rounded by a spreadsheet: export the column as text")
    return text


def _shown(text: str) -> str:
    """A cell as a reject may show it: short, on one line, with whatever may be an account or card number masked."""
    short = text if len(text) <= 40 else text[:40] + "…"
    return "`" + _LONG_NUMBER.sub(lambda found: masked(found.group()), " ".join(short.split())) + "`"
