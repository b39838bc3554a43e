"""The scaffold (脚手架) of a rule: a draft on one condition, and a test that hits it and just misses it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from treasury_watch.domain.payment import Field, Kind, field_of
from treasury_watch.rules.diagnostics import any_of, did_you_mean, lines_of
from treasury_watch.rules.edits import with_lines
from treasury_watch.rules.schema import Expectation
from treasury_watch.rules.shapes import RULE_ID
from treasury_watch.rules.source import MappingNode, Report, SequenceNode, compose

BASE: Mapping[str, Any] = {
    "jurisdiction": "420100",
    "budget_unit": "101001",
    "amount": Decimal("100.00"),
    "payment_mode": "direct",
    "settlement": "transfer",
}
_NUMERIC = (Kind.MONEY, Kind.INTEGER, Kind.DATE)
_TEXTUAL = (Kind.TEXT, Kind.NAME, Kind.ACCOUNT)
_NOT_ASKED = ("instruction_id", "event_time", "schema_version")


class NoScaffold(Exception):
    """What cannot be made a rule of as it was said: one line for the user."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What was asked of the author. `value` is what stands beside the operator, as text; several with commas."""

    id: str
    title_zh: str
    title_en: str
    action: str
    field: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Case:
    """What the condition compares with, and a value of the field that hits and one that just misses."""

    operand: Any
    hit: Any
    miss: Any


# --- operators: how a hit and a miss beside it are made of a value ---

Make = Callable[[Field, list[Any]], Case]


def _ordered(hit: int, miss: int) -> Make:
    return lambda field, values: Case(values[0], _beside(field, values[0], hit), _beside(field, values[0], miss))


def _between(field: Field, values: list[Any]) -> Case:
    if len(values) != 2 or values[0] > values[1]:
        raise NoScaffold("`between` takes the lowest and the highest value, as in 1000.00,5000.00")
    return Case(values, values[0], _beside(field, values[0], -1))


def _missing(_: Field, values: list[Any]) -> Case:
    return Case(values[0], *((None, "X1") if values[0] else ("X1", None)))


MAKERS: Mapping[str, tuple[tuple[Kind, ...], Make]] = {
    "gte": (_NUMERIC, _ordered(0, -1)),
    "gt": (_NUMERIC, _ordered(1, 0)),
    "lte": (_NUMERIC, _ordered(0, 1)),
    "lt": (_NUMERIC, _ordered(-1, 0)),
    "between": (_NUMERIC, _between),
    "multiple_of": ((Kind.MONEY, Kind.INTEGER), _ordered(0, 1)),
    "eq": (tuple(Kind), lambda field, values: Case(values[0], values[0], _other(field, values))),
    "ne": (tuple(Kind), lambda field, values: Case(values[0], _other(field, values), values[0])),
    "in": (tuple(Kind), lambda field, values: Case(values, values[0], _other(field, values))),
    "not_in": (tuple(Kind), lambda field, values: Case(values, _other(field, values), values[0])),
    "contains": (_TEXTUAL, lambda _, values: Case(values[0], f"甲{values[0]}乙", f"甲{values[0][:-1]}乙")),
    "starts_with": (_TEXTUAL, lambda _, values: Case(values[0], f"{values[0]}1", f"甲{values[0]}")),
    "ends_with": (_TEXTUAL, lambda _, values: Case(values[0], f"1{values[0]}", f"{values[0]}甲")),
    "contains_any": (_TEXTUAL, lambda _, values: Case(values, f"甲{values[0]}乙", f"甲{values[0][:-1]}乙")),
    "is_missing": (_TEXTUAL, _missing),
}


def case_of(answers: Answers) -> Case:
    """The hit and the miss. Raises NoScaffold if the answers make none."""
    if not re.fullmatch(RULE_ID.pattern, answers.id):
        raise NoScaffold(f"--id {answers.id}: expected {RULE_ID.form}")
    field = field_of(answers.field)
    if field is None or field.name in _NOT_ASKED:
        raise NoScaffold(f"--field {answers.field}: {did_you_mean(answers.field, BASE, otherwise='no such field')}")
    if answers.operator not in MAKERS:
        hint = did_you_mean(answers.operator, MAKERS, otherwise=f"use {any_of(MAKERS)}; write others into the file")
        raise NoScaffold(f"--operator {answers.operator}: {hint}")
    kinds, make = MAKERS[answers.operator]
    if field.kind not in kinds and field.kind is not Kind.ATTRIBUTE:
        fitting = [name for name, (fit, _) in MAKERS.items() if field.kind in fit]
        raise NoScaffold(f"--operator {answers.operator}: not for `{field.name}`; use {', '.join(fitting)}")
    if field.kind is Kind.ATTRIBUTE and Kind.TEXT not in kinds:
        field = Field(field.name, Kind.INTEGER, field.zh)  # compared as a number
    if answers.operator == "is_missing":
        return make(field, [_flag(answers.value)])
    several = answers.operator in ("in", "not_in", "between", "contains_any")
    texts = [each.strip() for each in answers.value.split(",")] if several else [answers.value.strip()]
    if not all(texts):
        raise NoScaffold("--value: nothing stands there")
    return make(field, [_value(field, each) for each in texts])


def _value(field: Field, text: str) -> Any:
    try:
        match field.kind:
            case Kind.MONEY:
                amount = Decimal(text)
                if not amount.is_finite():
                    raise InvalidOperation
                if amount != round(amount, 2):
                    raise NoScaffold(f"--value {text}: amounts are yuan with two places")
                return round(amount, 2)
            case Kind.INTEGER:
                return int(text)
            case Kind.DATE:
                return date.fromisoformat(text)
            case Kind.BOOLEAN:
                return _flag(text)
            case Kind.ENUM if text not in field.values:
                raise NoScaffold(f"--value {text}: {did_you_mean(text, field.values)}")
    except (InvalidOperation, ValueError) as error:
        raise NoScaffold(f"--value {text}: not {_SAID.get(field.kind, 'such a value')}") from error
    return text


_SAID = {Kind.MONEY: "an amount, as in 50000.00", Kind.INTEGER: "a whole number", Kind.DATE: "a date, as in 2026-01-31"}


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise NoScaffold(f"--value {text}: use true or false")
    return text == "true"


def _beside(field: Field, value: Any, steps: int) -> Any:
    """The value so many of the smallest steps away: a fen, one, a day."""
    unit: Any = {Kind.MONEY: Decimal("0.01"), Kind.DATE: timedelta(days=1)}.get(field.kind, 1)
    return value + unit * steps


def _other(field: Field, values: list[Any]) -> Any:
    """A value of the field that is none of these."""
    if field.kind in _NUMERIC:
        return _beside(field, max(values), 1)
    if field.kind is Kind.BOOLEAN:
        return not values[0]
    if field.kind is Kind.ENUM:
        return next((each for each in field.values if each not in values), None)
    return f"{max(values, key=len)}0"


# --- text ---


def rule_lines(answers: Answers, effective_from: date | None) -> list[str]:
    """The rule as lines of a mapping. `effective_from`: where the file says nothing of it."""
    case, field = case_of(answers), field_of(answers.field)
    assert field is not None
    dated = answers.operator in ("gte", "gt", "lte", "lt")
    operand = "$limit" if dated else _written(_literal(case.operand))
    told = "{limit}" if dated else ""
    shown = f"{field.zh}{{{answers.field}}}" + (f"，限额{told}" if dated else "")
    shown_en = f"{answers.field} {{{answers.field}}}" + (f", limit {told}" if dated else "")
    lines = [
        f"id: {answers.id}",
        "revision: 1",
        f"title: {{zh: {_text(answers.title_zh)}, en: {_text(answers.title_en)}}}",
        "mode: draft",
        f"action: {answers.action}",
    ]
    if effective_from is not None:
        lines.append(f"effective: {{from: {effective_from}}}")
    if dated:
        lines += ["params:", f"  limit: {_written(case.operand)}"]
    return [
        *lines,
        f"when: {{field: {answers.field}, {answers.operator}: {operand}}}",
        "reason:",
        f"  zh: {_text(f'{answers.title_zh}：{shown}')}",
        f"  en: {_text(f'{answers.title_en}: {shown_en}')}",
    ]


def _literal(value: Any) -> Any:
    """An operand as it is written: a text that starts with `$` is no name."""
    if isinstance(value, list):
        return [_literal(each) for each in value]
    return f"${value}" if isinstance(value, str) and value.startswith("$") else value


def steps_of(answers: Answers, base: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the steps of the test pay over the file's own base: a miss, a hit and, if it can be, the field missing."""
    case, field = case_of(answers), field_of(answers.field)
    assert field is not None
    values = [case.miss, case.hit]
    if field.name not in BASE and answers.operator != "is_missing" and field.kind is not Kind.BOOLEAN:
        values.append(None)
    return [{**base, answers.field: value} for value in values]


def test_lines(
    answers: Answers, start: str, steps: Sequence[Mapping[str, Any]], expected: Sequence[Expectation]
) -> list[str]:
    """The test as lines of a mapping; steps are a day apart."""
    name = f"{answers.field} that {answers.id} just does not hit, that it hits" + (
        ", that is absent" * (len(steps) > 2)
    )
    lines = [f"name: {name}", f"start: {start}", "steps:"]
    for number, (step, expect) in enumerate(zip(steps, expected, strict=True)):
        pay = ", ".join(f"{key}: {_written(value)}" for key, value in step.items())
        told = f"{{{expect.verdict}: [{', '.join(expect.rules)}]}}" if expect.rules else expect.verdict
        lines.append(f"- {{at: {24 * number}h, pay: {{{pay}}}, expect: {told}}}")
    return lines


def base_line() -> str:
    return f"test_base: {{{', '.join(f'{key}: {_written(value)}' for key, value in BASE.items())}}}"


def head_lines(stem: str, owner: str, timezone: str, partition_by: str) -> list[str]:
    """The head of a new file."""
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")
    if not name or not name[0].isalpha():
        name = f"rules_{name}".rstrip("_")
    return [f"ruleset: {name}", f"owner: {_text(owner)}", f"timezone: {timezone}", f"partition_by: {partition_by}"]


def _written(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else str(value)


_BARE = re.compile(r"[a-z][a-z_]*")
_YAML_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")


def _text(text: str) -> str:
    """A text as YAML: in quotes, unless it is a plain small word."""
    if _BARE.fullmatch(text) and text not in _YAML_WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


# --- files ---


def with_rule(path: str, data: bytes, rule: Sequence[str], test: Sequence[str]) -> bytes:
    """The file with the rule after its last one and the test after its last one; every other byte as it was."""
    root = compose(path, data, Report())
    rules = root.get("rules") if isinstance(root, MappingNode) else None
    if not isinstance(root, MappingNode) or not isinstance(rules, SequenceNode):
        raise NoScaffold(f"{path}: no rule file")
    tests, base = root.get("tests"), root.get("test_base")
    lines = lines_of(data)
    if isinstance(tests, SequenceNode):
        found = [(_end(root, "tests", lines), _item(path, tests, test, lines))]
    else:
        head = [""] if base is not None else ["", base_line(), ""]
        block = [*head, "tests:", f"- {test[0]}", *(f"  {each}" for each in test[1:])]
        found = [(_last(lines, len(lines)), block)]
    found.append((_end(root, "rules", lines), ["", *_item(path, rules, rule, lines)]))  # second: above, where both are
    for after, told in sorted(found, key=lambda each: each[0], reverse=True):
        data = with_lines(data, after, told)
    return data


def says_when(path: str, data: bytes) -> bool:
    """Whether the file's defaults say from when its rules hold."""
    root = compose(path, data, Report())
    defaults = root.get("defaults") if isinstance(root, MappingNode) else None
    return isinstance(defaults, MappingNode) and defaults.get("effective") is not None


def _item(path: str, node: SequenceNode, item: Sequence[str], lines: list[str]) -> list[str]:
    first = node.items[0].span
    prefix = lines[first.line - 1][: first.column - 1]
    if not re.fullmatch(r" *- +", prefix):
        raise NoScaffold(f"{path}:{first.line}: its lists stand in brackets; write one `- ` a line, then try again")
    return [prefix + item[0], *(" " * len(prefix) + each for each in item[1:])]


def _end(root: MappingNode, name: str, lines: list[str]) -> int:
    """The last line of what stands under a key, without the comments and empty lines above the next one."""
    keys = [key for key, _ in root.entries]
    at = next(number for number, key in enumerate(keys) if key.text == name)
    if at + 1 == len(keys):
        return _last(lines, len(lines))
    after = keys[at + 1].span.line - 1
    while not lines[after - 1].strip() or lines[after - 1].startswith("#"):
        after -= 1
    return after


def _last(lines: list[str], after: int) -> int:
    while after > 1 and not lines[after - 1].strip():
        after -= 1
    return after
