"""`rules backtest`: what a rule set would have done with the payments of a file."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from treasury_watch.cli.console import (
    STANDARD,
    Failure,
    Json,
    emit_json,
    failing_on,
    note,
    output_file,
    progress,
)
from treasury_watch.cli.payments import Refusals, labels_of
from treasury_watch.cli.rules.arguments import Directory

if TYPE_CHECKING:
    from treasury_watch.rules.schema import RuleSet


def backtest(
    on: Annotated[Path, typer.Option("--on", metavar="FILE", help="Instructions as JSON lines, may be gzipped.")],
    directory: Directory = None,
    against: Annotated[
        str | None, typer.Option(metavar="OLD", help="Rules to compare with: a directory, or a git revision.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is known of payments: of simulate --labels, or answers.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="The report as one HTML page.")] = None,
    max_lateness_days: Annotated[
        int, typer.Option(min=0, max=3660, envvar="TREASURY_WATCH_MAX_LATENESS_DAYS", help="As the worker has it.")
    ] = 31,
    as_json: Json = False,
) -> None:
    """Judges past payments with rules, shadow rules and drafts too, and tells what they do. Exit status 1 when a rule
    hits more than its file expects, or nothing could be judged.
    """
    from datetime import timedelta

    from treasury_watch.adapters import backtest as testing
    from treasury_watch.adapters.jsonl import Lines, UnreadableFile
    from treasury_watch.adapters.rulefiles import default_rules, load
    from treasury_watch.cli.rules.backtest_text import show
    from treasury_watch.rules import RuleErrors

    directory = directory or default_rules()
    if (on.exists() and not (on.is_file() or on.is_dir())) or str(on) == "-":
        raise Failure(f"{on}: a back-test names its payments by the hash of a file, and this is none")
    if html == STANDARD:
        raise Failure("--html -: the result has standard output, so the report needs a file")
    with failing_on(UnreadableFile):
        opened = Lines(on)
    with failing_on(RuleErrors):
        ruleset = load(directory)
        old = None if against is None else _old(against, directory)
    known = None if labels is None else labels_of(labels)
    source = testing.source_of(on)
    told = Refusals()
    with (
        failing_on(UnreadableFile),
        opened as lines,
        output_file(html, reads=(on, labels)) if html else nullcontext() as page,
        progress(f"backtest {on.name}", lines.size, in_bytes=True) as done,
    ):
        started = time.perf_counter()
        test = testing.back_test(
            lines,
            ruleset,
            old,
            known,
            timedelta(days=max_lateness_days),
            told,
            lambda _: done(lines.position),
        )
        seconds = time.perf_counter() - started
        result = testing.as_json(test, source)
        if page is not None:
            from treasury_watch.adapters.report import page_of

            page.write(page_of(result).encode())
    told.close()
    note(f"{seconds:,.1f} s, {test.lines / seconds if seconds else 0:,.0f} instructions/s")
    if as_json:
        emit_json(result)
    else:
        show(result)
    if result["broken"] or not result["payments"]:
        raise typer.Exit(1)


def _old(against: str, directory: Path) -> tuple[str, RuleSet]:
    """The rule set to compare with, and what the report calls it: no folder, so that it is the same everywhere."""
    from treasury_watch.adapters.gitrules import UnknownRevision, files_at
    from treasury_watch.rules import RuleErrors, read

    with failing_on(UnknownRevision):
        files = files_at(against, str(directory))
    ruleset, diagnostics = read(files)
    if ruleset is None:
        raise RuleErrors(diagnostics, files)
    folder = Path(against)
    return folder.resolve().name if folder.is_dir() else against, ruleset
