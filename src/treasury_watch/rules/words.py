"""Words (词): finding the words of a list in a text, in one pass however many they are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import ahocorasick

_REMEMBERED = 16_384  # texts: purposes and names come again and again


class Words:
    """Words and the last local day (ordinal) on which each counts, except inside of other words.

    An occurrence of a word does not count where it shares a character with an occurrence of an excepted word.
    """

    def __init__(self, words: Mapping[str, int], excepted: tuple[str, ...] = ()) -> None:
        self._excepted = _automaton(dict.fromkeys(excepted, 0))
        self._words = _automaton(words)
        self.remembered = lru_cache(_REMEMBERED)(self.any_in)

    def any_in(self, text: str, ordinal: int) -> bool:
        """Whether one of the words that count on that day stands in the text; `remembered` says it with a memory."""
        if self._words is None:
            return False
        found = [(end - length + 1, end + 1) for end, (length, until) in self._words.iter(text) if until >= ordinal]
        if not found or self._excepted is None:
            return bool(found)
        hidden = bytearray(len(text))
        for end, (length, _) in self._excepted.iter(text):
            hidden[end - length + 1 : end + 1] = b"\1" * length
        return any(not any(hidden[start:end]) for start, end in found)


def _automaton(words: Mapping[str, int]) -> ahocorasick.Automaton | None:
    """Every word with its length and its day; `None` for no words."""
    if not words:
        return None
    automaton = ahocorasick.Automaton()
    for word, until in words.items():
        automaton.add_word(word, (len(word), until))
    automaton.make_automaton()
    return automaton
