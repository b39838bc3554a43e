"""`rules explain`: what a rule says of one payment, and the truth of every condition with its values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from treasury_watch.cli.console import Failure, Json, emit_json, failing_on, note, progress
from treasury_watch.cli.files import Rules
from treasury_watch.cli.rules.arguments import Language

if TYPE_CHECKING:
    from treasury_watch.adapters.explanation import Explained
    from treasury_watch.engine import Engine
    from treasury_watch.rules.schema import Rule, RuleSet


BOM = b"\xef\xbb\xbf"


def explain(
    rule_id: Annotated[str, typer.Argument(metavar="RULE", help="The id of a rule, of any mode.")],
    instruction: Annotated[
        Path | None, typer.Option(metavar="FILE", help="One instruction as JSON, judged on an empty history.")
    ] = None,
    on: Annotated[
        Path | None, typer.Option("--on", metavar="FILE", help="Instructions as JSON lines, may be gzipped.")
    ] = None,
    instruction_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Which of them; what stands before it is its history.")
    ] = None,
    rules: Rules = None,
    language: Annotated[Language, typer.Option("--lang", help="The language of titles, reasons and words.")] = (
        Language.both
    ),
    max_lateness_days: Annotated[
        int, typer.Option(min=0, max=3660, envvar="TREASURY_WATCH_MAX_LATENESS_DAYS", help="As the worker has it.")
    ] = 31,
    as_json: Json = False,
) -> None:
    """Shows the truth of every condition of a rule for one payment, with values, windows and what would have changed
    it.
    """
    from datetime import timedelta

    from treasury_watch.adapters.explanation import as_json as json_of
    from treasury_watch.adapters.explanation import decision_as_json
    from treasury_watch.adapters.rulefiles import default_rules, load
    from treasury_watch.engine import Engine, Program
    from treasury_watch.engine.explain import explainable
    from treasury_watch.rules import RuleErrors

    given = (instruction is not None, on is not None, instruction_id is not None)
    if given not in ((True, False, False), (False, True, True)):
        raise Failure("give either --instruction FILE, or --on FILE and --instruction-id ID")
    with failing_on(RuleErrors):
        ruleset = load(rules or default_rules())
    rule = _rule(ruleset, rule_id)
    program = Program(explainable(ruleset, rule_id), max_lateness=timedelta(days=max_lateness_days))
    engine = Engine(program)
    if instruction is not None:
        found = _alone(engine, rule, instruction)
    else:
        assert on is not None
        assert instruction_id is not None
        found = _in_file(engine, rule, on, instruction_id)
    if as_json:
        emit_json(json_of(found.explanation) | {"decision": decision_as_json(found.decision)})
    else:
        _show(found, language.value)


def _rule(ruleset: RuleSet, rule_id: str) -> Rule:
    from treasury_watch.rules.diagnostics import did_you_mean

    for rule in ruleset.rules:
        if rule.id == rule_id:
            return rule
    raise Failure(f"there is no rule `{rule_id}`; {did_you_mean(rule_id, [rule.id for rule in ruleset.rules])}")


def _alone(engine: Engine, rule: Rule, path: Path) -> Explained:
    from treasury_watch.adapters.explanation import Unexplained, explained
    from treasury_watch.adapters.wire import MAX_BYTES, decode
    from treasury_watch.domain.verdict import Refusal

    with path.open("rb") as file:
        decoded = decode(file.read(MAX_BYTES + len(BOM) + 1).removeprefix(BOM))
    if isinstance(decoded, Refusal):
        raise Failure(f"{path}: {decoded.reason}: {decoded.detail}")
    with failing_on(Unexplained):
        return explained(engine, rule, decoded)


def _in_file(engine: Engine, rule: Rule, path: Path, instruction_id: str) -> Explained:
    from treasury_watch.adapters.explanation import Unexplained, explained, feed, find
    from treasury_watch.adapters.jsonl import Lines, UnreadableFile

    if (path.exists() and not path.is_file()) or str(path) == "-":
        raise Failure(f"{path}: it is read twice, so it must be a file")
    with failing_on(UnreadableFile, Unexplained):
        with Lines(path) as lines, progress(f"find {instruction_id}", lines.size, in_bytes=True) as done:
            found = find(lines, instruction_id, lambda: done(lines.position))
        with Lines(path) as lines, progress("history", found.line) as done:
            fed = feed(engine, lines, found, done)
        result = explained(engine, rule, found.instruction)
    note(f"line {found.line:,} of {path.name}, {fed:,} before it in the same partition judged")
    return result


def _show(found: Explained, language: str) -> None:
    from treasury_watch.cli.rules.tree import detail_lines, show, summary_lines, verdict_line

    show(summary_lines(found.explanation, language))  # type: ignore[arg-type]
    show(detail_lines(found.explanation, language))  # type: ignore[arg-type]
    show([verdict_line(found.decision, language)])  # type: ignore[arg-type]
