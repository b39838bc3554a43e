"""The result of a back-test as a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer

from treasury_watch.cli.console import by_reason, console, show_table

SHOWN_OVERLAPS = 10
SMALLEST = 0.000001  # a share that is said in digits
WIDE = 120  # columns of a terminal that has room for titles


def show(result: dict[str, Any]) -> None:
    """Prints the result of a back-test."""
    from treasury_watch.adapters.shadow import told

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
    for side, name in ((result, ""), (result["against"], "old: ")):
        if side and side["shadow"]:
            say(f"{name}{told(side['shadow'])}")
    say(f"file {file['name']} {file['sha256']}")
    say(f"rules {result['ruleset']['hash']}, reference {result['ruleset']['reference']}")


def _show_rules(result: dict[str, Any]) -> None:
    titled = console().width >= WIDE
    rules = [each for each in result["rules"] if each["hits"]]
    shares = _aligned(_percent(each["share"]) for each in rules)
    amounts = _aligned(_yuan(each["held"]["amount"]) for each in rules)
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
        for each, share, amount in zip(rules, shares, amounts, strict=True)
    ]
    if rows:
        titles = ("规则", "title") if titled else ()
        header = ("rule", *titles, "mode", "hits", "share", "holds", "CNY held")
        show_table(header, rows, title="Hits by rule; of shadow rules and drafts, what they would hold")


def _show_against(result: dict[str, Any]) -> None:
    against = result["against"]
    statuses = list(result["verdicts"])
    statuses += sorted({each for old, row in against["matrix"].items() for each in (old, *row)} - {*statuses})
    rows = [(old, *(against["matrix"].get(old, {}).get(new, 0) for new in statuses)) for old in statuses]
    show_table(("old ╲ new", *statuses), rows, title=f"Verdicts of {against['name']} (rows) and of these rules")
    shown = [each for each in against["rules"] if each["effect"]]
    if shown:
        changed = [
            (each["rule"], _stage(each["old"]), _stage(each["new"]), each["gained"], each["lost"]) for each in shown
        ]
        show_table(
            ("rule", "old", "new", "hits more", "hits less"),
            changed,
            title="Rules that differ in effect, with their hits",
        )
    others = [each["rule"] for each in against["rules"] if not each["effect"]]
    if others:
        typer.echo(f"differ without effect on these payments: {', '.join(others)}")
    for key, name in (("newly_held", "newly held"), ("newly_let_go", "newly let go")):
        typer.echo(f"{name}: {_money(against[key])}{by_reason(against[key]['rules'])}")
        for each in against[key]["examples"]:
            _show_example(each, "new" if key == "newly_held" else "old")


def _stage(stage: dict[str, Any] | None) -> str:
    if stage is None:
        return "-"
    return f"{stage['mode']} {stage['action']} r{stage['revision']}: {stage['hits']:,}"


def _show_example(example: dict[str, Any], side: str) -> None:
    why = "/".join(example["why"])
    typer.echo(
        f"  {why}: line {example['line']}, {example['instruction_id']}, {example['event_time']}, "
        f"{example['currency']} {_yuan(example['amount'])}: {example['old']['verdict']} → {example['new']['verdict']}"
    )
    for hit in example[side]["hits"]:
        if hit["mode"] == "live" and hit["action"] in ("intercept", "prohibit"):
            typer.echo(f"    {hit['rule']}: {hit['reason']['zh']} · {hit['reason']['en']}")


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
