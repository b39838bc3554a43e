"""The mapping file: which column of an export becomes which field of an instruction, and how it is read."""

from __future__ import annotations

import codecs
import string
from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from datetime import UTC, datetime, time
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from treasury_watch.adapters.importer.amounts import UNITS
from treasury_watch.adapters.importer.moments import has_time
from treasury_watch.domain.payment import FIELDS, Kind, field_of

REQUIRED = ("instruction_id", "event_time", "jurisdiction", "budget_unit", "amount", "payment_mode", "settlement")
COUNTERS = ("row", "line")  # what a template knows besides columns: number of the data row, physical line
_DATED = (Kind.TIME, Kind.DATE)


class ImportProblem(Exception):
    """What keeps a whole file from being imported, as one or more lines for the person who called."""


class Complaints(ValueError):
    """Several things wrong with the fields of a mapping."""


class _Part(BaseModel):
    # Every scalar of the file arrives as text (see _Loader), hence no strict mode.
    model_config = ConfigDict(extra="forbid", frozen=True)


def _encoding(name: str) -> str:
    try:
        codec = codecs.lookup(name)
    except LookupError:
        raise ValueError("unknown encoding; try utf-8, gb18030 or gbk") from None
    return "gb18030" if codec.name in ("gbk", "gb2312", "cp936") else codec.name  # a superset of both


def _zone(name: Any) -> Any:
    try:
        return ZoneInfo(name)
    except (OSError, TypeError, ValueError, KeyError):  # it depends on the name which of them says "not found"
        raise ValueError("unknown time zone; try Asia/Shanghai") from None


def _unit(name: str) -> str:
    if name not in UNITS:
        raise ValueError(f"expected {', '.join(UNITS)}")
    return name


class FileFormat(_Part):
    """How the text file is written."""

    encodings: tuple[Annotated[str, AfterValidator(_encoding)], ...] = Field(("utf-8",), min_length=1)
    delimiter: str = Field(",", min_length=1, max_length=1)
    columns: tuple[str, ...] = ()  # names for a file without a header line, by position


class FieldSource(_Part):
    """Where the value of one field comes from (one of column, constant, template) and how its text is read.

    `missing` lists cell texts that mean that there is no value, besides the empty cell; `empty` is the value that then
    stands in. `values` translates texts, and a text it does not list is refused; a translation to nothing is missing.
    """

    column: str | None = None
    constant: str | None = None
    template: str | None = None
    missing: tuple[str, ...] = ()
    values: dict[str, str] | None = None
    empty: str | None = None
    unit: Annotated[str, AfterValidator(_unit)] | None = None
    formats: tuple[str, ...] = ()
    zone: Annotated[ZoneInfo, BeforeValidator(_zone)] | None = None
    assume_time: time | None = None
    shift_weeks: int = 0

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _column_alone(cls, given: Any) -> Any:
        return {"column": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(each is not None for each in (self.column, self.constant, self.template)) != 1:
            raise ValueError("expected exactly one of column, constant, template")
        return self

    @field_validator("template")
    @classmethod
    def _plain_template(cls, template: str | None) -> str | None:
        if template is not None:
            template_parts(template)
        return template

    @field_validator("formats")
    @classmethod
    def _known_directives(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in formats:
            example = datetime(2025, 3, 5, 10, 15, tzinfo=UTC).strftime(pattern)
            try:
                datetime.strptime(example, pattern)  # noqa: DTZ007 - only tried
            except ValueError:
                raise ValueError(f"`{pattern}` is not a date format; expected one such as %Y-%m-%d %H:%M:%S") from None
        return formats

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads."""
        if self.template is not None:
            return tuple(name for _, name, _ in template_parts(self.template) if name and name not in COUNTERS)
        return (self.column,) if self.column is not None else ()


class Mapping(_Part):
    """A whole mapping file. `notes` are facts that every user of the output must know; they are printed with it."""

    notes: tuple[str, ...] = ()
    file: FileFormat = FileFormat()
    fields: dict[str, FieldSource]

    @field_validator("fields", mode="after")
    @classmethod
    def _fields_fit(cls, fields: dict[str, FieldSource]) -> dict[str, FieldSource]:
        wrong = [f"{name}: {complaint}" for name, source in fields.items() for complaint in _complaints(name, source)]
        wrong += [f"{name}: missing; every instruction needs it" for name in REQUIRED if name not in fields]
        if wrong:
            raise Complaints(wrong)
        return fields


def template_parts(template: str) -> list[tuple[str, str | None, str]]:
    """Literal text, name and format of each part. Raises ValueError where it is more than names in braces."""
    parts = [(text, name, spec or "") for text, name, spec, _ in string.Formatter().parse(template)]
    for _, name, spec in parts:
        if name == "":
            raise ValueError("a template names its columns: {column}")
        if spec and (name not in COUNTERS or not spec.isdigit()):
            raise ValueError(f"only {{row:06}} and {{line:06}} take a width, found {{{name}:{spec}}}")
    return parts


def _complaints(name: str, source: FieldSource) -> list[str]:
    known = field_of(name)
    if known is None:
        close = get_close_matches(name, FIELDS, 1)
        return ["no such field" + (f"; did you mean `{close[0]}`?" if close else "; local fields are `attributes.…`")]
    found = []
    if source.column is None and (source.missing or source.empty is not None):
        found.append("`missing` and `empty` are for columns")
    if source.unit and known.kind is not Kind.MONEY:
        found.append("`unit` is for amounts")
    if known.kind in _DATED and not source.formats:
        found.append('expected `formats`, such as ["%Y-%m-%d"]')
    if known.kind not in _DATED and (source.formats or source.shift_weeks):
        found.append("`formats` and `shift_weeks` are for dates and times")
    if known.kind is Kind.TIME and not source.zone:
        found.append("expected `zone`, such as Asia/Shanghai")
    if known.kind is Kind.TIME and not source.assume_time and not all(map(has_time, source.formats)):
        found.append("a format has no time of day: say which to assume with `assume_time`")
    if known.kind is not Kind.TIME and (source.zone or source.assume_time):
        found.append("`zone` and `assume_time` are for times")
    if known.kind is Kind.ENUM:
        given = [*(source.values or {}).values(), source.constant, source.empty]
        known_values = ", ".join(known.values)
        found += [f"`{each}` is not one of {known_values}" for each in given if each and each not in known.values]
    return found


class _Loader(yaml.BaseLoader):
    """Leaves every scalar as the text that was written: 010101, 12:00 and NO are not numbers and booleans here."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"`{key.value}` is given twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def shipped() -> list[str]:
    """The names of the mappings that come with the product."""
    folder = files("treasury_watch").joinpath("mappings")
    return sorted(each.name for each in folder.iterdir() if each.name.endswith(".yaml"))


def load_mapping(source: Path | str) -> Mapping:
    """The mapping of a file, or of the name of a shipped one. Raises ImportProblem with a line for everything wrong."""
    path = Path(source)
    if not path.exists() and str(source) in shipped():
        path = Path(str(files("treasury_watch").joinpath("mappings", str(source))))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        hint = f"; shipped mappings are {', '.join(shipped())}" if isinstance(error, FileNotFoundError) else ""
        raise ImportProblem(f"{source}: {error.strerror or error}{hint}") from None
    except UnicodeDecodeError as error:
        raise ImportProblem(f"{source}: a mapping file is UTF-8, found byte {error.object[error.start]:#04x}") from None
    try:
        given = yaml.load(text, _Loader)  # a BaseLoader builds text, lists and mappings only
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else str(source)
        raise ImportProblem(f"{where}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ImportProblem(f"{source}: {' '.join(str(error).split())}") from None
    return parse_mapping(given, str(source))


def parse_mapping(given: MappingOf[str, Any] | Any, name: str) -> Mapping:
    """The mapping of already parsed YAML; `name` begins every line of an ImportProblem."""
    if not isinstance(given, dict):
        raise ImportProblem(f"{name}: expected a mapping with `fields`")
    try:
        return Mapping.model_validate(given)
    except ValidationError as error:
        raise ImportProblem("\n".join(f"{name}: {line}" for line in _explained(error))) from None


_EXPECTED = {
    "dict_type": "expected keys with values",
    "model_type": "expected keys with values",
    "tuple_type": "expected a list, such as [a, b]",
    "string_type": "expected text",
    "string_too_short": "expected one character",
    "string_too_long": "expected one character",
    "too_short": "expected at least one",
    "int_parsing": "expected a whole number",
    "time_parsing": "expected a time of day, such as 09:00",
    "missing": "missing",
}


def _explained(error: ValidationError) -> list[str]:
    lines = []
    for each in error.errors(include_url=False):
        where = ".".join(map(str, each["loc"]))
        if each["type"] == "extra_forbidden":
            lines.append(f"{where}: no such key{_did_you_mean(each['loc'])}")
        elif isinstance(each.get("ctx", {}).get("error"), Complaints):
            lines += [f"{where}.{line}" for line in each["ctx"]["error"].args[0]]
        else:
            said = _EXPECTED.get(each["type"]) or each["msg"].removeprefix("Value error, ")
            found = f", found `{each['input']}`" if isinstance(each["input"], str) else ""
            lines.append(f"{where}: {said}{found}")
    return lines


def _did_you_mean(location: Sequence[str | int]) -> str:
    models: dict[int, type[BaseModel]] = {1: Mapping, 2: FileFormat}
    keys = models.get(len(location), FieldSource).model_fields
    close = get_close_matches(str(location[-1]), keys, 1)
    return f"; did you mean `{close[0]}`?" if close else f"; expected {', '.join(keys)}"
