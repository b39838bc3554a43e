"""How to connect to the database of the settings, and what it answers, in one line without its password."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from treasury_watch.adapters.secretfiles import SecretFileError
from treasury_watch.adapters.settings import PREFIX, Settings

SCHEMA: Final = "cases"
_DEFAULTS: Final = {
    "application_name": "treasury-watch",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",  # a server that went away without a word is noticed
    "options": "-c lock_timeout=10s",
}


class DatabaseError(Exception):
    """The database cannot be reached, or does not do what was asked: one line that says why, without a password."""


def parameters(settings: Settings) -> dict[str, Any]:
    """What psycopg connects with: what the address says, and our defaults for what it does not.

    Raises DatabaseError where no address is set, or it is none.
    """
    try:
        url = settings.database()
    except SecretFileError as error:
        raise DatabaseError(f"{PREFIX}DATABASE_URL_FILE: {error}") from error
    if not url:
        raise DatabaseError(
            f"{PREFIX}DATABASE_URL, {PREFIX}DATABASE_URL_FILE: expected one of them, which says where cases are kept"
        )
    try:
        return {**_DEFAULTS, **conninfo_to_dict(url)}
    except psycopg.Error:  # whose text may hold the password
        raise DatabaseError(
            f"{PREFIX}DATABASE_URL: expected an address such as postgresql://login:password@host:5432/name"
        ) from None


def told(error: psycopg.Error) -> str:
    """What the database says, in one line, with what to try where that is known."""
    text = " ".join((error.diag.message_primary or str(error)).split()) or type(error).__name__
    if isinstance(error, (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)):
        return f"{text}; try: treasury-watch cases migrate"
    return text
