"""The shapes that values of rule files have: each reads a node, and says itself as JSON Schema for editors.

`read` gives the value, or `None` after telling the author what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from treasury_watch.domain.verdict import Text
from treasury_watch.rules import scalars
from treasury_watch.rules.diagnostics import did_you_mean
from treasury_watch.rules.limits import Limit
from treasury_watch.rules.source import MappingNode, Node, Report, ScalarNode, SequenceNode

JsonSchema = dict[str, Any]
_SHARE = re.compile(r"(?:100(?:\.0{1,4})?|[1-9]?[0-9](?:\.[0-9]{1,4})?)%")


class Shape(Protocol):
    def read(self, node: Node, report: Report) -> Any | None: ...

    def schema(self) -> JsonSchema: ...


def described(en: str, zh: str) -> JsonSchema:
    """What an editor shows of a key or an operator: a paragraph in each language."""
    return {"description": f"{en}\n\n{zh}"}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a mapping: adding it here is all that the reader and the JSON Schema need."""

    name: str
    shape: Shape
    doc: str
    zh: str  # the same in Chinese
    required: bool = False

    def schema(self) -> JsonSchema:
        return self.shape.schema() | described(self.doc, self.zh)


@dataclass(frozen=True, slots=True)
class Raw:
    """Something read later, when the names that it may use are known; `ref` is its name among the schema's `$defs`."""

    ref: str

    def read(self, node: Node, report: Report) -> Node | None:
        return node

    def schema(self) -> JsonSchema:
        return {"$ref": f"#/$defs/{self.ref}"}


@dataclass(frozen=True, slots=True)
class Line:
    """A text that is not empty."""

    def read(self, node: Node, report: Report) -> str | None:
        return scalars.text(node, report)

    def schema(self) -> JsonSchema:
        return {"type": "string", "minLength": 1, "maxLength": scalars.MAX_TEXT}


@dataclass(frozen=True, slots=True)
class Name:
    """A text of a given form; `form` says it in words."""

    pattern: str
    form: str

    def read(self, node: Node, report: Report) -> str | None:
        text = scalars.text(node, report)
        if text is not None and not re.fullmatch(self.pattern, text):
            report.error(node.span, "TW108", f"`{text}` is not such a name", f"expected {self.form}")
            return None
        return text

    def schema(self) -> JsonSchema:
        return {"type": "string", "pattern": f"^(?:{self.pattern})$"}


RULE_ID = Name(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)+", "capitals, digits and hyphens, as in AMT-001")
IDENTIFIER = Name(r"[a-z][a-z0-9_]{0,63}", "a small letter, then small letters, digits and underscores")


@dataclass(frozen=True, slots=True)
class Word:
    """One of a few words; `what` is the key that the message names."""

    what: str
    allowed: tuple[str, ...]

    def read(self, node: Node, report: Report) -> str | None:
        return scalars.word(node, report, self.allowed, self.what)

    def schema(self) -> JsonSchema:
        return {"enum": list(self.allowed)}


@dataclass(frozen=True, slots=True)
class Whole:
    low: int
    high: int

    def read(self, node: Node, report: Report) -> int | None:
        return scalars.whole(node, report, self.low, self.high)

    def schema(self) -> JsonSchema:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Share:
    """A share written in percent, read as the exact part of one: 0.5% is 0.005."""

    def read(self, node: Node, report: Report) -> Decimal | None:
        found = scalars.scalar(node, report, "a share as in 0.5%")
        if found is None:
            return None
        if not _SHARE.fullmatch(found.text):
            report.error(found.span, "TW108", f"`{found.text}` is not a share", "expected 0% to 100%, as in 0.5%")
            return None
        return Decimal(found.text[:-1]) / 100

    def schema(self) -> JsonSchema:
        return {"type": "string", "pattern": f"^{_SHARE.pattern}$"}


@dataclass(frozen=True, slots=True)
class Flag:
    def read(self, node: Node, report: Report) -> bool | None:
        return scalars.flag(node, report)

    def schema(self) -> JsonSchema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Day:
    def read(self, node: Node, report: Report) -> date | None:
        return scalars.day(node, report)

    def schema(self) -> JsonSchema:
        return {"type": "string", "format": "date"}


@dataclass(frozen=True, slots=True)
class Moment:
    def read(self, node: Node, report: Report) -> str | None:
        return scalars.moment(node, report)

    def schema(self) -> JsonSchema:
        return {"type": "string", "format": "date-time"}


@dataclass(frozen=True, slots=True)
class Duration:
    """Read as microseconds; `zero`: 0h is allowed."""

    zero: bool = False

    def read(self, node: Node, report: Report) -> int | None:
        return scalars.duration(node, report, zero=self.zero)

    def schema(self) -> JsonSchema:
        return {"type": "string", "pattern": r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$", "minLength": 2}


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone of the IANA database."""

    def read(self, node: Node, report: Report) -> str | None:
        name = scalars.text(node, report)
        if name is None:
            return None
        try:
            ZoneInfo(name)
        except (ValueError, OSError, LookupError):
            report.error(node.span, "TW106", f"`{name}` is not a time zone", "expected one as in Asia/Shanghai")
            return None
        return name

    def schema(self) -> JsonSchema:
        return {"type": "string", "examples": ["Asia/Shanghai"]}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; what is wrong with one element does not hide what is wrong with the others."""

    shape: Shape
    at_least: int = 0
    limit: Limit | None = None

    def read(self, node: Node, report: Report) -> tuple[Any, ...] | None:
        if not isinstance(node, SequenceNode):
            report.error(node.span, "TW104", "not a list", "expected a list: [a, b], or one `- ` a line")
            return None
        if len(node.items) < self.at_least:
            report.error(node.span, "TW104", "an empty list", "expected at least one element")
            return None
        if self.limit is not None and not report.within(node.items, self.limit):
            return None
        values = [self.shape.read(item, report) for item in node.items]
        return tuple(value for value in values if value is not None)

    def schema(self) -> JsonSchema:
        sizes = {"minItems": self.at_least} if self.at_least else {}
        if self.limit is not None:
            sizes["maxItems"] = self.limit.most
        return {"type": "array", "items": self.shape.schema()} | sizes


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping from the author's own names to values of one shape."""

    names: Name
    shape: Shape

    def read(self, node: Node, report: Report) -> dict[str, Any] | None:
        if not isinstance(node, MappingNode):
            report.error(node.span, "TW104", "not a mapping", "expected `name: value`")
            return None
        read = {}
        for key, value in node.entries:
            name = self.names.read(key, report)
            found = self.shape.read(value, report)
            if name is not None and found is not None:
                read[name] = found
        return read

    def schema(self) -> JsonSchema:
        names = self.names.schema()["pattern"]
        return {"type": "object", "patternProperties": {names: self.shape.schema()}, "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with known keys. What could not be read is absent from the result."""

    what: str  # completes "a … has no key `x`"
    keys: tuple[Key, ...]

    def read(self, node: Node, report: Report) -> dict[str, Any] | None:
        if not isinstance(node, MappingNode):
            report.error(
                node.span, "TW104", f"not a mapping, as {article(self.what)} is", f"it has the keys {self._names()}"
            )
            return None
        known = {key.name: key for key in self.keys}
        read = {}
        for name, value in node.entries:
            if name.text not in known:
                unknown_key(name, self.what, known, report)
            elif (found := known[name.text].shape.read(value, report)) is not None:
                read[name.text] = found
        self.require(node, {key.name for key in self.keys if key.required}, report)
        return read

    def require(self, node: MappingNode, names: Collection[str], report: Report) -> None:
        """Tells the author which of these keys are not there."""
        for key in self.keys:
            if key.name in names and node.get(key.name) is None:
                report.error(
                    node.span, "TW102", f"this {self.what} has no `{key.name}`", f"add `{key.name}:` ({key.doc})"
                )

    def schema(self) -> JsonSchema:
        return {
            "type": "object",
            "properties": {key.name: key.schema() for key in self.keys},
            "required": [key.name for key in self.keys if key.required],
            "additionalProperties": False,
        }

    def _names(self) -> str:
        return ", ".join(key.name for key in self.keys)


@dataclass(frozen=True, slots=True)
class Bilingual:
    """`{zh: …, en: …}`, both languages required."""

    def read(self, node: Node, report: Report) -> Text | None:
        read = _BOTH.read(node, report) or {}
        return Text(read["zh"], read["en"]) if len(read) == 2 else None

    def schema(self) -> JsonSchema:
        return _BOTH.schema()


_BOTH = Record(
    "text in both languages",
    (Key("zh", Line(), "in Chinese", "中文", True), Key("en", Line(), "in English", "英文", True)),
)


def unknown_key(key: ScalarNode, what: str, known: Iterable[str], report: Report) -> None:
    """Tells the author that `what` has no such key."""
    hint = did_you_mean(key.text, known)
    if key.text[:1].isdecimal():
        hint = "a comma ends a value here: write numbers without separators"
    report.error(key.span, "TW101", f"{article(what)} has no key `{key.text}`", hint)


def article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
