"""Writing rows so that nothing is lost or doubled, whatever is killed.

A batch is one transaction: its rows go by COPY into temporary tables and from there into the tables, where a position
on Kafka that is there already is left alone; what people decided goes to the cases; and with it the next offset of each
partition. So a batch is there whole or not at all, and whoever goes on reads on from exactly there. Doing it twice, or
by two writers at once, changes nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import psycopg
from psycopg import sql

from treasury_watch.adapters.cases.database import SCHEMA, told
from treasury_watch.adapters.cases.rows import COLUMNS, Reading, Record, Row, unreadable

Place = tuple[str, int]  # topic and partition

_LOCK: Final = 7_246_004  # any number, the same for all who write
_REFUSED: Final = (
    "22",
    "23",
    "54",
)  # SQLSTATE classes: data exception, constraint, a limit such as an index row's size

# One writer at a time: what people decided and the case that they decided come on different topics, and whoever writes
# the second one has to see the first.
_ALONE: Final = f"SELECT pg_advisory_xact_lock({_LOCK})"
_STAGE: Final = {name: f"staged_{name}" for name in COLUMNS}

# The last disposition of each case that this batch has to do with; the same disposition_id again is the same one.
_ANSWER: Final = f"""
WITH touched AS (
    SELECT jurisdiction, instruction_id FROM {_STAGE["payment_case"]}
    UNION SELECT jurisdiction, instruction_id FROM {_STAGE["disposition"]}
), last AS (
    SELECT DISTINCT ON (given.jurisdiction, given.instruction_id) given.*
    FROM {SCHEMA}.disposition AS given JOIN touched USING (jurisdiction, instruction_id)
    WHERE NOT EXISTS (
        SELECT FROM {SCHEMA}.disposition AS earlier
        WHERE earlier.jurisdiction = given.jurisdiction AND earlier.instruction_id = given.instruction_id
            AND earlier.disposition_id = given.disposition_id AND earlier.source_offset < given.source_offset
    )
    ORDER BY given.jurisdiction, given.instruction_id, given.source_offset DESC
)
UPDATE {SCHEMA}.payment_case AS answered
SET disposition = last.disposition, disposed_at = last.decided_at, disposed_by = last.decided_by,
    disposition_reason = last.reason, label = last.label, disposition_offset = last.source_offset
FROM last
WHERE answered.jurisdiction = last.jurisdiction AND answered.instruction_id = last.instruction_id
    AND answered.disposition_offset IS DISTINCT FROM last.source_offset
"""
_PROGRESS: Final = f"""
INSERT INTO {SCHEMA}.progress AS known VALUES (%s, %s, %s, now())
ON CONFLICT (source_topic, source_partition) DO UPDATE
SET next_offset = greatest(known.next_offset, excluded.next_offset), written_at = excluded.written_at
"""


class Away(Exception):
    """The database does not answer, or not as it should; time or an operator may mend that. One line that says why."""


@dataclass(slots=True)
class Written:
    """What a batch added: rows by table, those left out that were there already."""

    rows: Counter[str] = field(default_factory=Counter)


class Store:
    """The writer's connection; it is made when it is needed, and made anew after an error."""

    def __init__(self, parameters: Mapping[str, Any], reading: Reading) -> None:
        self._parameters = dict(parameters)
        self._reading = reading
        self._connection: psycopg.AsyncConnection | None = None
        self._months: set[date] = set()

    async def positions(self) -> dict[Place, int]:
        """The offset from which each partition is to be read; partitions of which nothing was written are not in it.

        Raises Away.
        """
        try:
            connection = await self._connected()
            query = f"SELECT source_topic, source_partition, next_offset FROM {SCHEMA}.progress"
            cursor = await connection.execute(_sql(query))
            return {(topic, partition): offset async for topic, partition, offset in cursor}
        except psycopg.Error as error:
            raise await self._away(error) from error

    async def write(self, records: Sequence[Record]) -> Written:
        """Writes records, those of a partition in order. Raises Away, after which they are to be written again.

        A record that the database refuses, such as one with a text too long for an index, becomes unreadable.
        """
        written = Written()
        await self._write(records, [self._reading.row(each) for each in records], written)
        return written

    async def close(self) -> None:
        """Ends the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _write(self, records: Sequence[Record], rows: Sequence[Row], written: Written) -> None:
        try:
            connection = await self._connected()
            await self._make_months(connection, {row.day.replace(day=1) for row in rows})
        except psycopg.Error as error:
            raise await self._away(error) from error
        try:
            written.rows += await _transaction(connection, records, rows)
        except psycopg.Error as error:
            if not (error.sqlstate or "").startswith(_REFUSED) or (rows[0].table == "unreadable" and len(rows) == 1):
                raise await self._away(error) from error
            if len(rows) == 1:
                await self._write(records, [unreadable(records[0], told(error))], written)
                return
            half = len(rows) // 2
            await self._write(records[:half], rows[:half], written)
            await self._write(records[half:], rows[half:], written)

    async def _make_months(self, connection: psycopg.AsyncConnection, months: set[date]) -> None:
        """Partitions are made before the batch, whose transaction would else keep readers out to its end."""
        for month in sorted(months - self._months):
            async with connection.transaction():
                await connection.execute(_sql(_ALONE))
                await connection.execute(_sql(f"SELECT {SCHEMA}.make_month(%s)"), [month])
            self._months.add(month)

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None:
            connection = await psycopg.AsyncConnection.connect(**self._parameters, autocommit=True)
            self._connection = connection
            self._months.clear()
            for table, stage in _STAGE.items():
                wanted = f"CREATE TEMPORARY TABLE {stage} (LIKE {SCHEMA}.{table}) ON COMMIT DELETE ROWS"
                await connection.execute(_sql(wanted))
        return self._connection

    async def _away(self, error: psycopg.Error) -> Away:
        await self.close()
        return Away(told(error))


async def _transaction(
    connection: psycopg.AsyncConnection, records: Sequence[Record], rows: Sequence[Row]
) -> Counter[str]:
    tables: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        tables[row.table].append(row)
    following = {(record.topic, record.partition): record.offset + 1 for record in records}
    added: Counter[str] = Counter()
    async with connection.transaction(), connection.cursor() as cursor:
        await cursor.execute(_sql(_ALONE))
        for table, found in tables.items():
            columns = ", ".join(COLUMNS[table])
            async with cursor.copy(_sql(f"COPY {_STAGE[table]} ({columns}) FROM STDIN")) as copy:
                for row in found:
                    await copy.write_row(row.values)
            await cursor.execute(
                _sql(
                    f"INSERT INTO {SCHEMA}.{table} ({columns}) SELECT {columns} FROM {_STAGE[table]} "
                    "ON CONFLICT DO NOTHING"
                )
            )
            added[table] = cursor.rowcount
        if "payment_case" in tables or "disposition" in tables:
            await cursor.execute(_sql(_ANSWER))
        await cursor.executemany(_sql(_PROGRESS), [(*place, offset) for place, offset in sorted(following.items())])
    return added


def _sql(text: str) -> sql.SQL:
    """A query that is made of names of ours only."""
    return sql.SQL(text)
