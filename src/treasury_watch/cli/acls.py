"""`acls list`, `acls create`: who may do what on the brokers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from treasury_watch.cli.console import Failure, Json, emit_json, note
from treasury_watch.cli.kafka import settings_of_environment, talking

if TYPE_CHECKING:
    from treasury_watch.adapters.acls import Role
    from treasury_watch.adapters.kafka.acls import Entry

Principals = Annotated[
    list[str] | None,
    typer.Option(
        "--principal",
        metavar="ROLE=PRINCIPAL",
        help="Who has the role, as brokers call it, if not User:ROLE; may be repeated, also for a role.",
    ),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Who may do what on the brokers, by role.")
    group.command("list")(list_acls)
    group.command("create")(create)
    app.add_typer(group, name="acls")


def list_acls(named: Principals = None, as_json: Json = False) -> None:
    """The rights of every role, for these topics and this group; asks no broker."""
    from treasury_watch.adapters.acls import rights

    settings, principals = settings_of_environment(), _principals(named)
    table = list(rights(settings.topic_prefix, settings.group))
    if as_json:
        emit_json(
            [
                {
                    "role": right.role,
                    "principals": principals[right.role],
                    "resource": right.resource,
                    "name": right.name,
                    "pattern": "prefixed" if right.prefixed else "literal",
                    "operations": list(right.operations),
                }
                for right in table
            ]
        )
        return
    for right in table:
        name = right.name + ("…" if right.prefixed else "")
        operations = ", ".join(right.operations)
        for principal in principals[right.role]:
            typer.echo(f"{principal:<20}  {right.resource:<16}  {name:<34}  {operations}")


def create(named: Principals = None, as_json: Json = False) -> None:
    """Creates the ACLs that are missing; takes none away. Exit status 1 when somebody may do more than listed."""
    from treasury_watch.adapters.kafka import acls

    settings, principals = settings_of_environment(), _principals(named)
    report = talking(lambda: acls.create_acls(settings, principals))
    if as_json:
        emit_json(
            {
                "created": [_row(each) for each in report.created],
                "existing": [_row(each) for each in report.existing],
                "unexpected": [_row(each) for each in report.unexpected],
            }
        )
    else:
        for entry in report.created:
            typer.echo(f"created {entry}")
        typer.echo(f"{len(report.created):,} created, {len(report.existing):,} were there")
    for entry in report.unexpected:
        note(f"not in the list: {entry}")
    if report.unexpected:
        raise typer.Exit(1)


def _row(entry: Entry) -> dict[str, object]:
    return {
        "principal": entry.principal,
        "resource": entry.resource,
        "name": entry.name,
        "pattern": "prefixed" if entry.prefixed else "literal",
        "operation": entry.operation,
    }


def _principals(named: list[str] | None) -> dict[Role, Sequence[str]]:
    from treasury_watch.adapters.acls import ROLES, principals

    given: dict[Role, list[str]] = {}
    for each in named or ():
        role, _, principal = each.partition("=")
        kind, _, name = principal.partition(":")
        if role not in ROLES or not (kind and name):
            raise Failure(
                f"--principal {each}: expected ROLE=PRINCIPAL, such as worker=User:tw-worker; roles are "
                f"{', '.join(ROLES)}"
            )
        given.setdefault(role, []).append(principal)
    return principals(given)
