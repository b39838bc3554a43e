"""Commands on what workers remember: `state warm`, `state verify`, `state rebuild`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treasury_watch.cli.console import (
    Failure,
    Json,
    by_reason,
    emit_json,
    failing_on,
    note,
    on_one_line,
    progress,
    show_table,
)
from treasury_watch.cli.files import SHOWN_REFUSALS, Rules

if TYPE_CHECKING:
    from treasury_watch.adapters.history import Feed
    from treasury_watch.adapters.settings import Settings
    from treasury_watch.domain.calendar import Days
    from treasury_watch.engine import Program
    from treasury_watch.rules.schema import RuleSet


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="What workers remember: feed history, look whether it is good, have it built again.")
    for command in (warm, verify, rebuild):
        group.command()(command)
    app.add_typer(group, name="state")


def warm(
    on: Annotated[
        Path, typer.Option("--on", metavar="FILE", help="Instructions as JSON lines, may be gzipped; - is stdin.")
    ],
    rules: Rules = None,
    first: Annotated[
        datetime | None,
        typer.Option(
            "--from", metavar="DATE", formats=["%Y-%m-%d"], help="The file holds all payments from this local day on."
        ),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--until", metavar="DATE", formats=["%Y-%m-%d"], help="… and up to this one, inclusive."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Feeds payments of before the topic to workers, for their next start: it warms windows and the anomaly model.

    `state warm` and `model warm` are the same. Nothing is fed, and the exit status is 1, when a line is no instruction.
    """
    from treasury_watch.adapters import history
    from treasury_watch.adapters.jsonl import Lines, UnreadableFile
    from treasury_watch.adapters.rulefiles import default_rules, load
    from treasury_watch.adapters.settings import SettingsError, load_settings
    from treasury_watch.domain.calendar import Days
    from treasury_watch.domain.verdict import Refusal
    from treasury_watch.rules import RuleErrors

    with failing_on(UnreadableFile):
        opened = Lines(on)
    with failing_on(SettingsError, RuleErrors):
        settings = load_settings()
        ruleset = load(rules or settings.rules_dir or default_rules())
    days = Days(ruleset.timezone)
    count = 0

    def refuse(line: int, refusal: Refusal) -> None:
        nonlocal count
        count += 1
        if count <= SHOWN_REFUSALS:
            note(f"line {line}: {refusal.reason}: {refusal.detail}")

    with (
        failing_on(UnreadableFile, history.HistoryError, ValueError),
        opened as lines,
        progress(f"warm {on.name}", lines.size, in_bytes=True) as done,
    ):
        feeds = history.feeds_of(settings, ruleset.partition_by)  # first: what is damaged is no place to add to
        fed, refused = history.feed(
            lines,
            settings,
            ruleset.partition_by,
            days,
            first=first and first.date(),
            last=last and last.date(),
            refused=refuse,
            progress=lambda _: done(lines.position),
        )
        if fed and fed not in feeds:
            feeds.append(fed)
    if fed and "data_dir" not in settings.model_fields_set:
        note(f"TREASURY_WATCH_DATA_DIR is not set: {settings.data_dir} may not be kept")
    if count > SHOWN_REFUSALS:
        note(f"… and {count - SHOWN_REFUSALS:,} more")
    if fed is None and not refused:
        raise Failure(f"{lines.name}: no payments")
    covered = _covered(fed, feeds, ruleset, days) if fed else {}
    scores = _scores(feeds, ruleset, settings) if fed else None
    if as_json:
        emit_json(_as_json(fed, dict(sorted(refused.items())), covered, scores))
    elif fed:
        _show(fed, covered, scores, ruleset.partition_by)
    else:
        typer.echo(
            f"nothing is fed, since windows would lack the payments of {count:,} refused lines{by_reason(refused)}"
        )
    if refused:
        raise typer.Exit(1)


Partitions = Annotated[
    list[int] | None, typer.Option("--partition", metavar="N", min=0, help="Only this one; may be repeated.")
]


def verify(partitions: Partitions = None, rules: Rules = None, as_json: Json = False) -> None:
    """Makes the state of each partition of what is on the topic, as a worker would. Exit status 1 when some is damaged.

    Nothing is changed. With other rules than the workers' the digests differ.
    """
    from treasury_watch.adapters.kafka.stateadmin import verify_states
    from treasury_watch.cli.kafka import settings_of_environment, talking

    settings = settings_of_environment()
    program = program_of(settings, rules)
    numbers = _numbers(partitions, settings.partitions)
    with progress("verify", len(numbers)) as done:
        reports = talking(lambda: verify_states(settings, program, numbers, done))
    if as_json:
        emit_json([asdict(each) for each in reports])
    else:
        columns = ("partition", "next payment", "scopes", "keys", "entries", "ids", "cases", "entities", "digest")
        rows = [
            (str(each.partition), *("-" if cell is None else cell for cell in (
                each.position, each.scopes, each.keys, each.entries, each.ids, each.cases, each.entities,
                (each.digest or "-")[:23],
            )))
            for each in reports
        ]  # fmt: skip
        show_table(columns, rows, title="States")
    damaged = [each for each in reports if each.problem]
    for each in damaged:
        note(f"partition {each.partition}: {each.problem}")
    if damaged:
        raise typer.Exit(1)


def rebuild(
    partitions: Partitions = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: a worker that has a partition now stops.")] = False,
) -> None:
    """Has workers build the windows of a partition from its payments again, at their next start.

    For a state that is damaged, and for new windows that are to be whole at once. Payments that are not on the topic
    any more are missing then: see `state warm`. What was published stays, and is not published again.
    """
    from treasury_watch.adapters.kafka.fencing import Fenced
    from treasury_watch.adapters.kafka.publisher import PublishError
    from treasury_watch.adapters.kafka.stateadmin import reset_states
    from treasury_watch.cli.kafka import settings_of_environment, talking

    settings = settings_of_environment()
    numbers = _numbers(partitions, settings.partitions)
    told = ", ".join(map(str, numbers))
    if not yes:
        typer.confirm(f"Shut out the workers of partitions {told}, and drop their states?", abort=True, err=True)
    with failing_on(Fenced, PublishError):
        talking(lambda: reset_states(settings, numbers))
    typer.echo(f"partitions {told}: built from the payments again when workers are started")


def program_of(settings: Settings, rules: Path | None) -> Program:
    """The rules that the workers have, if they are given the same, ready to make engines of their states."""
    from treasury_watch.adapters.rulefiles import default_rules, load
    from treasury_watch.engine import Program
    from treasury_watch.rules import RuleErrors

    with failing_on(RuleErrors):
        return Program(load(rules or settings.rules_dir or default_rules()), settings.max_lateness)


def _numbers(partitions: list[int] | None, count: int) -> list[int]:
    wrong = [each for each in partitions or () if each >= count]
    if wrong:
        raise Failure(f"--partition {wrong[0]}: there are {count} partitions, counted from 0")
    return sorted(set(partitions)) if partitions else list(range(count))


def _covered(fed: Feed, feeds: list[Feed], ruleset: RuleSet, days: Days) -> dict[str, datetime]:
    """From when on each rule that has windows has all that they ask for, if the topic begins where this feed ends."""
    from treasury_watch.adapters.history import reaching_back
    from treasury_watch.domain.payment import microseconds, moment_of
    from treasury_watch.engine.warming import ANCIENT, covered_from

    since = reaching_back(feeds, microseconds(fed.manifest.end))
    found = {rule.id: covered_from(rule, since, days) for rule in ruleset.running}
    return {rule: moment_of(us).astimezone(days.zone) for rule, us in found.items() if us > ANCIENT}


def _scores(feeds: list[Feed], ruleset: RuleSet, settings: Settings) -> dict[str, int] | None:
    """How many scores the history gives each model, by partition-key value; `None` where the rules have no model."""
    from treasury_watch.adapters.history import HistoryError
    from treasury_watch.adapters.inspection import given
    from treasury_watch.engine import Program

    if ruleset.model is None:
        return None
    with failing_on(HistoryError):
        return dict(sorted(given(feeds, Program(ruleset, settings.max_lateness)).items()))


def _as_json(
    fed: Feed | None, refused: dict[str, int], covered: dict[str, datetime], scores: dict[str, int] | None
) -> dict[str, Any]:
    from treasury_watch.engine.anomaly.calibration import WARM

    return {
        "fed": None
        if fed is None
        else {
            "path": str(fed.path),
            "payments": fed.manifest.payments,
            "start": fed.manifest.start.isoformat(),
            "end": fed.manifest.end.isoformat(),
            "partitions": [
                {
                    "partition": part.partition,
                    "payments": part.payments,
                    "first": part.first.isoformat(),
                    "last": part.last.isoformat(),
                    "sha256": part.sha256,
                }
                for part in fed.manifest.parts
            ],
        },
        "refused": refused,
        "covered_from": {rule: moment.isoformat() for rule, moment in sorted(covered.items())},
        "model": None if scores is None else {"warm_at": WARM, "scores": scores},
    }


def _show(fed: Feed, covered: dict[str, datetime], scores: dict[str, int] | None, partition_by: str) -> None:
    from treasury_watch.engine.anomaly.calibration import WARM

    manifest = fed.manifest
    zone = manifest.start.tzinfo
    rows = [
        (str(part.partition), part.payments, *(f"{day.astimezone(zone):%Y-%m-%d}" for day in (part.first, part.last)))
        for part in manifest.parts
    ]
    show_table(("partition", "payments", "first", "last"), rows, title="History")
    typer.echo(
        f"{manifest.payments:,} payments, all of {manifest.start.isoformat()} to {manifest.end.isoformat()}: {fed.path}"
    )
    late = sorted((moment, rule) for rule, moment in covered.items() if moment > manifest.end)
    if late:
        rows_late = [(rule, f"{moment:%Y-%m-%d %H:%M}") for moment, rule in late]
        show_table(("rule", "warming until"), rows_late, title="Rules that ask farther back")
    typer.echo(
        f"with the topic beginning by {manifest.end.isoformat()}, every{' other' if late else ''} rule has all its "
        "history. Restart the workers to have it read"
    )
    if scores:
        rows_scores = [
            (on_one_line(key), min(count, WARM), "yes" if count >= WARM else f"lacks {WARM - count:,}")
            for key, count in scores.items()
        ]
        title = f"Scores that history gives the anomaly model, of the {WARM:,} that a p-value needs"
        show_table((partition_by, "scores", "warm"), rows_scores, title=title)
