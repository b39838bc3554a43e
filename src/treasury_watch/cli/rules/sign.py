"""`rules sign`: an author's or approver's signature on a rule set."""

from __future__ import annotations

import typer

from treasury_watch.cli.console import Failure, Json, emit_json
from treasury_watch.cli.rules.bundling import As, Key, Out, Source, bundle_from, signing_key


def sign(source: Source, key: Key, role: As, out: Out, as_json: Json = False) -> None:
    """Signs a rule set, byte for byte. A file that is there already keeps the other signature, if it is of the same
    rules: so each of two people signs the directory that they have read.
    """
    import msgspec

    from treasury_watch.adapters.approvals import ROLES, signed
    from treasury_watch.adapters.bundles import encode, statement
    from treasury_watch.adapters.rulefiles import write

    if role not in ROLES:
        raise Failure(f"--as {role}: expected {' or '.join(ROLES)}")
    bundle, ruleset = bundle_from(source)
    if out.exists() and not (source.exists() and out.samefile(source)):
        before, _ = bundle_from(out)
        if statement(before) != statement(bundle):
            raise Failure(f"{out} holds other files, of {before.ruleset}, than {source}: nothing is signed")
        bundle = before
    own = signing_key(key)
    bundle = msgspec.structs.replace(bundle, signatures=signed(bundle.signatures, statement(bundle), own, role))
    write(out, encode(bundle) + b"\n")
    lacking = [each for each in ROLES if each not in bundle.signatures]
    if as_json:
        emit_json(
            {
                "ruleset": bundle.ruleset,
                "content": bundle.content,
                "rules": len(ruleset.rules),
                "signatures": {name: each.key for name, each in sorted(bundle.signatures.items())},
                "lacking": lacking,
            }
        )
        return
    typer.echo(f"{bundle.ruleset}, {len(ruleset.rules)} rules: signed by {own.id} as {role}")
    typer.echo(f"{out}: {f'the {lacking[0]} has not signed yet' if lacking else 'author and approver have signed'}")
