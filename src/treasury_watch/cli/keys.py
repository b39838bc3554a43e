"""`keys new`, `keys show`: key pairs with which decisions, rule sets and tables are signed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from treasury_watch.cli.console import Failure, Json, emit_json, failing_on


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Keys to sign with: make a pair, see which one it is.")
    group.command("new")(new)
    group.command("show")(show)
    app.add_typer(group, name="keys")


def new(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The private key; the public one is FILE.pub.")],
    as_json: Json = False,
) -> None:
    """Makes an Ed25519 key pair. Nothing is ever written over."""
    from treasury_watch.adapters.secretfiles import SecretFileError
    from treasury_watch.adapters.signatures import make_key_pair, public_file

    with failing_on(SecretFileError):
        key = make_key_pair(path)
    if as_json:
        emit_json({"key": key.id, "private": str(path), "public": str(public_file(path))})
    else:
        typer.echo(f"key {key.id}: {path} (keep it secret), {public_file(path)} (give it to who verifies)")


def show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A private or a public key.")], as_json: Json = False
) -> None:
    """Which key a file holds: its id, as it stands in signatures."""
    from treasury_watch.adapters.secretfiles import SecretFileError
    from treasury_watch.adapters.signatures import read_signing_key, read_verifying_key

    with failing_on(SecretFileError):
        try:
            key, kind = read_verifying_key(path).id, "public"
        except SecretFileError as no_public_key:
            if "found a private key" not in str(no_public_key):
                raise Failure(str(no_public_key)) from None
            key, kind = read_signing_key(path).id, "private"
    if as_json:
        emit_json({"key": key, "kind": kind})
    else:
        typer.echo(f"{key} ({kind})")
