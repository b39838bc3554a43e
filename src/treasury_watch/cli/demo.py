"""Commands for rule authors: `rules check`, `rules test`, `rules schema`."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    pass
