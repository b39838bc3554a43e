"""What is wrong with a rule file, told to its author: where, what was found, what to try. One renderer for all."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal

from treasury_watch.rules.schema import Span

Severity = Literal["error", "warning"]

CODES: Mapping[str, str] = MappingProxyType(
    {
        # the text of the file
        "TW001": "the file is not UTF-8 text",
        "TW002": "the file is larger than 4 MiB",
        "TW003": "the file is not well-formed YAML",
        "TW004": "lists and mappings are nested more than 32 deep",
        "TW005": "anchors, aliases and tags are not part of the language",
        "TW006": "a key stands twice in one mapping",
        "TW007": "YAML would read this as something else than it looks like: quote it",
        "TW008": "a tab, or a character that nobody can see",
        "TW009": "the file is none of those a rule set is made of",
        # keys and values
        "TW101": "an unknown key",
        "TW102": "a key is missing",
        "TW103": "not one of the words that are allowed here",
        "TW104": "a value of the wrong kind",
        "TW105": "not a number as it is written here",
        "TW106": "not a date, time or time zone",
        "TW107": "not a duration",
        "TW108": "out of range, too long, or not in the form required",
        "TW109": "keys that do not go together",
        "TW110": "the same thing twice",
        "TW112": "a feature that builds on too much",
        "TW113": "more of something than a rule set may have",
        # names
        "TW201": "no instruction has this field",
        "TW202": "no param or feature of this name in the rule",
        "TW203": "no list of this name",
        "TW204": "no table of this name",
        "TW205": "the table has no such column",
        "TW206": "features that need each other",
        "TW207": "a name that is already taken",
        "TW208": "the reason names nothing that the rule knows, or its braces do not pair",
        "TW209": "the risk point does not exist",
        "TW210": "no rule of this id in the file",
        "TW211": "the catalogue names a rule that does not exist",
        "TW212": "no calendar of this name",
        # types
        "TW301": "the operator does not apply to this field or feature",
        "TW302": "the value can never equal the field",
        "TW303": "money, counts, numbers and texts do not mix",
        "TW304": "not a regular expression that runs in linear time",
        "TW305": "the lookup's key does not fit the table's",
        # time
        "TW401": "a dated param has a gap: its first value starts after the rule does",
        "TW402": "dated values that do not ascend",
        "TW403": "a segment that no instruction can reach",
        "TW404": "a period that ends before it starts",
        "TW405": "a window without a bound",
        "TW407": "a rule on the model that holds payments, or speaks where the model is silent",
        # reference data
        "TW501": "a table and its CSV file do not belong together",
        "TW502": "the CSV's header does not name the declared columns",
        "TW503": "a cell that is not of its column's type",
        "TW504": "a key that stands twice in the table",
        "TW505": "the exchange rates are not declared as the currency conversion needs them",
        "TW506": "the calendar does not have a year in which a rule asks it",
        # good keeping: found by `rules check`, never a reason not to load
        "TW601": "a live rule without a test that hits it",
        "TW602": "a live rule without a boundary miss: a step of a test that hits it, which does not",
        "TW603": "an expired exception",
        "TW604": "the logic changed and the revision did not",
        "TW605": "rules.lock does not list the rules as they are",
        "TW606": "two rules with the same logic",
        "TW607": "risk-points.yaml is missing, so that risk points cannot be checked",
        "TW608": "a running rule in no row of the catalogue",
        "TW609": "a row of the catalogue without rules and without a reason",
        "TW610": "a window that reaches back before the first value of a param that it asks",
        "TW611": "a rule on the model in a set without a model",
    }
)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `message` says what was found, `hint` what was expected or what to try.

    `replacement` stands where there is one right answer that needs no knowledge of the rule: what `span` should read.
    """

    span: Span
    code: str  # one of CODES
    message: str
    hint: str
    severity: Severity = "error"
    replacement: str | None = None


class RuleErrors(Exception):
    """A rule set that does not load. `str()` is the rendered diagnostics."""

    def __init__(self, diagnostics: Iterable[Diagnostic], files: Mapping[str, bytes]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(render(self.diagnostics, files))


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """By file, line, column, code; each once."""
    return sorted(
        set(diagnostics), key=lambda each: (each.span.file, each.span.line, each.span.column, each.code, each.message)
    )


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """A hint for a misspelt word: the nearest known one, else `otherwise`, else the first few known words."""
    words = list(known)
    near = get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    return otherwise or use_one_of(words)


def use_one_of(words: Iterable[str]) -> str:
    """ "use `a`, `b` or `c`"; long lists are cut after eight."""
    listed = any_of(words)
    return f"use {listed}" if listed else "there is none"


def any_of(words: Iterable[str]) -> str:
    """ "`a`, `b` or `c`"; long lists are cut after eight, an empty one is an empty text."""
    quoted = [f"`{word}`" for word in words]
    if len(quoted) > 8:
        return f"{', '.join(quoted[:8])} …"
    return " or ".join(filter(None, (", ".join(quoted[:-1]), *quoted[-1:])))


# --- rendering ---

LINE_ENDS = re.compile(r"\r\n|\r|\n")
_SHOWN_COLUMNS = 120


def lines_of(data: bytes) -> list[str]:
    """The lines of a file as positions count them. What is not UTF-8 is shown as replacement characters."""
    return LINE_ENDS.split(data.decode("utf-8", "replace").removeprefix("\ufeff"))


def render(diagnostics: Iterable[Diagnostic], files: Mapping[str, bytes]) -> str:
    """All diagnostics in order, each with its line and a caret; `files` are the texts that the spans speak of."""
    texts: dict[str, list[str]] = {}
    shown = []
    for each in in_order(diagnostics):
        span = each.span
        if span.file not in texts:
            texts[span.file] = lines_of(files.get(span.file, b""))
        lines = texts[span.file]
        line = lines[span.line - 1] if span.line <= len(lines) else ""
        shown.append(_rendered(each, line))
    return "\n".join(shown)


def _rendered(each: Diagnostic, line: str) -> str:
    span = each.span
    visible, before = _cut([_visible(character) for character in line], span.column - 1)
    return (
        f"{span.file}:{span.line}:{span.column}: {each.severity} {each.code}: {each.message}\n"
        f"{span.line:>4} | {visible}\n"
        f"     | {' ' * display_width(before)}^ {each.hint}"
    )


def _cut(line: list[str], at: int) -> tuple[str, str]:
    """The part of the line that is shown, and what of it stands before the caret."""
    first = max(0, at - _SHOWN_COLUMNS // 2) if len(line) > _SHOWN_COLUMNS else 0
    head, tail = ("…" if first else ""), ("…" if len(line) > first + _SHOWN_COLUMNS else "")
    shown = head + "".join(line[first : first + _SHOWN_COLUMNS]) + tail
    return shown, head + "".join(line[first:at])


def _visible(character: str) -> str:
    if character == "\t":
        return " "
    return "\ufffd" if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") else character


def display_width(text: str) -> int:
    """Columns that a terminal gives to a text: two for wide characters such as Chinese, none for combining marks."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
