"""Commands on reference data: `reference sign`, `reference publish`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from treasury_watch.cli.console import Failure, Json, emit_json, failing_on, note
from treasury_watch.cli.kafka import settings_of_environment, talking
from treasury_watch.cli.rules.bundling import As, Key, Out, configured_approvals, signing_key

if TYPE_CHECKING:
    from treasury_watch.adapters.approvals import Approvals
    from treasury_watch.adapters.kafka.control.reference import TableMessage
    from treasury_watch.adapters.settings import Settings

Source = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="The rows as CSV, or a file that `reference sign` wrote.")
]
TableName = Annotated[
    str | None, typer.Option("--table", metavar="NAME", help="The table; without it, as the file is called.")
]
Changes = Annotated[
    bool, typer.Option("--changes", help="The rows are added, or take the place of those that they name; others stay.")
]
Retired = Annotated[
    Path | None, typer.Option("--retired", metavar="CSV", help="With --changes: rows that go; their key will do.")
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Reference data for all workers: sign it, publish it.")
    group.command()(sign)
    group.command()(publish)
    app.add_typer(group, name="reference")


def sign(
    source: Source,
    key: Key,
    role: As,
    out: Out,
    table: TableName = None,
    changes: Changes = False,
    retired: Retired = None,
    as_json: Json = False,
) -> None:
    """Signs rows of a table, for the place behind the last ones that were published of it.

    A file that is there already keeps the other signature, if it makes the same table.
    """
    import msgspec

    from treasury_watch.adapters.approvals import ROLES, signed
    from treasury_watch.adapters.kafka.control.reference import encode, statement
    from treasury_watch.adapters.rulefiles import write

    if role not in ROLES:
        raise Failure(f"--as {role}: expected {' or '.join(ROLES)}")
    settings = settings_of_environment()
    message = _message(settings, configured_approvals(settings), source, table, retired, changes=changes)
    if out.exists() and not (source.exists() and out.samefile(source)):
        before = _from_file(out)
        if statement(before) != statement(message):
            raise Failure(f"{out} makes another table, or one for another moment, than {source}: nothing is signed")
        message = before
    own = signing_key(key)
    message = msgspec.structs.replace(message, signatures=signed(message.signatures, statement(message), own, role))
    write(out, encode(message) + b"\n")
    lacking = [each for each in ROLES if each not in message.signatures]
    if as_json:
        emit_json(
            {
                "table": message.table,
                "result": message.result,
                "after": message.after,
                "signatures": {name: each.key for name, each in sorted(message.signatures.items())},
                "lacking": lacking,
            }
        )
        return
    typer.echo(f"{message.table} {message.result}: signed by {own.id} as {role}")
    typer.echo(f"{out}: {f'the {lacking[0]} has not signed yet' if lacking else 'author and approver have signed'}")


def publish(
    source: Source,
    table: TableName = None,
    changes: Changes = False,
    retired: Retired = None,
    as_json: Json = False,
) -> None:
    """Publishes rows of a table, whole or changes only: from now on they count instead of those of the rule set.

    Nothing is sent when the current rules cannot be read with them.
    """
    from treasury_watch.adapters.bundles import BundleError
    from treasury_watch.adapters.kafka.control.publishing import NotPublished, publish_table
    from treasury_watch.adapters.tables import TableError
    from treasury_watch.rules import RuleErrors

    settings = settings_of_environment()
    approvals = configured_approvals(settings)
    message = _message(settings, approvals, source, table, retired, changes=changes)
    if not approvals.required:
        note("no keys are configured (TREASURY_WATCH_AUTHOR_KEYS): workers take reference data without signatures")
    with failing_on(NotPublished, BundleError, RuleErrors, TableError):
        offset = talking(lambda: publish_table(settings, approvals, message))
    topic = settings.topic("reference")
    if as_json:
        emit_json({"table": message.table, "result": message.result, "topic": topic, "offset": offset})
    else:
        what = message.table if message.whole else f"changes of {message.table}"
        typer.echo(f"{what} published: offset {offset} of {topic}; `rules status` shows where it is live")


def _message(
    settings: Settings, approvals: Approvals, source: Path, table: str | None, retired: Path | None, *, changes: bool
) -> TableMessage:
    from treasury_watch.adapters.bundles import BundleError
    from treasury_watch.adapters.kafka.control.publishing import NotPublished, table_message
    from treasury_watch.adapters.tables import TableError
    from treasury_watch.rules import RuleErrors

    if retired is not None and not changes:
        raise Failure("--retired: rows are retired by --changes; a whole table has them no more")
    put = source.read_bytes()
    if put.lstrip().startswith(b"{"):
        if changes or table:
            raise Failure(f"{source} says itself which table it is and what changes")
        return _from_file(source)
    gone = None if retired is None else retired.read_bytes()
    with failing_on(NotPublished, BundleError, RuleErrors, TableError):
        name = table or source.name.partition(".")[0]
        return talking(lambda: table_message(settings, approvals, name, put, gone, changes=changes))


def _from_file(path: Path) -> TableMessage:
    from treasury_watch.adapters.kafka.control.reference import decode

    found = decode(path.read_bytes())
    if isinstance(found, str):
        raise Failure(f"{path}: {found}")
    return found
