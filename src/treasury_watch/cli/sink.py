"""`sink`: cases into PostgreSQL."""

from __future__ import annotations

import typer

from treasury_watch.cli.console import failing_on
from treasury_watch.cli.kafka import settings_of_environment


def register(app: typer.Typer) -> None:
    app.command()(sink)


def sink() -> None:
    """Writes decisions, cases, refusals and dispositions to PostgreSQL until it is told to stop."""
    import asyncio

    from treasury_watch.adapters.cases.database import DatabaseError
    from treasury_watch.adapters.cases.service import SinkError, run_sink
    from treasury_watch.adapters.cases.sink import SourceLost
    from treasury_watch.adapters.kafka.connection import BrokerError

    settings = settings_of_environment()
    with failing_on(BrokerError, DatabaseError, SinkError, SourceLost):
        asyncio.run(run_sink(settings))
