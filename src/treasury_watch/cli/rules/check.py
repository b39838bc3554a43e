"""`rules check`: everything that is wrong with rule files."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from treasury_watch.cli.console import Failure, Json, emit_json, note
from treasury_watch.cli.rules.arguments import Directory


class Format(StrEnum):
    text = "text"
    json = "json"
    sarif = "sarif"
    github = "github"


def check(
    directory: Directory = None,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", metavar="DATE", formats=["%Y-%m-%d"], help="The day on which exceptions count; today."),
    ] = None,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="First put right quotes, revisions of rules whose logic changed, and rules.lock."),
    ] = False,
    form: Annotated[
        Format, typer.Option("--format", help="github: commands that show findings in a pull request.")
    ] = Format.text,
    as_json: Json = False,
) -> None:
    """Says everything that is wrong with rule files. Exit status 1 when something is."""
    from treasury_watch import __version__
    from treasury_watch.adapters import rulefiles
    from treasury_watch.rules import render
    from treasury_watch.rules.formats import as_github, as_sarif
    from treasury_watch.rules.formats import as_json as json_of

    if as_json and form not in (Format.text, Format.json):
        raise Failure(f"--json and --format {form} cannot both be the result")
    directory = directory or rulefiles.default_rules()
    day = (as_of or datetime.now().astimezone()).date()
    if fix:
        for each in rulefiles.fix(directory):
            note(f"{each.span.file}:{each.span.line}:{each.span.column}: {each.message}")
    files = rulefiles.files_of(directory)
    found = rulefiles.check_files(files, day)
    if as_json or form is Format.json:
        emit_json(json_of(found))
    elif form is Format.sarif:
        emit_json(as_sarif(found, __version__))
    elif form is Format.github:
        typer.echo(as_github(found), nl=bool(found))
    elif found:
        typer.echo(render(found, files))
    else:
        typer.echo(f"{directory}: no findings on {day}")
    if found:
        raise typer.Exit(1)
