"""Writing rows so that nothing is lost or doubled, whatever is killed.

A batch is one transaction: its rows go by COPY into the tables; what people decided goes to the cases; and with it the
next offset of each partition. So a batch is there whole or not at all, and whoever goes on reads on from there.
Doing it twice, or by two writers at once, changes nothing: records before the next offset are left out. And where a row
is there that should not be, as after `progress` was set back by hand, rows go by way of temporary tables, and a
position on Kafka that is there already is left alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import psycopg
from psycopg import sql

from treasury_watch.adapters.cases.database import SCHEMA, told
from treasury_watch.adapters.cases.rows import COLUMNS, Reading, Record, Row, unreadable

Place = tuple[str, int]  # topic and partition
Key = tuple[str, str]  # jurisdiction and instruction_id: what makes a payment out
Cursor = psycopg.AsyncCursor[tuple[Any, ...]]

_LOCK: Final = 7_246_004  # any number, the same for all who write
# Classes of SQLSTATE: data exception, constraint, a limit such as an index row's size.
_REFUSED: Final = ("22", "23", "54")

# One writer at a time: what people decided and the case that they decided come on different topics, and whoever writes
# the second one has to see the first.
_ALONE: Final = f"SELECT pg_advisory_xact_lock({_LOCK})"

_KEYS: Final = "unnest(%(jurisdictions)s::text[], %(instructions)s::text[]) AS touched (jurisdiction, instruction_id)"
_ANY_EARLY: Final = f"SELECT EXISTS (SELECT FROM {SCHEMA}.early_disposition)"  # hardly ever
# Those of these cases that were decided before they came.
_EARLY: Final = f"""
SELECT jurisdiction, instruction_id FROM {SCHEMA}.early_disposition JOIN {_KEYS} USING (jurisdiction, instruction_id)
"""
# The last disposition of each of these cases; the same disposition_id again is the same one. An id may come again with
# another payment, long after the first: the id of a decision begins with the fingerprint of the payment, in 32 digits.
_ANSWER: Final = f"""
WITH last AS (
    SELECT DISTINCT ON (given.jurisdiction, given.instruction_id, left(given.decision_id, 32)) given.*
    FROM {SCHEMA}.disposition AS given JOIN {_KEYS} USING (jurisdiction, instruction_id)
    WHERE NOT EXISTS (
        SELECT FROM {SCHEMA}.disposition AS earlier
        WHERE earlier.jurisdiction = given.jurisdiction AND earlier.instruction_id = given.instruction_id
            AND earlier.disposition_id = given.disposition_id AND earlier.source_offset < given.source_offset
    )
    ORDER BY given.jurisdiction, given.instruction_id, left(given.decision_id, 32), given.source_offset DESC
)
UPDATE {SCHEMA}.payment_case AS answered
SET disposition = last.disposition, disposed_at = last.decided_at, disposed_by = last.decided_by,
    disposition_reason = last.reason, label = last.label, disposition_offset = last.source_offset
FROM last
WHERE answered.jurisdiction = last.jurisdiction AND answered.instruction_id = last.instruction_id
    AND left(answered.decision_id, 32) = left(last.decision_id, 32)
    AND answered.disposition_offset IS DISTINCT FROM last.source_offset
"""
# What was decided of these and is not there yet is kept in mind; what came meanwhile is forgotten.
_KEEP_EARLY: Final = f"""
WITH early AS (
    SELECT DISTINCT given.jurisdiction, given.instruction_id
    FROM {SCHEMA}.disposition AS given JOIN {_KEYS} USING (jurisdiction, instruction_id)
    WHERE NOT EXISTS (
        SELECT FROM {SCHEMA}.payment_case AS there
        WHERE there.jurisdiction = given.jurisdiction AND there.instruction_id = given.instruction_id
            AND left(there.decision_id, 32) = left(given.decision_id, 32)
    )
), came AS (
    DELETE FROM {SCHEMA}.early_disposition AS known
    USING (SELECT jurisdiction, instruction_id FROM {_KEYS} EXCEPT SELECT * FROM early) AS there
    WHERE known.jurisdiction = there.jurisdiction AND known.instruction_id = there.instruction_id
)
INSERT INTO {SCHEMA}.early_disposition SELECT * FROM early ON CONFLICT DO NOTHING
"""
_POSITIONS: Final = f"SELECT source_topic, source_partition, next_offset FROM {SCHEMA}.progress"
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
            return await _positions(connection.cursor())
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
            await self._make_months(connection, {day.replace(day=1) for day in {row.day for row in rows}})
        except psycopg.Error as error:
            raise await self._away(error) from error
        try:
            written.rows += await _written(connection, records, rows)
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
                await connection.execute(sql.SQL(_ALONE))
                await connection.execute(sql.SQL(f"SELECT {SCHEMA}.make_month(%s)"), [month])
            self._months.add(month)

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None:
            connection = await psycopg.AsyncConnection.connect(**self._parameters, autocommit=True)
            self._connection = connection
            self._months.clear()
        return self._connection

    async def _away(self, error: psycopg.Error) -> Away:
        await self.close()
        return Away(told(error))


async def _written(connection: psycopg.AsyncConnection, records: Sequence[Record], rows: Sequence[Row]) -> Counter[str]:
    """How many rows came into each table. Raises psycopg.Error, after which nothing of them is there."""
    try:
        return await _transaction(connection, records, rows, _copied)
    except psycopg.errors.UniqueViolation:
        return await _transaction(connection, records, rows, _merged)


async def _transaction(
    connection: psycopg.AsyncConnection,
    records: Sequence[Record],
    rows: Sequence[Row],
    put: Callable[[Cursor, str, Sequence[Row]], Awaitable[int]],
) -> Counter[str]:
    async with connection.transaction(), connection.cursor() as cursor:
        await cursor.execute(sql.SQL(_ALONE))
        following = await _positions(cursor)
        tables: defaultdict[str, list[Row]] = defaultdict(list)
        for record, row in zip(records, rows, strict=True):
            place = record.topic, record.partition
            if record.offset >= following.get(place, 0):
                following[place] = record.offset + 1
                tables[row.table].append(row)
        added = Counter({table: await put(cursor, table, found) for table, found in tables.items()})
        await _answer(cursor, tables["disposition"], tables["payment_case"])
        places = dict.fromkeys((record.topic, record.partition) for record in records)
        await cursor.executemany(sql.SQL(_PROGRESS), [(*place, following[place]) for place in sorted(places)])
    return added


async def _positions(cursor: Cursor) -> dict[Place, int]:
    await cursor.execute(sql.SQL(_POSITIONS))
    return {(topic, partition): offset async for topic, partition, offset in cursor}


async def _copied(cursor: Cursor, table: str, rows: Sequence[Row], into: str | None = None) -> int:
    """Puts rows into a table that has none of them. Raises UniqueViolation where it has."""
    columns = ", ".join(COLUMNS[table])
    async with cursor.copy(sql.SQL(f"COPY {into or f'{SCHEMA}.{table}'} ({columns}) FROM STDIN")) as copy:
        for row in rows:
            await copy.write_row(row.values)
    return len(rows)


async def _merged(cursor: Cursor, table: str, rows: Sequence[Row]) -> int:
    """Puts those rows into a table that are not there."""
    columns, stage = ", ".join(COLUMNS[table]), f"staged_{table}"
    await cursor.execute(sql.SQL(f"CREATE TEMPORARY TABLE {stage} (LIKE {SCHEMA}.{table}) ON COMMIT DROP"))
    await _copied(cursor, table, rows, stage)
    merge = f"INSERT INTO {SCHEMA}.{table} ({columns}) SELECT {columns} FROM {stage} ON CONFLICT DO NOTHING"
    await cursor.execute(sql.SQL(merge))
    return cursor.rowcount


async def _answer(cursor: Cursor, dispositions: Sequence[Row], cases: Sequence[Row]) -> None:
    """Tells cases what was last decided about them: those that were decided, and those that came after that."""
    decided = _keys(dispositions)
    if cases and await (await cursor.execute(sql.SQL(_ANY_EARLY))).fetchone() == (True,):
        await cursor.execute(sql.SQL(_EARLY), _arrays(_keys(cases)))
        decided.update([(jurisdiction, instruction) async for jurisdiction, instruction in cursor])
    if decided:
        await cursor.execute(sql.SQL(_ANSWER), _arrays(decided))
        await cursor.execute(sql.SQL(_KEEP_EARLY), _arrays(decided))


def _keys(rows: Sequence[Row]) -> set[Key]:
    """Jurisdiction and instruction_id of rows of a table that has both."""
    if not rows:
        return set()
    columns = COLUMNS[rows[0].table]
    jurisdiction, instruction = columns.index("jurisdiction"), columns.index("instruction_id")
    return {(row.values[jurisdiction], row.values[instruction]) for row in rows}


def _arrays(keys: set[Key]) -> dict[str, list[str]]:
    jurisdictions, instructions = zip(*keys, strict=True)
    return {"jurisdictions": list(jurisdictions), "instructions": list(instructions)}
