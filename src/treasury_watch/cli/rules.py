"""Commands for rule authors: `rules check`, `rules test`, `rules schema`."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from treasury_watch.cli.console import Json, emit_json, failing_on

Directory = Annotated[
    Path | None, typer.Argument(metavar="DIR", help="Rule files; default: the rules that came with it.")
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Rule files: check them, run their tests.")
    group.command()(check)
    group.command("test")(run_inline_tests)
    group.command()(schema)
    app.add_typer(group, name="rules")


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


def run_inline_tests(directory: Directory = None, as_json: Json = False) -> None:
    """Runs the tests in rule files. Exit status 1 when one fails, 2 when the rules do not load."""
    from treasury_watch.adapters.rulefiles import default_rules, load
    from treasury_watch.engine.ruletest import run_tests
    from treasury_watch.rules import RuleErrors

    with failing_on(RuleErrors):
        ruleset = load(directory or default_rules())
    failures = run_tests(ruleset)
    total = sum(len(file.tests) for file in ruleset.files)
    if as_json:
        emit_json(
            {
                "tests": total,
                "failures": [
                    {
                        "file": each.file,
                        "line": each.line,
                        "column": each.column,
                        "test": each.test,
                        "step": each.step,
                        "message": each.message,
                    }
                    for each in failures
                ],
            }
        )
    else:
        for each in failures:
            typer.echo(f"{each.file}:{each.line}:{each.column}: {each.test}: {each.message}")
        failed = len({(each.file, each.test) for each in failures})
        typer.echo(f"{total} tests in {len(ruleset.files)} files: {f'{failed} failed' if failed else 'all passed'}")
    if failures:
        raise typer.Exit(1)


def schema() -> None:
    """Prints the JSON Schema of rule files, for editors."""
    from treasury_watch.rules import json_schema

    typer.echo(json.dumps(json_schema(), ensure_ascii=False, indent=2))
