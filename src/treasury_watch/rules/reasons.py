"""Reasons: texts with the names of fields, features and params in braces."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PIECE = re.compile(r"\{([^{}]*)\}|[{}]|[^{}]+")


def pieces(template: str) -> Iterator[tuple[int, str, str | None]]:
    """The template in order: the offset and source of each piece, and the name in its braces (`None`: plain text).

    Raises ValueError with the offset of a brace that has no partner.
    """
    for match in _PIECE.finditer(template):
        if match[0] in ("{", "}"):
            raise ValueError(match.start())
        yield match.start(), match[0], match[1]
