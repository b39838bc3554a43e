"""`rules coverage`: risk points without a rule, rules without a risk point, live rules without tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treasury_watch.cli.console import Failure, Json, console, emit_json, failing_on, show_table
from treasury_watch.cli.rules.arguments import Directory

if TYPE_CHECKING:
    from treasury_watch.rules.coverage import Coverage

_STATES = {"none": "no rule", "shadow": "only shadow", "live": "live"}


def coverage(
    directory: Directory = None,
    as_json: Json = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The risk points with their rules as a Markdown page.")
    ] = False,
    catalogue: Annotated[
        bool, typer.Option("--catalogue", help="The rows of catalogue.yaml with their rules as a Markdown page.")
    ] = False,
) -> None:
    """Says what the rules leave open. Exit status 1 when a risk point has no rule, a rule no risk point, or a live rule
    no test of a hit, of a boundary miss or of a missing field."""
    from treasury_watch.adapters.rulefiles import default_rules, files_of, load
    from treasury_watch.rules import RuleErrors
    from treasury_watch.rules.coverage import coverage as coverage_of
    from treasury_watch.rules.pages import catalogue_page, risk_points_page
    from treasury_watch.rules.sets import catalogue_of, risk_points_of

    if as_json + markdown + catalogue > 1:
        raise Failure("--json, --markdown and --catalogue each print the whole result: give one of them")
    directory = directory or default_rules()
    with failing_on(RuleErrors):
        ruleset = load(directory)
    files = files_of(directory)
    if catalogue:
        rows = catalogue_of(files)
        if rows is None:
            raise Failure(f"{directory}: there is no catalogue.yaml")
        typer.echo(catalogue_page(ruleset, rows), nl=False)
        return
    found = coverage_of(ruleset, risk_points_of(files) or ())
    if as_json:
        emit_json(_plain(found))
    elif markdown:
        typer.echo(risk_points_page(found), nl=False)
    else:
        _show(found)
    if not found.is_whole:
        raise typer.Exit(1)


def _plain(found: Coverage) -> dict[str, Any]:
    return {
        "risk_points": [
            {
                "id": each.point.id,
                "step": each.point.step,
                "state": each.state,
                "rules": [{"rule": rule.id, "mode": rule.mode, "level": rule.level} for rule in each.rules],
            }
            for each in found.points
        ],
        "rules_without_risk_point": [{"rule": rule.id, "risk_point": rule.risk_point} for rule in found.pointless],
        "live_rules_without_tests": [{"rule": rule.id, "lacks": list(tested.lacks)} for rule, tested in found.untested],
    }


def _show(found: Coverage) -> None:
    open_points = [each for each in found.points if each.state != "live"]
    if open_points:
        rows = [
            (
                each.point.id,
                each.point.step or "—",
                f"{each.point.title.en} {each.point.title.zh}",
                _STATES[each.state],
                " ".join(rule.id for rule in each.rules),
            )
            for each in open_points
        ]
        _table(("id", "step", "risk point", "answered by", "rules"), rows, title="Risk points without a live rule")
    if found.pointless:
        pointless = [(rule.id, rule.title.en, rule.risk_point or "—") for rule in found.pointless]
        _table(("rule", "title", "names"), pointless, title="Rules without a risk point")
    if found.untested:
        untested = [(rule.id, rule.title.en, ", ".join(tested.lacks)) for rule, tested in found.untested]
        _table(("rule", "title", "no test of"), untested, title="Live rules whose tests lack a case")
    states = [each.state for each in found.points]
    typer.echo(
        f"{len(states)} risk points: {states.count('live')} with live rules, {states.count('shadow')} with shadow rules"
        f" only, {states.count('none')} without; {_count(len(found.pointless), 'rule')} without a risk point;"
        f" {_count(len(found.untested), 'live rule')} without all tests"
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str) -> None:
    """A table on a terminal; plain lines for files and pipes."""
    if console().is_terminal:
        show_table(header, rows, title=title)
        return
    typer.echo(f"{title}:")
    for row in rows:
        typer.echo(f"  {'  '.join(filter(None, row))}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
