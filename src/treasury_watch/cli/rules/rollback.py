"""`rules rollback`: an earlier rule set again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from treasury_watch.cli.console import Json, emit_json, failing_on
from treasury_watch.cli.kafka import settings_of_environment, talking
from treasury_watch.cli.rules.bundling import configured_approvals, signing_key


def rollback(
    ruleset: Annotated[str, typer.Argument(metavar="HASH", help="Its hash, or the first digits of it.")],
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="An approver's private key; needed where keys are configured."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Makes a rule set that was published before the current one again.

    It has its two signatures; that it is wanted again, now, an approver alone may say.
    """
    from treasury_watch.adapters.kafka.control.publishing import NotPublished, roll_back

    settings = settings_of_environment()
    approvals = configured_approvals(settings)
    own = None if key is None else signing_key(key)
    with failing_on(NotPublished):
        done = talking(lambda: roll_back(settings, approvals, ruleset, own))
    topic = settings.topic("rules")
    if as_json:
        emit_json({"outcome": done.outcome, "ruleset": done.ruleset, "topic": topic, "offset": done.offset})
    elif done.outcome == "published":
        typer.echo(f"{done.ruleset} is to be current again: offset {done.offset} of {topic}")
    else:
        typer.echo(f"{done.ruleset} is the current rule set already, since offset {done.offset} of {topic}")
