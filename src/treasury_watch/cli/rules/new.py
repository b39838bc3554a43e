"""`rules new`: a rule and its test to start from."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated

import typer

from treasury_watch.cli.console import Failure, failing_on
from treasury_watch.cli.rules.arguments import Directory

_ACTIONS = ("record", "warn", "intercept", "prohibit")


def new(
    directory: Directory = None,
    rule_id: Annotated[str | None, typer.Option("--id", help="Its name for ever, as in CASH-006.")] = None,
    title_zh: Annotated[str | None, typer.Option("--title-zh", help="Its title in Chinese.")] = None,
    title_en: Annotated[str | None, typer.Option("--title-en", help="Its title in English.")] = None,
    file: Annotated[str | None, typer.Option("--file", help="The file in DIR, new or not, as in cash.yaml.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="record, warn, intercept or prohibit.")] = None,
    field: Annotated[str | None, typer.Option("--field", help="A field of the instruction, as in amount.")] = None,
    operator: Annotated[str | None, typer.Option("--operator", help="As in gte, eq, in, contains.")] = None,
    value: Annotated[str | None, typer.Option("--value", help="What it is compared with; several with commas.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Who answers for a new file.")] = None,
) -> None:
    """Writes a draft on one condition, with a test that hits it and just misses it. On a terminal it asks for what no
    option says.
    """
    from zoneinfo import ZoneInfo

    from treasury_watch.adapters.rulefiles import default_rules
    from treasury_watch.adapters.scaffolding import is_begun, scaffold
    from treasury_watch.rules import RuleErrors
    from treasury_watch.rules.scaffold import Answers, NoScaffold

    directory = directory or default_rules()
    given = {
        "--id": (rule_id, "Id, as in CASH-006"),
        "--title-zh": (title_zh, "Title in Chinese"),
        "--title-en": (title_en, "Title in English"),
        "--file": (file, "File, as in cash.yaml"),
        "--action": (action, f"Action ({', '.join(_ACTIONS)})"),
        "--field": (field, "Field, as in amount"),
        "--operator": (operator, "Operator, as in gte, eq, in, contains"),
        "--value": (value, "Value, as in 50000.00"),
    }
    answered = _answers(given)
    if answered["--action"] not in _ACTIONS:
        raise Failure(f"--action {answered['--action']}: use {', '.join(_ACTIONS)}")
    if owner is None and sys.stdin.isatty() and not is_begun(directory):
        owner = _asked("Owner, who answers for the rules of the new file, as in li@example.gov")
    where = answered.pop("--file")
    with failing_on(RuleErrors, NoScaffold):
        draft = scaffold(
            directory,
            where,
            owner,
            Answers(*answered.values()),
            lambda zone: datetime.now(ZoneInfo(zone)).date(),
        )
    name = answered["--id"]
    passing = "the test of its file passes" if draft.tests == 1 else f"the {draft.tests} tests of its file pass"
    typer.echo(f"{draft.path}:{draft.line}: {name}, a draft with a test; {passing}")
    typer.echo("next: its condition, reason, risk_point, basis and first day, then")
    typer.echo(f"  treasury-watch rules test {directory} --rule {name}")
    typer.echo(f"  treasury-watch rules check {directory}")
    typer.echo(f"  treasury-watch rules backtest {directory} --on FILE")
    typer.echo(f"  treasury-watch rules promote {name} {directory} --to shadow")


def _answers(given: dict[str, tuple[str | None, str]]) -> dict[str, str]:
    """Every answer, asked for where an option does not give it and somebody is there."""
    missing = [name for name, (answer, _) in given.items() if answer is None]
    if missing and not sys.stdin.isatty():
        raise Failure(f"nothing says {', '.join(missing)}, and there is no terminal to ask at")
    return {name: _asked(question) if answer is None else answer for name, (answer, question) in given.items()}


def _asked(question: str) -> str:
    return str(typer.prompt(question, err=True)).strip()
