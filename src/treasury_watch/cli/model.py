"""`model`: how good the anomaly model is on past payments, why one is odd, what it knows, and history for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from treasury_watch.cli.console import (
    STANDARD,
    Failure,
    Json,
    by_reason,
    emit_json,
    failing_on,
    note,
    on_one_line,
    output_file,
    progress,
    show_table,
)
from treasury_watch.cli.files import Rules
from treasury_watch.cli.payments import Refusals, labels_of
from treasury_watch.cli.rules.arguments import Language

if TYPE_CHECKING:
    from treasury_watch.adapters.evaluation import Reading
    from treasury_watch.adapters.inspection import Known
    from treasury_watch.adapters.jsonl import Line
    from treasury_watch.rules.schema import RuleSet

On = Annotated[Path, typer.Option("--on", metavar="FILE", help="Instructions as JSON lines, may be gzipped.")]
Target = Annotated[
    float | None,
    typer.Option(
        help="The share of payments that are to alert, between 0 and 1; default: as the rules say, else 0.01."
    ),
]
PartitionBy = Annotated[
    str | None, typer.Option(metavar="FIELD", help="One model for each value of it; default: as the rules say.")
]


def register(app: typer.Typer) -> None:
    from treasury_watch.cli.state import warm

    group = typer.Typer(help="The anomaly model: how good it is, why a payment is odd, what it knows, history for it.")
    for command in (evaluate, explain, inspect, warm):
        group.command()(command)
    app.add_typer(group, name="model")


def evaluate(
    on: On,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is known of payments: of simulate --labels, or answers.")
    ] = None,
    detectors: Annotated[
        list[str] | None,
        typer.Option(
            "--detector",
            metavar="NAME[:key=value,…]",
            help="TailSurprise, which is the model, or one of river's, such as LODA:n_bins=30. May be repeated; "
            "default: the model of the rules and its shadow.",
        ),
    ] = None,
    target: Target = None,
    partition_by: PartitionBy = None,
    rules: Rules = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="The report as one HTML page.")] = None,
    as_json: Json = False,
) -> None:
    """Scores past payments, each before it is learned, and tells how good the scores are, counted on the last four
    fifths. Exit status 1 when lines were refused, there is no payment, or labels name none.
    """
    from treasury_watch.adapters import evaluation
    from treasury_watch.adapters.backtest import source_of
    from treasury_watch.adapters.detectors import DetectorError
    from treasury_watch.adapters.jsonl import Lines, UnreadableFile

    if html == STANDARD:
        raise Failure("--html -: the result has standard output, so the report needs a file")
    _check(on, target)
    with failing_on(UnreadableFile):
        opened = Lines(on)
    ruleset = _ruleset_of(rules, partition_by)
    zone, key, aim = _setting(ruleset, partition_by, target)
    with failing_on(DetectorError):
        choices = [evaluation.chosen(each, aim) for each in dict.fromkeys(detectors or _detectors_of(ruleset))]
    known = None if labels is None else labels_of(labels)
    source = source_of(on)
    told = Refusals()
    with (
        failing_on(UnreadableFile),
        opened as lines,
        output_file(html, reads=(on, labels)) if html else nullcontext() as page,
        progress(f"evaluate {on.name}", lines.size, in_bytes=True) as done,
    ):
        found = evaluation.evaluate(lines, choices, key, zone, known, told, lambda _: done(lines.position))
        result = evaluation.as_json(found, source, zone, key)
        if page is not None:
            from treasury_watch.adapters.evaluation_page import page_of

            page.write(page_of(result).encode())
    told.close()
    _note_late(found.reading)
    if as_json:
        emit_json(result)
    else:
        _show(result)
    unnamed = known is not None and not result["labels"]["labelled"]
    if unnamed:
        note(f"{labels}: no label names a payment of {on}")
    if result["refused"] or not result["payments"] or unnamed:
        raise typer.Exit(1)


def explain(
    instruction_id: Annotated[str, typer.Argument(metavar="ID", help="Which payment; those before it are learned.")],
    on: On,
    language: Annotated[
        Language, typer.Option("--lang", help="The language of headings and reasons; with both, headings are English.")
    ] = Language.both,
    target: Target = None,
    partition_by: PartitionBy = None,
    rules: Rules = None,
    as_json: Json = False,
) -> None:
    """Shows how odd a payment of a file is, and why: its score, its p-value and the largest parts of the score."""
    from treasury_watch.adapters import evaluation
    from treasury_watch.adapters.explanation import Unexplained, find
    from treasury_watch.adapters.jsonl import Lines, UnreadableFile
    from treasury_watch.domain.calendar import Days
    from treasury_watch.domain.verdict import Refusal
    from treasury_watch.engine.anomaly import drivers

    _check(on, target)
    zone, key, aim = _setting(_ruleset_of(rules, partition_by), partition_by, target)
    days = Days(zone.key)
    with failing_on(UnreadableFile, Unexplained):
        with Lines(on) as lines, progress(f"find {instruction_id}", lines.size, in_bytes=True) as done:
            found = find(lines, instruction_id, lambda: done(lines.position))
        wanted = evaluation.payment_of(found.instruction, key, days)
        if isinstance(wanted, Refusal):
            raise Failure(f"line {found.line}: {wanted.reason}: {wanted.detail}")
        with Lines(on) as lines, progress("learn", found.line) as done:
            told = _telling(lines, done)
            reading = evaluation.Reading()
            before = evaluation.payments_of(told, key, days, reading, lambda refused: None)
            scored, count = evaluation.scored_after(before, wanted, aim)
    _note_late(reading)
    result = {
        "instruction_id": instruction_id,
        "line": found.line,
        "partition_key": wanted.key,
        "learned": count,
        "score": scored.score,
        "p_value": scored.p_value,
        "target": aim,
        "alert": scored.alert,
        "creeping": scored.creeping,
        "drivers": [each._asdict() for each in drivers(wanted.seen, scored)],
    }
    if as_json:
        emit_json(result)
        return
    paid = found.instruction
    payee = paid.payee_name or paid.payee_account or "–"
    where = f"，第 {found.line:,} 行" if language is Language.zh else f"; line {found.line:,}"
    typer.echo(
        on_one_line(
            f"{instruction_id}: {paid.event_time.astimezone(zone):%Y-%m-%d %H:%M}, {paid.budget_unit} → {payee}, "
            f"{paid.currency or 'CNY'} {paid.amount}{where}"
        )
    )
    _show_explanation(result, language)


def inspect(
    on: Annotated[
        Path | None,
        typer.Option("--on", metavar="FILE", help="Learn these instructions; default: the states of the workers."),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="VALUE", help="The model of this partition-key value, in detail.")
    ] = None,
    rules: Rules = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="One HTML page with charts; without --key of the model that has learned most."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Shows what the anomaly models know: of a file, or as it stands in what workers have written. Nothing is changed.

    Exit status 1 when lines were refused, a state is damaged, or there is no model.
    """
    from treasury_watch.adapters import inspection

    if html == STANDARD:
        raise Failure("--html -: the result has standard output, so the report needs a file")
    models, result = _of_states(rules) if on is None else _of_file(on, rules)
    result["shown"] = None
    wanted = _wanted(models, key, result["partition_by"])
    if wanted is None and html is not None:
        wanted = max(models, key=lambda each: each.model.core.whole[0], default=None)
    if wanted is not None:
        zone = ZoneInfo(result["timezone"])
        result["shown"] = inspection.overview(wanted, zone) | inspection.details(wanted)
    if html is not None:
        from treasury_watch.adapters.inspection_page import page_of

        with output_file(html, reads=[on]) as page:
            assert page is not None
            page.write(page_of(result).encode())
    if as_json:
        emit_json(result)
    else:
        from treasury_watch.cli.inspection_text import show

        show(result | ({"shown": None} if key is None else {}))
    for each in result["damaged"]:
        note(f"partition {each['partition']}: {each['problem']}")
    if result["refused"] or result["damaged"] or not models:
        raise typer.Exit(1)


def _of_file(on: Path, rules: Path | None) -> tuple[list[Known], dict[str, Any]]:
    """The models that learn a file, and the result but for `shown`."""
    from treasury_watch.adapters import inspection
    from treasury_watch.adapters.backtest import source_of
    from treasury_watch.adapters.jsonl import Lines, UnreadableFile

    _check(on, None)
    with failing_on(UnreadableFile):
        opened = Lines(on)
    zone, by, target = _setting(_ruleset_of(rules, None), None, None)
    source = source_of(on)
    told = Refusals()
    with failing_on(UnreadableFile), opened as lines, progress(f"learn {on.name}", lines.size, in_bytes=True) as done:
        models, reading = inspection.learned(lines, by, zone, target, told, lambda _: done(lines.position))
    told.close()
    _note_late(reading)
    result = inspection.as_json(models, zone, by, target)
    result["source"] = {"name": source.name, "sha256": f"sha256:{source.sha256}"}
    return models, result | {"refused": dict(sorted(reading.refused.items())), "damaged": []}


def _of_states(rules: Path | None) -> tuple[list[Known], dict[str, Any]]:
    """The models in the states of all partitions, and the result but for `shown`."""
    from dataclasses import asdict

    from treasury_watch.adapters import inspection
    from treasury_watch.cli.kafka import settings_of_environment, talking
    from treasury_watch.cli.state import program_of

    settings = settings_of_environment()
    program = program_of(settings, rules)
    if program.model is None:
        raise Failure("the rules name no model, so workers keep none; `--on FILE` learns a file")
    numbers = range(settings.partitions)
    with progress("inspect", len(numbers)) as done:
        models, damaged = talking(lambda: inspection.restored(settings, program, numbers, done))
    zone, by, target = _setting(program.ruleset, None, None)
    result = inspection.as_json(models, zone, by, target)
    result["source"] = {"name": settings.topic("state"), "sha256": None}
    return models, result | {"refused": {}, "damaged": [asdict(each) for each in damaged]}


def _wanted(models: list[Known], key: str | None, partition_by: str) -> Known | None:
    from treasury_watch.rules.diagnostics import did_you_mean

    if key is None:
        return None
    for each in models:
        if each.key == key:
            return each
    raise Failure(f"--key {key}: no model of this {partition_by}; {did_you_mean(key, (each.key for each in models))}")


def _check(on: Path, target: float | None) -> None:
    if (on.exists() and not (on.is_file() or on.is_dir())) or str(on) == "-":
        raise Failure(f"{on}: it is read twice, so it must be a file")
    if target is not None and not 0.0 < target < 1.0:
        raise Failure(f"--target {target:g}: expected a number between 0 and 1")


def _ruleset_of(rules: Path | None, partition_by: str | None) -> RuleSet:
    """The rules of a directory, or those that came with the product. Raises Failure, for a wrong `partition_by` too."""
    from treasury_watch.adapters.rulefiles import default_rules, load
    from treasury_watch.domain.payment import FIELDS, field_of
    from treasury_watch.rules import RuleErrors
    from treasury_watch.rules.diagnostics import did_you_mean

    if partition_by is not None and field_of(partition_by) is None:
        raise Failure(f"--partition-by: there is no field `{partition_by}`; {did_you_mean(partition_by, FIELDS)}")
    with failing_on(RuleErrors):
        return load(rules or default_rules())


def _setting(ruleset: RuleSet, partition_by: str | None, target: float | None) -> tuple[ZoneInfo, str, float]:
    """The zone of local hours and days, the field of partition-key values, and the share that is to alert."""
    from treasury_watch.engine.anomaly.model import TARGET

    aim = TARGET if ruleset.model is None else float(ruleset.model.target)
    return ZoneInfo(ruleset.timezone), partition_by or ruleset.partition_by, aim if target is None else target


def _detectors_of(ruleset: RuleSet) -> list[str]:
    """The model of the rules and its shadow."""
    from treasury_watch.adapters.detectors import OURS
    from treasury_watch.adapters.shadow import name_of

    shadow = None if ruleset.model is None else ruleset.model.shadow
    return [OURS] if shadow is None else [OURS, name_of(shadow)]


def _note_late(reading: Reading) -> None:
    from treasury_watch.engine.program import DEFAULT_MAX_LATENESS

    if reading.late:
        days = DEFAULT_MAX_LATENESS.days
        note(
            f"payments over {days} days older than the newest before them: {reading.late:,}, learned all the same; "
            "`replay` and workers refuse such as too_late"
        )


def _telling(lines: Iterable[Line], done: Callable[[int], None]) -> Iterator[Line]:
    """The lines, telling now and then how far they have been read."""
    for line in lines:
        if line.number % 1_000 == 0:
            done(line.number)
        yield line


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.2%}"


def _blocks(rates: list[float]) -> str:
    return f"{_percent(min(rates))}–{_percent(max(rates))}" if rates else "–"


_FIGURES: tuple[tuple[str, Callable[[dict[str, Any]], str]], ...] = (
    ("average precision", lambda each: _number(each["average_precision"])),
    ("ROC AUC", lambda each: _number(each["roc_auc"])),
    ("precision, 10 a day", lambda each: _number(each["precision_a_day"])),
    ("alerts", lambda each: _percent(each["alert_rate"])),
    ("… by 10,000", lambda each: _blocks(each["by_block"])),
    ("µs a payment", lambda each: f"{each['us']:.1f}"),
    ("state", lambda each: f"{each['state_bytes'] / 1e6:,.2f} MB"),
)


def _show(result: dict[str, Any]) -> None:
    file, labels = result["file"], result["labels"]
    figures = [(name, *(told(each) for each in result["detectors"])) for name, told in _FIGURES]
    show_table(("", *(each["detector"] for each in result["detectors"])), figures, title="Detectors")
    refused = result["refused"]
    typer.echo(
        f"{file['lines']:,} lines = {result['payments']:,} payments + {result['duplicates']:,} duplicates "
        f"+ {sum(refused.values()):,} refused{by_reason(refused)}"
    )
    if file["first_day"]:
        typer.echo(
            f"{file['first_day']} to {file['last_day']} ({result['timezone']}), {result['models']:,} models, "
            f"one for each {result['partition_by']}; the last {result['scored']:,} payments are counted"
        )
    if labels is None:
        typer.echo("without labels: only rates of alerts, time and memory")
    else:
        typer.echo(
            f"{labels['labelled']:,} payments are labelled; of those that are counted, {labels['known']:,} have an "
            f"answer and {labels['wrong']:,} are wrong"
        )
    for each in result["detectors"]:
        if each["not_finite"]:
            typer.echo(f"{each['detector']}: {each['not_finite']:,} scores were not finite, and taken as 0")


def _show_explanation(result: dict[str, Any], language: Language) -> None:
    from treasury_watch.engine.anomaly.calibration import WARM

    score, p_value, learned = result["score"], result["p_value"], result["learned"]
    if p_value is None:
        zh = f"异常分 {score:.4g}；此前学习 {learned:,} 笔，满 {WARM:,} 笔才有 p 值"
        en = f"anomaly score {score:.4g}; no p-value before {WARM:,} payments are learned, here {learned:,}"
    else:
        verdict = "异常" if result["alert"] else "正常"
        zh = f"异常分 {score:.4g}，p 值 {p_value:.2g}（界限 {result['target']:g}）：{verdict}；此前学习 {learned:,} 笔"
        en = (
            f"anomaly score {score:.4g}, p-value {p_value:.2g} (limit {result['target']:g}): "
            f"{'an alert' if result['alert'] else 'no alert'}; {learned:,} payments are learned before it"
        )
    said = [(zh, en)]
    if result["creeping"]:
        said.append(("该单位的付款金额在缓慢抬高", "the amounts of this unit have slowly grown"))
    if not result["drivers"]:
        said.append(("没有异常之处", "nothing about it is odd"))
    for pair in said:
        for text, shown in zip(pair, (Language.zh, Language.en), strict=True):
            if language in (shown, Language.both):
                typer.echo(text)
    if result["drivers"]:
        rows = [
            (f"{each['share']:.0%}", each["feature"], f"{each['value']:.2f}", _reason(each, language))
            for each in result["drivers"]
        ]
        if language is Language.zh:
            show_table(("占比", "特征", "值", "原因"), rows, title="理由")
        else:
            show_table(("share", "feature", "value", "reason"), rows, title="Reasons")


def _reason(driver: dict[str, Any], language: Language) -> str:
    names = ("zh", "en") if language is Language.both else (language.value,)
    return "\n".join(driver[name] for name in names)
