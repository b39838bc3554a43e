"""What several of these commands take."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Directory = Annotated[
    Path | None, typer.Argument(metavar="DIR", help="Rule files; default: the rules that came with it.")
]


class Language(StrEnum):
    """The language of titles, reasons and words about them."""

    zh = "zh"
    en = "en"
    both = "both"
