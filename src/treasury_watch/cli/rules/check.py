"""`rules check`: everything that is wrong with rule files."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from treasury_watch.cli.console import Json, emit_json, failing_on
from treasury_watch.cli.rules.arguments import Directory


def check(
    directory: Directory = None,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", metavar="DATE", formats=["%Y-%m-%d"], help="The day on which exceptions count; today."),
    ] = None,
    write_lock: Annotated[
        bool, typer.Option("--write-lock", help="Write rules.lock as the rules are now, then check.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Says everything that is wrong with rule files. Exit status 1 when something is."""
    from treasury_watch.adapters import rulefiles
    from treasury_watch.rules import RuleErrors, render

    directory = directory or rulefiles.default_rules()
    day = (as_of or datetime.now().astimezone()).date()
    if write_lock:
        with failing_on(RuleErrors):
            rulefiles.write_lock(directory)
    found = rulefiles.check(directory, day)
    if as_json:
        emit_json(
            [
                {
                    "file": each.span.file,
                    "line": each.span.line,
                    "column": each.span.column,
                    "severity": each.severity,
                    "code": each.code,
                    "message": each.message,
                    "hint": each.hint,
                }
                for each in found
            ]
        )
    elif found:
        typer.echo(render(found, rulefiles.files_of(directory)))
    else:
        typer.echo(f"{directory}: no findings on {day}")
    if found:
        raise typer.Exit(1)
