"""Commands on files, without Kafka: `simulate`, `import`, `replay`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from treasury_watch.cli.console import (
    STANDARD,
    Failure,
    Json,
    by_reason,
    emit_json,
    failing_on,
    note,
    output_file,
    progress,
    show_table,
)

if TYPE_CHECKING:
    from treasury_watch.adapters.replay import ReplaySummary
    from treasury_watch.engine import Program

SHOWN_REFUSALS = 10

Rules = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="DIR",
        envvar="TREASURY_WATCH_RULES_DIR",
        help="Rule files; default: the rules that came with it.",
    ),
]


def register(app: typer.Typer) -> None:
    app.command()(simulate)
    app.command("import")(import_)
    app.command()(replay)


def simulate(
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="The same seed gives the same bytes.")],
    payments: Annotated[int, typer.Option(min=0, metavar="N", help="How many instructions.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Instructions as JSON lines; - is standard output.")],
    days: Annotated[int, typer.Option(min=1, metavar="N", help="Over how many calendar days.")] = 1,
    start: Annotated[
        datetime | None, typer.Option(metavar="DATE", formats=["%Y-%m-%d"], help="The first day; default 2026-03-02.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What was planted with which instruction, as JSON lines.")
    ] = None,
    tables: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write the city's tables, into tables/ of a rule set."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Makes up a treasury's payments, with violations planted and labelled."""
    from treasury_watch.adapters.simulate import START, write_city, write_simulation

    _one_on_stdout(out, as_json=as_json)
    with (
        failing_on(ValueError),
        output_file(out) as instructions,
        output_file(labels) as labelled,
        progress("simulate", payments) as done,
    ):
        assert instructions is not None
        first = start.date() if start else START
        summary = write_simulation(seed, payments, instructions, labelled, days, first, done)
        written = write_city(tables, payments, days, first) if tables else []
    if as_json:
        emit_json(
            {
                "instructions": summary.instructions,
                "labelled": summary.labelled,
                "planted": dict(sorted(summary.planted.items())),
                "earliest": summary.earliest and summary.earliest.isoformat(),
                "latest": summary.latest and summary.latest.isoformat(),
            }
        )
        return
    say = _speaker(out)
    kinds = f"({len(summary.planted)} kinds; --json counts each)"
    say(f"{summary.instructions:,} instructions, {summary.labelled:,} of them planted {kinds}")
    if summary.earliest and summary.latest:
        say(f"event times from {summary.earliest.isoformat()} to {summary.latest.isoformat()}")
    if written:
        say(f"{len(written)} files of tables in {tables}")


def import_(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV or other text table; may be gzipped.")],
    mapping: Annotated[str, typer.Option(metavar="FILE", help="A mapping file, or the name of a shipped one.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Instructions as JSON lines; - is standard output.")],
    rejects: Annotated[Path | None, typer.Option(metavar="FILE", help="Rejected rows, as JSON lines.")] = None,
    as_json: Json = False,
) -> None:
    """Turns a payment export into instructions. Exit status 1 when rows were rejected."""
    from treasury_watch.adapters.importer import ImportProblem, Reject, import_file, load_mapping

    _one_on_stdout(out, as_json=as_json)
    with failing_on(ImportProblem):
        read = load_mapping(mapping)
        with (
            output_file(out, reads=[source]) as instructions,
            output_file(rejects, reads=[source]) as rejected,
            progress(f"import {source.name}", None, in_bytes=True) as done,
        ):
            listed = _Listing(rejected, "--rejects FILE lists all")

            def reject(each: Reject) -> None:
                listed(str(each), {"line": each.line, "row": each.row, "reason": each.reason, "detail": each.detail})

            assert instructions is not None
            summary = import_file(source, read, instructions, reject, lambda at, size: done(at))
            listed.close()
    total = summary.rejected.total()
    if as_json:
        emit_json(
            {
                "rows": summary.rows,
                "imported": summary.imported,
                "rejected": dict(sorted(summary.rejected.items())),
                "encoding": summary.encoding,
                "earliest": summary.earliest and summary.earliest.isoformat(),
                "latest": summary.latest and summary.latest.isoformat(),
                "notes": list(summary.notes),
            }
        )
    else:
        say = _speaker(out)
        say(f"{summary.rows:,} rows = {summary.imported:,} imported + {total:,} rejected{by_reason(summary.rejected)}")
        if summary.earliest and summary.latest:
            say(f"event times from {summary.earliest.isoformat()} to {summary.latest.isoformat()}; {summary.encoding}")
        for each in summary.notes:
            say(f"note: {each}")
    if total:
        raise typer.Exit(1)


def replay(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="Instructions as JSON lines, may be gzipped; - is stdin.")
    ],
    rules: Rules = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Decisions as JSON lines; - is standard output.")
    ] = None,
    dead_letters: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Refused lines: number, reason, detail.")
    ] = None,
    max_lateness_days: Annotated[
        int, typer.Option(min=0, max=3660, envvar="TREASURY_WATCH_MAX_LATENESS_DAYS", help="As the worker has it.")
    ] = 31,
    as_json: Json = False,
) -> None:
    """Judges a file with the engine of the worker, without Kafka. Exit status 1 when lines were refused."""
    from treasury_watch.adapters import replay as replaying
    from treasury_watch.adapters.jsonl import Lines, UnreadableFile

    _one_on_stdout(out, as_json=as_json)
    with failing_on(UnreadableFile):
        opened = Lines(source)
    program = load_program(rules, max_lateness_days)
    with (
        failing_on(UnreadableFile),
        opened as lines,
        output_file(out, reads=[source]) as decisions,
        output_file(dead_letters, reads=[source]) as refused,
        progress(f"replay {source.name}", lines.size, in_bytes=True) as done,
    ):
        listed = _Listing(refused, "--dead-letters FILE lists all")

        def refuse(each: replaying.Refused) -> None:
            listed(str(each), {"line": each.line, "reason": each.reason, "detail": each.detail})

        summary = replaying.replay(lines, program, decisions, refuse, lambda _: done(lines.position))
        listed.close()
    if as_json:
        emit_json(summary.as_json())
    else:
        _show(summary, program, err=out == STANDARD)
    if summary.refused:
        raise typer.Exit(1)


def load_program(rules: Path | None, max_lateness_days: int) -> Program:
    """The rules of a directory, or those that came with the product, made ready to run. Raises Failure."""
    from datetime import timedelta

    from treasury_watch.adapters.rulefiles import default_rules, load
    from treasury_watch.engine import Program
    from treasury_watch.rules import RuleErrors

    with failing_on(RuleErrors):
        return Program(load(rules or default_rules()), max_lateness=timedelta(days=max_lateness_days))


def _one_on_stdout(out: Path | None, *, as_json: bool) -> None:
    if as_json and out == STANDARD:
        raise Failure("--json and --out - cannot both have standard output")


class _Listing:
    """Lines that were not accepted: all of them to a file where one is wanted, the first few to stderr."""

    def __init__(self, file: IO[bytes] | None, hint: str) -> None:
        self._file, self._hint, self._count = file, hint, 0

    def __call__(self, told: str, entry: dict[str, Any]) -> None:
        self._count += 1
        if self._file is not None:
            self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        if self._count <= SHOWN_REFUSALS:
            note(told)

    def close(self) -> None:
        if self._count > SHOWN_REFUSALS:
            more = f"… and {self._count - SHOWN_REFUSALS:,} more"
            note(more if self._file is not None else f"{more}; {self._hint}")


def _speaker(out: Path | None) -> Callable[[str], None]:
    return note if out == STANDARD else typer.echo


def _show(summary: ReplaySummary, program: Program, *, err: bool) -> None:
    from treasury_watch.adapters.shadow import told
    from treasury_watch.domain.verdict import VERDICT_LABELS

    say = note if err else typer.echo
    verdicts = [(verdict, VERDICT_LABELS[verdict], count) for verdict, count in summary.verdicts.items()]
    show_table(("verdict", "判定", "decisions"), verdicts, title="By verdict", err=err)
    titles = {rule.id: rule.title for rule in program.ruleset.rules}
    standings = [
        each
        for each in ("live", "shadow", "warming", "excepted")
        if each == "live" or any(each in hits for hits in summary.rules.values())
    ]
    rows = [
        (rule, titles[rule].zh, titles[rule].en, *(hits[each] for each in standings))
        for rule, hits in sorted(summary.rules.items())
    ]
    if rows:
        show_table(("rule", "规则", "title", *standings), rows, title="Hits by rule", err=err)
    say(
        f"{summary.lines:,} lines = {summary.decisions:,} decisions + {summary.duplicates:,} duplicates "
        f"+ {summary.refused.total():,} refused{by_reason(summary.refused)}"
    )
    if summary.late:
        say(f"{summary.late:,} were late: judged at their own event time, after newer ones of their partition key")
    if summary.unknown_fields:
        say(f"unknown fields, ignored{by_reason(summary.unknown_fields)}")
    if summary.shadow is not None:
        say(told(summary.shadow.as_json()))
    say(f"rules {summary.ruleset}, reference {summary.reference}")
    say(f"{summary.seconds:,.1f} s, {summary.per_second:,.0f} instructions/s")
