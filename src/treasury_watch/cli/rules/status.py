"""`rules status`: which rules are live, worker by worker and partition by partition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from treasury_watch.cli.console import Json, emit_json, note, show_table
from treasury_watch.cli.kafka import settings_of_environment, talking
from treasury_watch.cli.rules.bundling import configured_approvals

if TYPE_CHECKING:
    from treasury_watch.adapters.kafka.control.status import PartitionStatus, Status

_SHOWN = slice(7, 19)  # of a hash: twelve digits, which `rules rollback` takes, too


def status(as_json: Json = False) -> None:
    """Shows by what each partition is judged, since when, and what is not used.

    Exit status 1 when a partition is not judged by the current rule set, or does not use something newer.
    """
    from treasury_watch.adapters.kafka.control import status as statuses

    settings = settings_of_environment()
    approvals = configured_approvals(settings)
    found = talking(lambda: statuses.status(settings, approvals))
    if as_json:
        emit_json({"signatures_required": approvals.required, **_json(found)})
    else:
        _show(found, signed=approvals.required)
    if found.behind:
        raise typer.Exit(1)


def _show(found: Status, *, signed: bool) -> None:
    current = found.current
    if current is None:
        typer.echo("no rule set is published")
    else:
        how = {"published": "published", "directory": "from a worker's directory", "rollback": "rolled back to"}
        signers = f", signed by {' and '.join(current.signers)}" if current.signers else ", not signed"
        typer.echo(f"current: {current.ruleset}, {how[current.origin]} at offset {current.offset}{signers}")
    if not signed:
        typer.echo("no keys are configured here: nothing needs a signature")
    rows = [
        (
            str(each.partition),
            each.worker or "-",
            each.standing.published[_SHOWN] if each.standing else "-",
            each.standing.reference_hash[_SHOWN] if each.standing else "-",
            "-" if each.since is None else str(each.since),
            (each.applied_at or "-")[:16].replace("T", " "),
        )
        for each in found.partitions
    ]
    show_table(("", "worker", "rules", "tables", "from payment", "since (UTC)"), rows, title="Live")
    for each in found.behind:
        for topic, offset, reason in each.refused:
            note(f"partition {each.partition}: offset {offset} of {topic} is not used: {reason}")
        if not each.refused:
            note(f"partition {each.partition} is not judged by the current rule set")


def _json(found: Status) -> dict[str, Any]:
    current = found.current
    return {
        "current": None
        if current is None
        else {
            "ruleset": current.ruleset,
            "offset": current.offset,
            "origin": current.origin,
            "signers": list(current.signers),
        },
        "partitions": [_partition(each) for each in found.partitions],
        "behind": [each.partition for each in found.behind],
    }


def _partition(found: PartitionStatus) -> dict[str, Any]:
    standing = found.standing
    return {
        "partition": found.partition,
        "worker": found.worker,
        "ruleset": standing and standing.ruleset,
        "reference": standing and standing.reference_hash,
        "rules_offset": standing and standing.rules.offset,
        "reference_offset": standing and standing.reference and standing.reference.offset,
        "first": found.since,
        "applied_at": found.applied_at,
        "refused": [{"topic": topic, "offset": offset, "reason": reason} for topic, offset, reason in found.refused],
    }
