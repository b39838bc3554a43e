"""YAML text as positioned nodes. Nothing is guessed: a scalar keeps its source text until its reader says what it is.

Built from PyYAML's events (libyaml where present), so that anchors, aliases, tags and depth are refused before anything
is built from them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from treasury_watch.rules.diagnostics import LINE_ENDS, Diagnostic
from treasury_watch.rules.limits import DEPTH, FILE_BYTES, FILE_VALUES, Limit
from treasury_watch.rules.schema import Span

MAX_BYTES = FILE_BYTES.most
MAX_DEPTH = DEPTH.most

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A scalar as it was written. `plain`: without quotes, so that YAML would give it a type."""

    text: str
    plain: bool
    span: Span

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class SequenceNode:
    items: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class MappingNode:
    """Keys are scalars, each once, in the order of the file."""

    entries: tuple[tuple[ScalarNode, Node], ...]
    span: Span

    def get(self, name: str) -> Node | None:
        return next((value for key, value in self.entries if key.text == name), None)


Node = ScalarNode | SequenceNode | MappingNode


class Report:
    """Collects the diagnostics of one reading."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.values = 0  # keys and values of the YAML files that were composed

    def error(self, span: Span, code: str, message: str, hint: str, replacement: str | None = None) -> None:
        self.diagnostics.append(Diagnostic(span, code, message, hint, replacement=replacement))

    def over(self, limit: Limit, span: Span) -> None:
        """Tells the author that here stands more than the limit allows."""
        self.error(span, limit.code, f"more than {limit.most:,} {limit.what}", limit.instead)

    def within(self, nodes: Sequence[Node], limit: Limit) -> bool:
        """Whether these are no more than the limit allows; the first too many is pointed at."""
        if len(nodes) > limit.most:
            self.over(limit, nodes[limit.most].span)
        return len(nodes) <= limit.most


def text_of(file: str, data: bytes, report: Report) -> str | None:
    """The text of a file, or `None` after telling the author why not. A byte order mark is tolerated."""
    if len(data) > MAX_BYTES:
        report.error(Span(file, 1, 1), "TW002", "the file is larger than 4 MiB", f"the limit is {MAX_BYTES:,} bytes")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        lines = LINE_ENDS.split(data[: error.start].decode("utf-8", "replace").removeprefix("\ufeff"))
        span = Span(file, len(lines), len(lines[-1]) + 1)
        report.error(span, "TW001", f"the byte {data[error.start]:#04x} is not UTF-8", "save the file as UTF-8")
        return None
    unseen = _UNSEEN.search(text)
    if unseen:
        span = _span_at(file, text, unseen.start())
        report.error(span, "TW008", f"the character U+{ord(unseen[0]):04X} cannot be seen", "delete it")
        return None
    return text


def compose(file: str, data: bytes, report: Report) -> Node | None:
    """The one document of a YAML file, or `None` after telling the author why not."""
    text = text_of(file, data, report)
    if text is None:
        return None
    tab = _TAB_INDENT.search(text)
    if tab:
        report.error(_span_at(file, text, tab.end() - 1), "TW008", "a tab in the indentation", "indent with spaces")
        return None
    try:
        return _Composer(file, text, report).document()
    except yaml.MarkedYAMLError as error:
        report.error(*_syntax_error(file, text, error))
    except _Stop:
        pass
    return None


class _Stop(Exception):
    """The document cannot be read any further; the diagnostic has been given."""


class _Composer:
    def __init__(self, file: str, text: str, report: Report) -> None:
        self._file = file
        self._lines = LINE_ENDS.split(text)
        self._report = report
        self._events = iter(yaml.parse(text, Loader=_LOADER))
        self._values = 0

    def document(self) -> Node | None:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self._stop(event, "TW003", "a second YAML document starts here", "one document in a file")
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, 1)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            self._stop(event, "TW005", "anchors and aliases are not used in rule files", "write the value out")
        if event.tag:
            self._stop(event, "TW005", f"the tag `{event.tag}`", "leave it out")
        if depth > MAX_DEPTH:
            self._stop(
                event, "TW004", f"nested more than {MAX_DEPTH} deep", "split the condition into features or rules"
            )
        self._values += 1
        self._report.values += 1
        if self._values > FILE_VALUES.most:
            self._report.over(FILE_VALUES, self._span(event))
            raise _Stop
        if isinstance(event, yaml.ScalarEvent):
            return ScalarNode(event.value, not event.style, self._span(event))
        if isinstance(event, yaml.SequenceStartEvent):
            return SequenceNode(tuple(self._items(depth)), self._span(event))
        return self._mapping(event, depth)

    def _items(self, depth: int) -> list[Node]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return items

    def _mapping(self, start: Any, depth: int) -> MappingNode:
        entries: dict[str, tuple[ScalarNode, Node]] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, ScalarNode):
                self._stop(event, "TW104", "a key that is a list or mapping", "keys are words")
            value = self._node(next(self._events), depth + 1)
            if key.text in entries:
                line = entries[key.text][0].span.line
                self._report.error(key.span, "TW006", f"`{key.text}` stands twice", f"the first is in line {line}")
            else:
                entries[key.text] = (key, value)
        return MappingNode(tuple(entries.values()), self._span(start))

    def _span(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        length = end.column - start.column if end.line == start.line else 1
        line, column = _inside(self._lines, start)
        return Span(self._file, line, column, max(1, length))

    def _stop(self, event: Any, code: str, message: str, hint: str) -> NoReturn:
        self._report.error(self._span(event), code, message, hint)
        raise _Stop


# Control characters, line ends that editors do not show, zero-width and direction-changing characters.
_UNSEEN = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # C0, C1
    "\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]"
)
_TAB_INDENT = re.compile(r"^ *\t", re.MULTILINE)
_FULL_WIDTH = dict(zip("：，“”‘’｛｝［］－", ":,\"\"''{}[]-", strict=True))


def _inside(lines: list[str], mark: Any) -> tuple[int, int]:
    """Line and column (from 1) of a mark. What is put on the line after the last stands at the end of the last."""
    last = len(lines) - 1
    if last and not lines[last]:  # the file ends with a line end
        last -= 1
    line, column = (mark.line, mark.column) if mark.line <= last else (last, len(lines[last]))
    return line + 1, min(column, len(lines[line])) + 1


def _syntax_error(file: str, text: str, error: yaml.MarkedYAMLError) -> tuple[Span, str, str, str]:
    lines = LINE_ENDS.split(text)
    number, column = _inside(lines, error.problem_mark or error.context_mark)
    problem = str(error.problem)
    if error.context:
        problem = f"{problem} {error.context}"
    nearby = "".join(lines[max(0, number - 2) : number])
    wide = next((each for each in nearby if each in _FULL_WIDTH), None)
    hint = "check indentation, colons and brackets; quote texts with any of []{},:# in them"
    if wide:
        hint = f"`{wide}` is full-width: YAML needs `{_FULL_WIDTH[wide]}`"
    return Span(file, number, column), "TW003", problem, hint


def _span_at(file: str, text: str, offset: int) -> Span:
    before = LINE_ENDS.split(text[:offset])
    return Span(file, len(before), len(before[-1]) + 1)
