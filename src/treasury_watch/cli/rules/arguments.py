"""What several of these commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Directory = Annotated[
    Path | None, typer.Argument(metavar="DIR", help="Rule files; default: the rules that came with it.")
]
