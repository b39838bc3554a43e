"""Tests of texts: what they contain, start and end with, match, and how long they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

from treasury_watch.domain.payment import Kind
from treasury_watch.rules import limits, scalars
from treasury_watch.rules.evaluation import Coder, Judging, Truth
from treasury_watch.rules.meaning import FOREVER, counting, runtime_value
from treasury_watch.rules.operands import read_literal, read_operand
from treasury_watch.rules.operators.base import Operator
from treasury_watch.rules.operators.comparison import Comparison
from treasury_watch.rules.schema import All, Condition, Leaf, Operand, WordList
from treasury_watch.rules.scope import Scope, list_name
from treasury_watch.rules.shapes import JsonSchema, Key, Line, ListOf, Raw, Record, unknown_key
from treasury_watch.rules.source import MappingNode, Node
from treasury_watch.rules.types import FORMS, Sort, Type
from treasury_watch.rules.values import any_word
from treasury_watch.rules.words import Words

_LISTED = ListOf(Line(), 1, limits.CHOICES)
_EXCEPTED = ListOf(Line(), limit=limits.CHOICES)
WORDS = Record(
    "list of words",
    (
        Key("list", Raw("name"), "a list of the rule set", "规则集中的词表", True),
        Key("except", _EXCEPTED, "words in which these words do not count", "例外词：出现在这些词之中的不算"),
    ),
)
_PATTERN_MEMORY = limits.PATTERN_BYTES.most  # bounds the compiled form of a pattern, as MAX_TEXT does its text
_LONG_TEXT = 64  # characters: what is found of longer texts is not remembered, or they would fill the memory
_REMEMBERED = 16_384  # texts a pattern
_NOWHERE = (-1, -1)  # where RE2 says that a pattern without a match is


@dataclass(frozen=True, slots=True)
class ContainsAny(Operator):
    """One of several words outside of the excepted ones; the right-hand side is a tuple of words, or a WordList."""

    def schema(self) -> JsonSchema:
        return {"anyOf": [_LISTED.schema(), {"$ref": "#/$defs/words"}]}

    def read(self, node: Node, wanted: Type, scope: Scope, in_where: bool) -> WordList | tuple[str, ...] | None:
        form = FORMS[wanted.form]
        if isinstance(node, MappingNode):
            read = WORDS.read(node, scope.report) or {}
            name = list_name(read["list"], scope) if "list" in read else None
            excepted = tuple(form(word) for word in read.get("except", ()))
            return None if name is None else WordList(name, excepted, node.span)
        words = _LISTED.read(node, scope.report)
        return tuple(form(word) for word in words) if words else None

    def code(self, coder: Coder, x: str, kind: Kind, operand: Any, strict: bool, guards: list[str]) -> str:
        key = (operand.name, *operand.excepted) if isinstance(operand, WordList) else operand
        listed = isinstance(operand, WordList)
        words = coder.constant(("words", listed, kind, key), lambda: _words(operand, coder, kind))
        if coder.remembers:
            return f"{words}.any_in({x}, day.ordinal)"
        return f"({words}.remembered if len({x}) <= {_LONG_TEXT} else {words}.any_in)({x}, day.ordinal)"

    def holds(self, judged: Judging, left: Any, kind: Kind, operand: Any) -> Truth:
        if not isinstance(operand, WordList):
            return any_word(left, [runtime_value(word, kind) for word in operand], ())
        listed = counting(operand, judged.ruleset, kind)
        words = [word for word, until in listed.items() if judged.day.ordinal <= until]
        return any_word(left, words, tuple(runtime_value(word, kind) for word in operand.excepted))


def _words(operand: Any, coder: Coder, kind: Kind) -> Words:
    if isinstance(operand, WordList):
        excepted = tuple(runtime_value(word, kind) for word in operand.excepted)
        return Words(counting(operand, coder.ruleset, kind), excepted)
    return Words({runtime_value(word, kind): FOREVER for word in operand})


@dataclass(frozen=True, slots=True)
class Matches(Operator):
    """A match, anywhere, of a regular expression whose time is linear in the text: RE2's."""

    def schema(self) -> JsonSchema:
        return {"type": "string", "format": "regex"}

    def read(self, node: Node, wanted: Type, scope: Scope, in_where: bool) -> str | None:
        found = scalars.scalar(node, scope.report, "a regular expression")
        if found is None:
            return None
        options = re2.Options()
        options.max_mem = _PATTERN_MEMORY
        options.log_errors = False
        try:
            re2.compile(found.text, options)
        except re2.error as error:
            problem = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
            hint = "RE2 syntax: no look-around, no back-references; quote it in single quotes"
            scope.report.error(found.span, "TW304", problem, hint)
            return None
        return found.text

    def code(self, coder: Coder, x: str, kind: Kind, operand: Any, strict: bool, guards: list[str]) -> str:
        found = coder.constant(("pattern", operand), lambda: pattern(operand))
        if coder.remembers:
            return f"{found}.__wrapped__({x})"
        return f"({found} if len({x}) <= {_LONG_TEXT} else {found}.__wrapped__)({x})"

    def holds(self, judged: Judging, left: Any, kind: Kind, operand: Any) -> Truth:
        return pattern(operand)(left)


def pattern(text: str) -> Callable[[str], bool]:
    """A test for a linear-time regular expression, found anywhere in a text. Raises re2.error on one that RE2 does
    not take.

    Answers are remembered, since names and purposes come again and again; `__wrapped__` is the same test without a
    memory.
    """
    options = re2.Options()
    options.log_errors = False
    # RE2's own object, below the module that imitates `re`: that takes three times as long, for matches nobody asks.
    match, unanchored = re2.compile(text.encode(), options)._regexp.Match, re2._Anchor.UNANCHORED

    def found(value: str) -> bool:
        data = value.encode()
        return bool(match(unanchored, data, 0, len(data))[0] != _NOWHERE)

    return lru_cache(_REMEMBERED)(found)


@dataclass(frozen=True, slots=True)
class Length(Operator):
    """The number of characters; the right-hand side is a tuple of pairs of comparison and operand."""

    comparisons: tuple[Comparison, ...] = ()

    def schema(self) -> JsonSchema:
        return {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/length"}]}

    def read(self, node: Node, wanted: Type, scope: Scope, in_where: bool) -> tuple[tuple[str, Operand], ...] | None:
        whole = Type(Sort.COUNT)
        if not isinstance(node, MappingNode):
            operand = read_literal(node, scope, whole)
            return None if operand is None else (("eq", operand),)
        pairs = []
        if not node.entries:
            scope.report.error(node.span, "TW104", "an empty length", "expected such as {gte: 2, lt: 10}")
        names = tuple(each.name for each in self.comparisons)
        for key, value in node.entries:
            if key.text not in names:
                unknown_key(key, "length", names, scope.report)
                continue
            operand_read = read_operand(value, scope, whole, in_where=in_where)
            if operand_read is not None:
                pairs.append((key.text, operand_read))
        return tuple(pairs) if pairs and len(pairs) == len(node.entries) else None

    def spelled_out(self, leaf: Leaf) -> Condition:
        if len(leaf.operand) == 1:
            return leaf
        return All(tuple(Leaf(leaf.subject, self.name, (pair,), leaf.span) for pair in leaf.operand))

    def _of(self, operand: Any) -> tuple[Comparison, Operand]:
        ((name, bound),) = operand
        return next(each for each in self.comparisons if each.name == name), bound

    def code(self, coder: Coder, x: str, kind: Kind, operand: Any, strict: bool, guards: list[str]) -> str:
        comparison, bound = self._of(operand)
        return comparison.code(coder, f"len({x})", Kind.INTEGER, bound, strict, guards)

    def holds(self, judged: Judging, left: Any, kind: Kind, operand: Any) -> Truth:
        comparison, bound = self._of(operand)
        return comparison.holds(judged, len(left), Kind.INTEGER, bound)
