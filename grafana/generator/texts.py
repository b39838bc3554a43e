"""What people read, in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Language = Literal["zh", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("zh", "en")


@dataclass(frozen=True)
class Text:
    """The same in Chinese and in English."""

    zh: str
    en: str


Words = str | Text  # a string is the same in both languages


def said(words: Words, language: Language) -> str:
    """The words in one language."""
    if isinstance(words, str):
        return words
    return words.zh if language == "zh" else words.en
