"""Mutated rule files are accepted or explained; `python -m benchmarks.mutations` does the same for many more."""

from __future__ import annotations

import pytest

from benchmarks.mutations import mutant, outside, pack, tally
from treasury_watch.rules.diagnostics import Diagnostic
from treasury_watch.rules.schema import Span

PACK = pack()


@pytest.mark.no_cover
def test_every_mutant_is_accepted_or_explained_with_a_place_inside_its_files() -> None:
    result = tally(PACK, 7, range(500), timed=False)
    assert result.wrong == []
    assert result.accepted > 50  # else nothing but the parser was tried
    assert len(result.codes) > 25


def test_the_same_seed_and_number_give_the_same_mutant() -> None:
    assert mutant(PACK, 7, 11) == mutant(PACK, 7, 11)
    assert mutant(PACK, 7, 11) != mutant(PACK, 7, 12)


def test_places_outside_the_files_are_noticed() -> None:
    places = [Span("a", 1, 1), Span("a", 1, 4), Span("a", 1, 5), Span("a", 3, 1), Span("a", 0, 1), Span("b", 1, 1)]
    found = [Diagnostic(span, "TW103", "m", "h") for span in places]
    assert [*outside(found, {"a": b"abc\n"})] == [
        "TW103 at a:1:5",
        "TW103 at a:3:1",
        "TW103 at a:0:1",
        "TW103 at b:1:1",
    ]
