"""`audit`: one old decision, derived again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treasury_watch.cli.console import Json, emit_json, failing_on, on_one_line, progress, show_table
from treasury_watch.cli.kafka import settings_of_environment, talking
from treasury_watch.cli.rules.arguments import Language
from treasury_watch.cli.rules.bundling import configured_approvals

if TYPE_CHECKING:
    from treasury_watch.adapters.kafka.control.auditing import Audited


def register(app: typer.Typer) -> None:
    app.command()(audit)


def audit(
    decision_id: Annotated[str, typer.Argument(metavar="DECISION_ID", help="As in the decision.")],
    language: Annotated[Language, typer.Option("--lang", help="The language of titles, reasons and words.")] = (
        Language.both
    ),
    as_json: Json = False,
) -> None:
    """Derives an old decision again, from the payments and by the rules, tables and dispositions of that moment.

    Exit status 1 when it does not come out as it was published.
    """
    from treasury_watch.adapters.kafka.control.auditing import NoDecision
    from treasury_watch.adapters.kafka.control.auditing import audit as derive

    settings = settings_of_environment()
    approvals = configured_approvals(settings)
    with failing_on(NoDecision), progress("judge", None) as done:
        found = talking(lambda: derive(settings, approvals, decision_id, lambda at, _: done(at)))
    if as_json:
        emit_json(_json(found))
    else:
        _show(found, language.value)
    if not found.equal:
        raise typer.Exit(1)


def _show(found: Audited, language: str) -> None:
    from treasury_watch.cli.rules.tree import detail_lines, show, summary_lines

    standing, published = found.standing, found.published
    typer.echo(
        f"instruction {on_one_line(str(published.get('instruction_id')))}: {published.get('verdict')}, decided at "
        f"{found.decided_at}; payment {found.offset} of partition {found.partition}"
    )
    reference = f"offset {standing.reference.offset} of {standing.reference.topic}" if standing.reference else "none"
    typer.echo(f"rules: {standing.ruleset}, offset {standing.rules.offset} of {standing.rules.topic}")
    typer.echo(f"published tables: {reference}; judged so from payment {found.since} on")
    for each in found.rules:
        typer.echo("")
        typer.echo(each.text)
        typer.echo("")
        show(summary_lines(each.explanation, language))  # type: ignore[arg-type]
        show(detail_lines(each.explanation, language))  # type: ignore[arg-type]
    typer.echo("")
    if found.derived is None:
        typer.echo(f"different: no decision comes out, {on_one_line(found.why)}")
    elif found.equal:
        typer.echo("equal: what comes out is what was published")
    else:
        rows = [(name, _plain(was), _plain(now)) for name, was, now in found.differences]
        show_table(("field", "published", "derived"), rows, title="Different")


def _plain(value: Any) -> str:
    return on_one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _json(found: Audited) -> dict[str, Any]:
    from treasury_watch.adapters.explanation import as_json

    standing = found.standing
    return {
        "equal": found.equal,
        "partition": found.partition,
        "offset": found.offset,
        "decided_at": found.decided_at,
        "published": found.published,
        "derived": found.derived,
        "why": found.why or None,
        "differences": [{"field": name, "published": was, "derived": now} for name, was, now in found.differences],
        "judged_by": {
            "ruleset": standing.ruleset,
            "reference": standing.reference_hash,
            "rules_offset": standing.rules.offset,
            "reference_offset": standing.reference.offset if standing.reference else None,
            "first": found.since,
        },
        "rules": [{"id": each.rule.id, "text": each.text, **as_json(each.explanation)} for each in found.rules],
    }
