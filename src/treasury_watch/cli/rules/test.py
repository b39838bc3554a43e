"""`rules test`: the tests in rule files, run by the engine that judges payments."""

from __future__ import annotations

import typer

from treasury_watch.cli.console import Json, emit_json, failing_on
from treasury_watch.cli.rules.arguments import Directory


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
