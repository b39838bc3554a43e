"""Commands that talk to Kafka: `worker`, `topics create`. Settings come from `TREASURY_WATCH_*`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer

from treasury_watch.cli.console import Json, emit_json, failing_on, note

if TYPE_CHECKING:
    from treasury_watch.adapters.settings import Settings


def register(app: typer.Typer) -> None:
    topics = typer.Typer(help="The topics of the contract.")
    topics.command("create")(create_topics)
    app.command()(worker)
    app.add_typer(topics, name="topics")


def settings_of_environment() -> Settings:
    """The settings that `TREASURY_WATCH_*` say. Raises Failure with a line for each wrong one."""
    from treasury_watch.adapters.settings import SettingsError, load_settings

    with failing_on(SettingsError):
        return load_settings()


def worker() -> None:
    """Runs the worker: judges payments from Kafka until it is told to stop."""
    from treasury_watch.adapters.kafka.connection import BrokerError
    from treasury_watch.adapters.kafka.worker import WorkerError, run_worker
    from treasury_watch.rules import RuleErrors

    settings = settings_of_environment()
    with failing_on(BrokerError, WorkerError, RuleErrors):
        raise typer.Exit(run_worker(settings))


def create_topics(as_json: Json = False) -> None:
    """Creates the topics that are missing and checks the others. Exit status 1 when one is not as it should be."""
    from treasury_watch.adapters.kafka import topics
    from treasury_watch.adapters.kafka.connection import BrokerError

    with failing_on(BrokerError):
        report = asyncio.run(topics.create_topics(settings_of_environment()))
    if as_json:
        emit_json(
            {
                "created": report.created,
                "existing": report.existing,
                "findings": [
                    {"topic": each.topic, "found": each.found, "expected": each.expected} for each in report.findings
                ],
            }
        )
    else:
        for topic in report.created:
            typer.echo(f"created {topic}")
        for topic in report.existing:
            typer.echo(f"exists  {topic}")
    for finding in report.findings:
        note(str(finding))
    if report.findings:
        raise typer.Exit(1)
