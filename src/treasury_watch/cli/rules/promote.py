"""`rules promote`: a rule from draft to shadow, and from shadow to live."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from treasury_watch.cli.console import Failure, failing_on, note
from treasury_watch.cli.rules.arguments import Directory


class To(StrEnum):
    shadow = "shadow"
    live = "live"


def promote(
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="The rule.")],
    directory: Directory = None,
    to: Annotated[To, typer.Option(help="live: from shadow, with a back-test; shadow: from draft.")] = To.live,
    backtest: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What `rules backtest --json` said of the rule as it stands.")
    ] = None,
) -> None:
    """Puts a rule into shadow or live: its mode, what the back-test measured, rules.lock. Exit status 2, and nothing is
    written, where the rule was not measured as it stands, or its tests fail.
    """
    from zoneinfo import ZoneInfo

    from treasury_watch.adapters import promoting
    from treasury_watch.adapters.rulefiles import default_rules
    from treasury_watch.rules import RuleErrors
    from treasury_watch.rules.promotion import NotPromoted

    directory = directory or default_rules()
    if to is To.live and backtest is None:
        raise Failure(
            f"a rule goes live with a back-test: `treasury-watch rules backtest {directory} --on FILE --json > F.json`,"
            " then --backtest F.json"
        )
    if to is To.shadow and backtest is not None:
        raise Failure("--backtest is for a rule that goes live; a draft goes into shadow without")
    with failing_on(RuleErrors, NotPromoted):
        done = promoting.promote(
            directory,
            rule_id,
            "live" if to is To.live else "shadow",
            None if backtest is None else backtest.read_text("utf-8", "replace"),
            lambda zone: datetime.now(ZoneInfo(zone)).date(),
        )
    for path in done.written:
        note(f"wrote {path}")
    if done.measured is None:
        typer.echo(f"{rule_id} is in shadow: judged and recorded, without effect")
        typer.echo(f"next: treasury-watch rules backtest {directory} --on FILE --json > F.json")
        typer.echo(f"      treasury-watch rules promote {rule_id} {directory} --backtest F.json")
        return
    found = done.measured
    if found.ruleset != done.old_hash:
        note("the rest of the rule set is not what the back-test judged with; the rule itself is")
    typer.echo(
        f"{rule_id} is live: {found.hits:,} hits on {found.payments:,} payments ({found.share}) of {found.first_day} to"
        f" {found.last_day}; {found.held:,} held by it alone, CNY {found.held_amount:,}"
    )
    typer.echo(f"next: git commit -m 'rules: {rule_id} goes live' -- {' '.join(done.written)}")
