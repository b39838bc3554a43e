"""The catalogue (规则目录): which rules carry out which row of a catalogue of warning rules, and what they leave open.

For people alone: it is no part of the rule set's hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field

from treasury_watch.domain.verdict import Text
from treasury_watch.rules.schema import Span
from treasury_watch.rules.shapes import RULE_ID, Bilingual, Key, ListOf, Raw, Record, Whole
from treasury_watch.rules.source import MappingNode, Report, SequenceNode

FALSE_ALARM = Record(
    "false alarm",
    (
        Key("source", Bilingual(), "what the rules take for something else", "规则会误认的情形", True),
        Key("answer", Bilingual(), "what deals with it", "应对办法", True),
    ),
)
ROW = Record(
    "row of the catalogue",
    (
        Key("row", Whole(1, 10**6), "its number", "项的编号", True),
        Key("title", Bilingual(), "what it warns of", "预警的事项"),
        Key("rules", ListOf(RULE_ID), "the ids of the rules that carry it out", "落实该项的规则编号"),
        Key("left_out", Bilingual(), "why no rule does", "没有规则落实的原因"),
        Key("not_covered", ListOf(Bilingual()), "what its rules do not see, and why", "规则未能覆盖的情形及原因"),
        Key("false_alarms", ListOf(FALSE_ALARM), "known sources of hits that mean nothing", "已知的误报来源"),
    ),
)
CATALOGUE_FILE = Record(
    "catalogue", (Key("catalogue", ListOf(Raw("catalogue_row")), "the rows", "规则目录的各项", True),)
)


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    source: Text
    answer: Text


@dataclass(frozen=True, slots=True)
class Named:
    """A rule's id as the catalogue writes it."""

    id: str
    span: Span


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    title: Text | None
    rules: tuple[Named, ...]
    left_out: Text | None
    not_covered: tuple[Text, ...]
    false_alarms: tuple[FalseAlarm, ...]
    span: Span = dataclass_field(compare=False, repr=False)


def read_catalogue(root: MappingNode, report: Report) -> tuple[Row, ...]:
    """The rows that could be read, in the order of the file."""
    read = CATALOGUE_FILE.read(root, report) or {}
    rows: dict[int, Row] = {}
    for node in read.get("catalogue", ()):
        before = len(report.diagnostics)
        own = ROW.read(node, report)
        if own is None or not isinstance(node, MappingNode) or len(report.diagnostics) > before:
            continue
        rules, span = node.get("rules"), (node.get("row") or node).span
        spans = [each.span for each in rules.items] if isinstance(rules, SequenceNode) else []
        row = Row(
            own["row"],
            own.get("title"),
            tuple(Named(name, place) for name, place in zip(own.get("rules", ()), spans, strict=True)),
            own.get("left_out"),
            own.get("not_covered", ()),
            tuple(FalseAlarm(**each) for each in own.get("false_alarms", ())),
            span,
        )
        _check_row(row, node, rows.get(row.number), report)
        rows.setdefault(row.number, row)
    return tuple(rows.values())


def _check_row(row: Row, node: MappingNode, first: Row | None, report: Report) -> None:
    if first is not None:
        report.error(row.span, "TW110", f"a second row {row.number}", f"the first is in line {first.span.line}")
    left_out = node.get("left_out")
    if left_out is not None and row.rules:
        report.error(left_out.span, "TW109", f"row {row.number} has rules and is left out", "keep one of the two")
    seen: set[str] = set()
    for each in row.rules:
        if each.id in seen:
            report.error(each.span, "TW110", f"`{each.id}` stands twice in row {row.number}", "leave it out once")
        seen.add(each.id)
