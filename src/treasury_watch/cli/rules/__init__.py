"""Commands for rule authors, one module each; each is named in `COMMANDS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import typer

from treasury_watch.cli.rules.backtest import backtest
from treasury_watch.cli.rules.check import check
from treasury_watch.cli.rules.coverage import coverage
from treasury_watch.cli.rules.diff import diff
from treasury_watch.cli.rules.explain import explain
from treasury_watch.cli.rules.new import new
from treasury_watch.cli.rules.promote import promote
from treasury_watch.cli.rules.publish import publish
from treasury_watch.cli.rules.rollback import rollback
from treasury_watch.cli.rules.schema import schema
from treasury_watch.cli.rules.sign import sign
from treasury_watch.cli.rules.status import status
from treasury_watch.cli.rules.test import run_inline_tests

COMMANDS: Mapping[str, Callable[..., None]] = {
    "check": check,
    "test": run_inline_tests,
    "explain": explain,
    "schema": schema,
    "coverage": coverage,
    "backtest": backtest,
    "diff": diff,
    "new": new,
    "promote": promote,
    "sign": sign,
    "publish": publish,
    "rollback": rollback,
    "status": status,
}


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Rules: check them, run their tests, publish them.")
    for name, command in COMMANDS.items():
        group.command(name)(command)
    app.add_typer(group, name="rules")
