"""`rules test`: the tests in rule files, run by the engine that judges payments."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treasury_watch.cli.console import Failure, Json, emit_json, failing_on, note
from treasury_watch.cli.rules.arguments import Directory, Language

if TYPE_CHECKING:
    from treasury_watch.engine.ruletest import TestRun
    from treasury_watch.rules.schema import RuleSet

POLL_SECONDS = 0.4


def run_inline_tests(
    directory: Directory = None,
    rule_id: Annotated[
        str | None,
        typer.Option("--rule", metavar="ID", help="Only tests that expect this rule, name it, or make it hit."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Run them again whenever a file changes.")] = False,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="List the conditions that no test made true, or none made false.")
    ] = False,
    language: Annotated[Language, typer.Option("--lang", help="The language of what a failure shows.")] = Language.en,
    as_json: Json = False,
) -> None:
    """Runs the tests in rule files. Exit status 1 when one fails or none is there for a rule, 2 when the rules do not
    load; of the last run with --watch.
    """
    from treasury_watch.adapters.rulefiles import default_rules

    directory = directory or default_rules()
    if watch:
        raise typer.Exit(_watch(directory, rule_id, language, coverage=coverage, as_json=as_json))
    status = _run(directory, rule_id, language, coverage=coverage, as_json=as_json)
    if status:
        raise typer.Exit(status)


def _watch(directory: Path, rule_id: str | None, language: Language, *, coverage: bool, as_json: bool) -> int:
    """Runs the tests now and after each change, until the user ends it; the exit status of the last run."""
    from treasury_watch.adapters.watching import changes

    status = 0
    try:
        watched = changes(directory, lambda: time.sleep(POLL_SECONDS))
        while True:
            try:
                status = _run(directory, rule_id, language, coverage=coverage, as_json=as_json)
            except (Failure, OSError) as error:  # the next change may put it right
                note(str(error))
                status = 2
            note(f"watching {directory}; Ctrl-C ends it")
            note(f"changed: {', '.join(next(watched))}")
    except KeyboardInterrupt:
        return status


def _run(directory: Path, rule_id: str | None, language: Language, *, coverage: bool, as_json: bool) -> int:
    """Runs the tests once; the exit status."""
    from treasury_watch.adapters.rulefiles import load
    from treasury_watch.cli.rules.run_text import run_lines
    from treasury_watch.cli.rules.tree import show
    from treasury_watch.engine.ruletest import run
    from treasury_watch.rules import RuleErrors

    with failing_on(RuleErrors):
        ruleset = load(directory)
    if rule_id is not None:
        _require(ruleset, rule_id)
    result = run(ruleset, rule_id)
    if as_json:
        emit_json(_json(result))
    else:
        show(run_lines(result, language.value, by_test=rule_id is not None, coverage=coverage))
    if rule_id is not None and not result.tests:
        note(f"no test expects {rule_id}, names it or makes it hit")
        return 1
    return 1 if result.failures else 0


def _require(ruleset: RuleSet, rule_id: str) -> None:
    from treasury_watch.rules.diagnostics import did_you_mean

    ids = [rule.id for rule in ruleset.rules]
    if rule_id not in ids:
        raise Failure(f"there is no rule `{rule_id}`; {did_you_mean(rule_id, ids)}")


# --- the result ---


def _json(result: TestRun) -> dict[str, Any]:
    from treasury_watch.adapters.explanation import as_json

    return {
        "tests": len(result.tests),
        "failures": [
            {
                "file": each.file,
                "line": each.line,
                "column": each.column,
                "test": each.test,
                "step": each.step,
                "message": each.message,
                "differences": [
                    {"what": one.what, "expected": one.expected, "found": one.found} for one in each.differences
                ],
                "explanations": [as_json(one) for one in each.explanations],
            }
            for each in result.failures
        ],
        "conditions": {
            "count": result.exercise.conditions,
            "gaps": [
                {
                    "rule": each.rule,
                    "file": each.file,
                    "line": each.line,
                    "column": each.column,
                    "condition": each.condition,
                    "never": list(each.never),
                }
                for each in result.exercise.gaps
            ],
        },
    }
