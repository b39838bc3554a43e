"""Commands on what people decide: `disposition send`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from treasury_watch.cli.console import Failure, Json, emit_json
from treasury_watch.cli.kafka import settings_of_environment, talking


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="What a person decided about a held or warned payment.")
    group.command()(send)
    group.callback()(lambda: None)  # a group, though it has one command
    app.add_typer(group, name="disposition")


def send(
    instruction: Annotated[str, typer.Option("--instruction", metavar="ID", help="The payment instruction.")],
    jurisdiction: Annotated[str, typer.Option("--jurisdiction", metavar="CODE", help="Its jurisdiction.")],
    decision: Annotated[str, typer.Option("--decision", metavar="ID", help="The decision that is answered.")],
    disposition: Annotated[str, typer.Option("--as", metavar="WORD", help="release, return or confirm.")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who decided.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")],
    label: Annotated[
        str | None, typer.Option("--label", metavar="WORD", help="true_alarm or false_alarm: was the warning right?")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="VALUE", help="The partition-key value, where that is not the jurisdiction."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Sends what a person decided about a held or warned payment to the workers, which count it from now on."""
    from uuid import uuid4

    from pydantic import ValidationError

    from treasury_watch.adapters.kafka.control.topic import send as send_record
    from treasury_watch.adapters.kafka.control.topic import there
    from treasury_watch.adapters.kafka.partitioner import partitioner_of
    from treasury_watch.adapters.messages import DispositionMessage

    settings = settings_of_environment()
    try:
        message = DispositionMessage(
            disposition_id=str(uuid4()),
            instruction_id=instruction,
            jurisdiction=jurisdiction,
            decision_id=decision,
            disposition=disposition,  # type: ignore[arg-type]
            decided_by=by,
            decided_at=datetime.now().astimezone(),
            reason=reason,
            label=label,  # type: ignore[arg-type]
        )
    except ValidationError as error:
        raise Failure("\n".join(_complaint(each) for each in error.errors())) from None
    key_bytes = (key or jurisdiction).encode()
    partition = partitioner_of(settings.partitioner, settings.partitions)(key_bytes)

    async def sending() -> int:
        await there(settings, "dispositions")
        return await send_record(settings, "dispositions", key_bytes, message.model_dump_json().encode(), partition)

    offset = talking(sending)
    topic = settings.topic("dispositions")
    if as_json:
        emit_json({"disposition_id": message.disposition_id, "topic": topic, "partition": partition, "offset": offset})
    else:
        typer.echo(f"{disposition} of {instruction}: {message.disposition_id}, offset {offset} of {topic}[{partition}]")


_OPTIONS = {
    "instruction_id": "--instruction",
    "jurisdiction": "--jurisdiction",
    "decision_id": "--decision",
    "disposition": "--as",
    "decided_by": "--by",
    "label": "--label",
}


def _complaint(error: Any) -> str:
    name = str(error["loc"][0])
    return f"{_OPTIONS.get(name, name)}: {error['msg']}, found {str(error['input'])[:100]!r}"
