"""Dropping old months of cases. What is dropped here is still on Kafka, for as long as that is kept there."""

from __future__ import annotations

from datetime import date
from itertools import groupby
from typing import Final

import psycopg
from psycopg import sql

from treasury_watch.adapters.cases.database import SCHEMA, DatabaseError, parameters, told
from treasury_watch.adapters.cases.rows import COLUMNS
from treasury_watch.adapters.settings import Settings

_PARTITIONS: Final = (
    "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relispartition AND relkind = 'r' "
    "AND relname ~ '_[0-9]{4}_[0-9]{2}$' ORDER BY right(relname, 7), relname"
)
_HELD: Final = (
    f"SELECT count(*) FROM {SCHEMA}.payment_case WHERE day < %s AND disposition IS NULL "
    "AND verdict IN ('intercept', 'prohibit')"
)
_FORGOTTEN: Final = (
    f"DELETE FROM {SCHEMA}.early_disposition AS early WHERE NOT EXISTS (SELECT FROM {SCHEMA}.disposition AS given "
    "WHERE given.jurisdiction = early.jurisdiction AND given.instruction_id = early.instruction_id)"
)


def prune(settings: Settings, before: date) -> list[str]:
    """Drops the months that end before the month of a day, and the rows of odd dates before that; the names of what
    was dropped. Needs the owner's login. Raises DatabaseError, also where a payment of that time is still held, and
    then nothing is dropped.

    Each month is a transaction of its own, the oldest first: what is interrupted is done again. All of them in one
    would need more locks than a server has, and keep everybody out of the tables meanwhile.
    """
    first = before.replace(day=1)
    try:
        with psycopg.connect(**parameters(settings), autocommit=True) as connection:
            held = connection.execute(sql.SQL(_HELD), [first]).fetchone()
            if held and held[0]:
                raise DatabaseError(
                    f"{held[0]:,} payments from before {first} are held and not decided: decide them first"
                )
            names = [name for (name,) in connection.execute(sql.SQL(_PARTITIONS), [SCHEMA])]
            old = [name for name in names if name[-7:] < f"{first:%Y_%m}"]
            for _, month in groupby(old, lambda name: name[-7:]):
                tables = sql.SQL(", ").join(sql.Identifier(SCHEMA, name) for name in month)
                connection.execute(sql.SQL("DROP TABLE {}").format(tables))
            with connection.transaction():
                for table in COLUMNS:
                    connection.execute(sql.SQL(f"DELETE FROM {SCHEMA}.{table}_elsewhen WHERE day < %s"), [first])
                connection.execute(sql.SQL(_FORGOTTEN))
    except psycopg.Error as error:
        raise DatabaseError(told(error)) from error
    return old
