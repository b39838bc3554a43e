"""`verify`: whether verdicts were signed by who should have signed them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from treasury_watch.cli.console import Failure, Json, emit_json, failing_on, note, on_one_line, progress
from treasury_watch.cli.kafka import settings_of_environment, talking

if TYPE_CHECKING:
    from treasury_watch.adapters.verification import Verified, Verifier

SHOWN = 10
WORDS = {
    "verified": "verified",
    "unsigned": "not signed",
    "unknown_key": "signed with another key",
    "wrong_signature": "changed or forged",
}


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(
    keys: Annotated[
        list[Path], typer.Option("--key", metavar="PATH", help="A public key, or a directory of them; may be repeated.")
    ],
    source: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Records as kcat -J writes them, - is stdin; without it those on Kafka."),
    ] = None,
    signature: Annotated[
        str | None,
        typer.Option(
            "--signature", metavar="TEXT", help="FILE is one decision, byte for byte, and this its signature."
        ),
    ] = None,
    instructions: Annotated[
        list[str] | None,
        typer.Option("--instruction", metavar="ID", help="Only verdicts on these; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Verifies the signatures of decisions, intercepts and warnings. Exit status 1 when one is not good."""
    from treasury_watch.adapters.jsonl import UnreadableFile
    from treasury_watch.adapters.secretfiles import SecretFileError
    from treasury_watch.adapters.signatures import read_verifying_keys
    from treasury_watch.adapters.verification import BadEnvelope, Verifier, envelopes

    if signature and source is None:
        raise Failure("--signature: expected a FILE with the decision that it signs")
    with failing_on(SecretFileError):
        trusted = read_verifying_keys(keys)
    bad: list[Verified] = []  # all of them for machines only: there may be millions

    def keep(verified: Verified) -> None:
        if as_json or len(bad) < SHOWN:
            bad.append(verified)

    verifier = Verifier(trusted, keep, instructions or ())
    if source is None:
        _from_topics(verifier)
    elif signature:
        verifier.take_alone(str(source), source.read_bytes().rstrip(b"\r\n"), signature)
    else:
        with failing_on(BadEnvelope, UnreadableFile):
            for record in envelopes(source):
                verifier.take(*record)
    _show(verifier, bad, as_json)
    if bad or verifier.unseen:
        raise typer.Exit(1)


def _from_topics(verifier: Verifier) -> None:
    from treasury_watch.adapters.kafka.verifying import verdict_records

    settings = settings_of_environment()

    async def read() -> None:
        with progress("verify", None) as done:
            count = 0
            async for record in verdict_records(settings):
                verifier.take(f"{record.topic} {record.partition}:{record.offset}", record.value, record.headers)
                count += 1
                done(count)

    talking(read)


def _show(verifier: Verifier, bad: list[Verified], as_json: bool) -> None:
    from treasury_watch.adapters.verdictsigning import FINDINGS

    counts = {finding: verifier.findings[finding] for finding in FINDINGS}
    if as_json:
        emit_json(
            {
                **counts,
                "by_key": dict(sorted(verifier.by_key.items())),
                "bad": [each._asdict() for each in bad],
                "not_found": sorted(verifier.unseen),
            }
        )
        return
    for each in bad:
        told = f"{each.where}  {each.instruction_id or 'no instruction_id'}  {WORDS[each.finding]}"
        note(on_one_line(f"{told} ({each.key})" if each.finding == "unknown_key" else told))
    more = verifier.findings.total() - verifier.findings["verified"] - len(bad)
    if more:
        note(f"… and {more:,} more; --json lists all")
    for instruction in sorted(verifier.unseen):
        note(on_one_line(f"{instruction}: no verdict on it was found"))
    told = ", ".join(f"{count:,} {WORDS[finding]}" for finding, count in counts.items() if count)
    keys = ", ".join(f"{count:,} by {key}" for key, count in sorted(verifier.by_key.items()))
    total = verifier.findings.total()
    typer.echo(
        f"{total:,} verdict{'' if total == 1 else 's'}{f': {told}' if told else ''}{f' ({keys})' if keys else ''}"
    )
