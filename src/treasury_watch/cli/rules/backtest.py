"""`rules backtest`: what a rule set would have done with the payments of a file."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treasury_watch.cli.console import (
    STANDARD,
    Failure,
    Json,
    by_reason,
    console,
    emit_json,
    failing_on,
    note,
    output_file,
    progress,
    show_table,
)
from treasury_watch.cli.files import SHOWN_REFUSALS
from treasury_watch.cli.rules.arguments import Directory

if TYPE_CHECKING:
    from treasury_watch.adapters.backtest import Labels
    from treasury_watch.adapters.replay import Refused
    from treasury_watch.rules.schema import RuleSet

SHOWN_OVERLAPS = 10
SMALLEST = 0.000001  # a share that is said in digits
WIDE = 120  # columns of a terminal that has room for titles


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
        old = None if against is None else _old(against)
    known = None if labels is None else _labels(labels)
    source = testing.source_of(on)
    told = _Refusals()
    with (
        failing_on(UnreadableFile),
        opened as lines,
        output_file(html, reads=on) if html else nullcontext() as page,
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
        _show(result)
    if result["broken"] or not result["payments"]:
        raise typer.Exit(1)


def _old(against: str) -> tuple[str, RuleSet]:
    """The rule set to compare with, and what the report calls it: no folder, so that it is the same everywhere."""
    from treasury_watch.adapters.rulefiles import load

    return Path(against).resolve().name, load(Path(against))


def _labels(path: Path) -> Labels:
    from treasury_watch.adapters.backtest import BadLabels, read_labels
    from treasury_watch.adapters.jsonl import Lines, UnreadableFile

    with failing_on(UnreadableFile, BadLabels), Lines(path) as lines:
        return read_labels(lines, lines.name)


class _Refusals:
    """The first few refused lines to stderr, and how many more there are."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, refused: Refused) -> None:
        self._count += 1
        if self._count <= SHOWN_REFUSALS:
            note(str(refused))

    def close(self) -> None:
        if self._count > SHOWN_REFUSALS:
            note(f"… and {self._count - SHOWN_REFUSALS:,} more; `replay --dead-letters FILE` lists all")


# --- the result in the terminal ---


def _show(result: dict[str, Any]) -> None:
    file, say = result["file"], typer.echo
    _show_rules(result)
    if result["against"]:
        _show_against(result)
    if result["labels"]:
        _show_labels(result["labels"])
    _show_findings(result)
    say(
        f"{file['lines']:,} lines = {result['payments']:,} payments judged + {result['duplicates']:,} duplicates "
        f"+ {sum(result['refused'].values()):,} refused{by_reason(result['refused'])}"
    )
    if result["payments"]:
        verdicts = ", ".join(f"{verdict} {count:,}" for verdict, count in result["verdicts"].items())
        say(f"{file['first_day']} to {file['last_day']}: {verdicts}")
        say(f"held: {_money(result['held'])}")
    else:
        say("nothing could be judged, so nothing is shown about the rules")
    say(f"file {file['name']} {file['sha256']}")
    say(f"rules {result['ruleset']['hash']}, reference {result['ruleset']['reference']}")


def _show_rules(result: dict[str, Any]) -> None:
    titled = console().width >= WIDE
    shares = _aligned(_percent(each["share"]) for each in result["rules"])
    amounts = _aligned(_yuan(each["held"]["amount"]) for each in result["rules"])
    rows = [
        (
            each["id"],
            *((each["title"]["zh"], each["title"]["en"]) if titled else ()),
            each["mode"],
            each["hits"],
            share,
            each["held"]["payments"],
            amount,
        )
        for each, share, amount in zip(result["rules"], shares, amounts, strict=True)
    ]
    if rows:
        titles = ("规则", "title") if titled else ()
        header = ("rule", *titles, "mode", "hits", "share", "holds", "CNY held")
        show_table(header, rows, title="Hits by rule")


def _show_against(result: dict[str, Any]) -> None:
    against = result["against"]
    statuses = list(result["verdicts"])
    statuses += sorted({each for old, row in against["matrix"].items() for each in (old, *row)} - {*statuses})
    rows = [(old, *(against["matrix"].get(old, {}).get(new, 0) for new in statuses)) for old in statuses]
    show_table(("old ╲ new", *statuses), rows, title=f"Verdicts of {against['name']} (rows) and of these rules")
    if against["rules"]:
        changed = [
            (each["rule"], _stage(each["old"]), _stage(each["new"]), each["gained"], each["lost"])
            for each in against["rules"]
        ]
        show_table(("rule", "old", "new", "hits more", "hits less"), changed, title="Rules that differ")
    for key, name in (("newly_held", "newly held"), ("newly_let_go", "newly let go")):
        typer.echo(f"{name}: {_money(against[key])}{by_reason(against[key]['rules'])}")
        for each in against[key]["examples"]:
            _show_example(each, "new" if key == "newly_held" else "old")


def _stage(stage: dict[str, Any] | None) -> str:
    return f"{stage['mode']} r{stage['revision']}, {stage['hits']:,} hits" if stage else "-"


def _show_example(example: dict[str, Any], side: str) -> None:
    why = "/".join(example["why"])
    typer.echo(
        f"  {why}: line {example['line']}, {example['instruction_id']}, {example['event_time']}, "
        f"{example['currency']} {_yuan(example['amount'])}: {example['old']['verdict']} → {example['new']['verdict']}"
    )
    for hit in example[side]["hits"]:
        typer.echo(f"    {hit['rule']} ({hit['mode']}): {hit['reason']['zh']} · {hit['reason']['en']}")


def _show_labels(labels: dict[str, Any]) -> None:
    numbers = {"true": "true", "false": "false", "elsewhere": "other", "unlabelled": "no label"}
    rows = [
        (
            rule,
            _percent(each["precision"]),
            f"{_percent(each['recall'])} of {each['expected']:,}" if each["expected"] else "-",
            *(each[name] for name in numbers),
        )
        for rule, each in labels["rules"].items()
    ]
    if rows:
        show_table(("rule", "precision", "recall", *numbers.values()), rows, title="Hits by what labels say of them")
    planted, answered = labels["planted"], labels["answered"]
    if planted["expected"]:
        typer.echo(
            f"planted: {planted['found']:,} of {planted['expected']:,} payments are hit by all rules that their label "
            f"names, {_percent(planted['recall'])}"
        )
    if planted["near_misses"]:
        typer.echo(
            f"near misses: {planted['hit_wrongly']:,} of {planted['near_misses']:,} are hit by rules of their kind"
        )
    missed = sorted({rule for kind in labels["kinds"].values() for rule in kind["not_in_set"]})
    if missed:
        typer.echo(f"labels name rules that are not in the set: {', '.join(missed)}")
    for label, each in answered.items():
        if each["payments"]:
            typer.echo(f"{label}: {each['found']:,} of {each['payments']:,} are warned of or held")
    if labels["not_in_file"]:
        typer.echo(f"{labels['not_in_file']:,} labels are of payments that were not judged")


def _show_findings(result: dict[str, Any]) -> None:
    for each in result["noisy"]:
        broken = "more than its file expects" if each["expected"] else "noisy"
        typer.echo(
            f"{each['rule']} {broken}: {each['hits']:,} of {each['payments']:,} payments, {_percent(each['share'])}, "
            f"more than {_percent(each['max_share'])}"
        )
    if result["silent"]:
        typer.echo(f"silent, no hit: {', '.join(result['silent'])}")
    if result["not_in_effect"]:
        typer.echo(f"not in effect on any day of the file: {', '.join(result['not_in_effect'])}")
    for each in result["overlapping"][:SHOWN_OVERLAPS]:
        one, other = each["rules"]
        typer.echo(f"{one} and {other} overlap: {each['both']:,} payments of {each['either']:,} are hit by both")
    if len(result["overlapping"]) > SHOWN_OVERLAPS:
        typer.echo(f"… and {len(result['overlapping']) - SHOWN_OVERLAPS:,} more pairs; --json lists all")


def _aligned(texts: Iterable[str]) -> list[str]:
    """Numbers that are texts, to the right of their column."""
    found = list(texts)
    width = max(map(len, found), default=0)
    return [each.rjust(width) for each in found]


def _money(held: dict[str, Any]) -> str:
    told = f"{held['payments']:,} payments, CNY {_yuan(held['amount'])}"
    if held["refunds"]:
        told += f"; {held['refunds']:,} of them refunds, CNY {_yuan(held['refund_amount'])}, not set off"
    if held["unconverted"]:
        told += f"; {held['unconverted']:,} in a currency without a rate, in no sum"
    return told


def _yuan(text: str) -> str:
    whole, _, fen = text.partition(".")
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{int(whole.lstrip('-')):,}.{fen}"


def _percent(share: float | None) -> str:
    if share is None:
        return "-"
    return "<0.0001 %" if 0 < share < SMALLEST else f"{share * 100:.4g} %"
