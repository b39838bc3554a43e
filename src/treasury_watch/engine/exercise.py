"""Exercise (演练): which conditions of the rules the inline tests have made true, and which false.

A condition that was never false may as well be left out, as far as the tests tell; one that was never true has never
let its rule hit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from treasury_watch.engine.conditions import Judged
from treasury_watch.rules.evaluation import Truth
from treasury_watch.rules.meaning import in_effect, leaves
from treasury_watch.rules.phrases import condition_phrase
from treasury_watch.rules.schema import Leaf, Rule


@dataclass(frozen=True, slots=True)
class Gap:
    """A condition that the tests of its file never made true, or never false, and where it stands."""

    rule: str
    file: str
    line: int
    column: int
    condition: str
    never: tuple[Literal["true", "false"], ...]


_BOTH = frozenset({True, False})


class Exercise:
    """Counts the truths of the conditions of rules, step by step."""

    def __init__(self) -> None:
        self._leaves: dict[str, list[tuple[Rule, Leaf, set[Truth]]]] = {}  # by file

    def add(self, file: str, rules: list[Rule]) -> None:
        """Rules of a file whose conditions count."""
        self._leaves[file] = [(rule, leaf, set()) for rule in rules for leaf in leaves(rule.when)]

    def truths(self, file: str, judged: Judged, running: frozenset[str]) -> list[tuple[set[Truth], Truth]]:
        """The truths, to be counted, of the conditions of those of a file's rules that are judged and in effect; of
        those only that have not been both true and false yet.
        """
        return [
            (seen, judged.truth(leaf))
            for rule, leaf, seen in self._leaves[file]
            if not seen >= _BOTH and rule.id in running and in_effect(rule, judged.day.ordinal)
        ]

    def count(self, truths: list[tuple[set[Truth], Truth]]) -> None:
        for seen, truth in truths:
            seen.add(truth)

    @property
    def conditions(self) -> int:
        """How many conditions there are."""
        return sum(len(each) for each in self._leaves.values())

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The conditions that were never true or never false, in the order of the files."""
        return tuple(
            _gap(file, rule, leaf, seen)
            for file, found in self._leaves.items()
            for rule, leaf, seen in found
            if not seen >= _BOTH
        )


def _gap(file: str, rule: Rule, leaf: Leaf, seen: set[Truth]) -> Gap:
    span = leaf.span or rule.span
    line, column = (span.line, span.column) if span is not None else (1, 1)
    both: tuple[tuple[bool, Literal["true", "false"]], ...] = ((True, "true"), (False, "false"))
    never = tuple(word for truth, word in both if truth not in seen)
    return Gap(rule.id, file, line, column, condition_phrase(leaf), never)
