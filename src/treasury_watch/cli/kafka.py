"""Commands that talk to Kafka: `worker`, `topics`, `publish`, `dead-letters`. Settings come from `TREASURY_WATCH_*`."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from treasury_watch.cli.console import Failure, Json, by_reason, emit_json, failing_on, note, on_one_line, progress

if TYPE_CHECKING:
    from treasury_watch.adapters.kafka.dead_letters import DeadLetter, Selection
    from treasury_watch.adapters.settings import Settings

SHOWN_REFUSALS = 10

T = TypeVar("T")

Reasons = Annotated[list[str] | None, typer.Option("--reason", metavar="CODE", help="Only these; may be repeated.")]


def register(app: typer.Typer) -> None:
    topics = typer.Typer(help="The topics of the contract.")
    topics.command("create")(create_topics)
    dead_letters = typer.Typer(help="What was refused: see it, send it again.")
    dead_letters.command("list")(list_dead_letters)
    dead_letters.command("redrive")(redrive)
    app.command()(worker)
    app.add_typer(topics, name="topics")
    app.command()(publish)
    app.add_typer(dead_letters, name="dead-letters")


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

    settings = settings_of_environment()
    report = talking(lambda: topics.create_topics(settings))
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


def publish(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="Instructions as JSON lines, may be gzipped; - is stdin.")
    ],
    rate: Annotated[float | None, typer.Option(min=0.1, metavar="N", help="Instructions per second.")] = None,
    as_json: Json = False,
) -> None:
    """Sends instructions to Kafka; each is acknowledged by all replicas. Nothing is sent when a line is bad."""
    from treasury_watch.adapters.jsonl import UnreadableFile
    from treasury_watch.adapters.kafka import publish as publishing

    settings = settings_of_environment()
    with failing_on(publishing.BadLine, UnreadableFile), progress(f"publish {source.name}", None) as done:
        key = _partition_by(settings)
        count = talking(lambda: publishing.publish(settings, source, key, rate=rate, progress=done))
    topic = settings.topic("payments")
    if as_json:
        emit_json({"published": count, "topic": topic})
    else:
        typer.echo(f"{count:,} instructions published on {topic}")


def list_dead_letters(
    reasons: Reasons = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line, for machines.")] = False,
) -> None:
    """Lists what was refused, with position, reason and detail; account and card numbers are masked."""
    from treasury_watch.adapters.kafka import dead_letters

    settings, selection = settings_of_environment(), _selection(reasons)
    counts: Counter[str] = Counter()

    async def listing() -> None:
        async for letter in dead_letters.dead_letters(settings, selection):
            counts[letter.reason] += 1
            if as_json:
                emit_json(letter.row())
            else:
                typer.echo(f"{letter.failed_at}  {_told(letter, letter.reason, letter.row()['detail'])}")

    talking(listing)
    if not as_json:
        typer.echo(f"{counts.total():,} dead letters{by_reason(counts)}")


def redrive(
    reasons: Reasons = None,
    positions: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="PARTITION:OFFSET", help="Only these, as `list` shows them; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Sends refused messages again, once the cause is gone. Exit status 1 when some would only be refused again.

    What has its verdict gets no second one, so doing it twice does no harm.
    """
    from treasury_watch.adapters.kafka import dead_letters

    settings, selection = settings_of_environment(), _selection(reasons, positions)
    with progress("redrive", None) as done:
        key = _partition_by(settings)
        result = talking(lambda: dead_letters.redrive(settings, key, selection, progress=done))
    refused = result.still_refused
    if as_json:
        emit_json(
            {
                "sent": result.sent,
                "still_refused": [
                    {"partition": letter.partition, "offset": letter.offset, "reason": why.reason, "detail": why.detail}
                    for letter, why in refused
                ],
            }
        )
    else:
        for letter, why in refused[:SHOWN_REFUSALS]:
            note(_told(letter, why.reason, why.detail))
        if len(refused) > SHOWN_REFUSALS:
            note(f"… and {len(refused) - SHOWN_REFUSALS:,} more; --json lists all")
        typer.echo(f"{result.sent:,} sent again, {len(refused):,} not: they would only be refused again")
    if refused:
        raise typer.Exit(1)


def settings_of_environment() -> Settings:
    """The settings that `TREASURY_WATCH_*` say. Raises Failure with a line for each wrong one."""
    from treasury_watch.adapters.settings import SettingsError, load_settings

    with failing_on(SettingsError):
        return load_settings()


def talking(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs work with the brokers; what they answer wrong is a Failure."""
    from treasury_watch.adapters.kafka.connection import BrokerError
    from treasury_watch.adapters.kafka.publisher import PublishError

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the errors that are raised say the same
    with failing_on(BrokerError, PublishError):
        return asyncio.run(work())


def _partition_by(settings: Settings) -> str:
    from treasury_watch.adapters.rulefiles import default_rules, load
    from treasury_watch.rules import RuleErrors

    with failing_on(RuleErrors):
        return load(settings.rules_dir or default_rules()).partition_by


def _selection(reasons: list[str] | None, positions: list[str] | None = None) -> Selection:
    from treasury_watch.adapters.kafka.dead_letters import Selection
    from treasury_watch.domain.verdict import DISPOSITION_REASONS, REASONS

    known = dict.fromkeys((*REASONS, *DISPOSITION_REASONS))
    for reason in reasons or ():
        if reason not in known:
            raise Failure(f"--reason {reason}: expected one of {', '.join(known)}")
    return Selection(tuple(reasons or ()), tuple(_position(each) for each in positions or ()))


def _position(text: str) -> tuple[int, int]:
    partition, _, offset = text.partition(":")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise Failure(f"--at {text}: expected PARTITION:OFFSET, such as 0:15")
    return int(partition), int(offset)


def _told(letter: DeadLetter, reason: str, detail: str) -> str:
    return on_one_line(
        f"{letter.partition}:{letter.offset}  {letter.instruction_id or 'no instruction_id'}  {reason}: {detail}"
    )
