"""The tables, views and roles of cases: made, brought up to date, and taken away again, by yoyo from `migrations`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI

from treasury_watch.adapters.cases.database import SCHEMA, DatabaseError, parameters, told
from treasury_watch.adapters.settings import Settings

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 7_246_003  # any number, the same for all who migrate


def migrate(settings: Settings) -> list[str]:
    """Brings the database up to date; the names of the steps that were taken. Raises DatabaseError.

    Each step is one transaction, and whoever is killed in between goes on the next time. The login has to own the
    database, and to be allowed to make roles unless they are there.
    """
    with migrating(settings) as (backend, migrations):
        steps = backend.to_apply(migrations)
        names = [each.id for each in steps]
        backend.apply_migrations(steps)
    return names


def unmake(settings: Settings) -> list[str]:
    """Takes back all steps, the rows with them; the names of the steps. Roles stay. Raises DatabaseError."""
    with migrating(settings) as (backend, migrations):
        steps = backend.to_rollback(migrations)
        names = [each.id for each in steps]
        backend.rollback_migrations(steps)
    return names


@contextmanager
def migrating(settings: Settings) -> Iterator[tuple[Any, Any]]:
    """Yoyo's backend and the steps, while nobody else migrates. Raises DatabaseError."""
    given = parameters(settings)
    try:
        # The lock is this connection's: yoyo's own is a row, which stays when its process is killed.
        with psycopg.connect(**given, autocommit=True) as guard:
            guard.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            guard.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            uri = DatabaseURI("postgresql+psycopg", None, None, None, None, None, {**given, "schema": SCHEMA})
            backend = PostgresqlPsycopgBackend(uri, "_yoyo_migration")
            try:
                backend.init_database()
                yield backend, read_migrations(str(_MIGRATIONS))
            finally:
                backend.connection.close()
    except psycopg.Error as error:
        raise DatabaseError(told(error)) from error
