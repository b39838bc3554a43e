"""`rules schema`: the JSON Schema of rule files, for editors."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Prints the JSON Schema of rule files, for editors."""
    from treasury_watch.rules import json_schema

    typer.echo(json.dumps(json_schema(), ensure_ascii=False, indent=2))
