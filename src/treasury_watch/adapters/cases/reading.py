"""Cases as the commands show them: from the view that hides card and account numbers, so every role may ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from treasury_watch.adapters.cases.database import SCHEMA, DatabaseError, parameters, told
from treasury_watch.adapters.settings import Settings

FIELDS: Final = (
    *("event_time", "decided_at", "status", "verdict", "level", "jurisdiction", "budget_unit", "budget_unit_name"),
    *("amount", "currency", "payee_name", "payee_account", "payer_account", "card_no", "purpose", "rules"),
    *("reasons_zh", "reasons_en", "evidence_required", "late", "p_value", "open_hours", "working_days", "due_day"),
    *("disposed_at", "disposed_by", "disposition_reason", "label", "instruction_id", "decision_id"),
)
_CHUNK: Final = 2000  # rows that are fetched at once

Case = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases are meant; local days in China, `since` and `until` inclusive; None means any."""

    status: str | None = None
    unit: str | None = None
    rule: str | None = None
    since: date | None = None
    until: date | None = None

    def where(self) -> tuple[str, list[Any]]:
        """The condition, true where nothing is asked, and its values."""
        asked: list[tuple[str, Any]] = [
            ("status = %s", self.status),
            ("budget_unit = %s", self.unit),
            ("rules @> ARRAY[%s]", self.rule),
            ("day >= %s", self.since),
            ("day <= %s", self.until),
        ]
        given = [(condition, value) for condition, value in asked if value is not None]
        conditions = [condition for condition, _ in given]
        return " AND ".join(conditions) or "true", [value for _, value in given]


Query = tuple[str, list[Any]]  # with its values


def listing(selection: Selection, most: int | None) -> Query:
    """Asks for the cases of a selection, the newest first, by FIELDS, at most so many."""
    condition, values = selection.where()
    query = (
        f"SELECT {', '.join(FIELDS)} FROM {SCHEMA}.all_cases WHERE {condition} "
        "ORDER BY event_time DESC, decision_id LIMIT %s"
    )
    return query, [*values, most]


def counting(selection: Selection) -> Query:
    """Asks how many cases a selection has."""
    condition, values = selection.where()
    return f"SELECT count(*) AS n FROM {SCHEMA}.all_cases WHERE {condition}", values


def detailing(number: str) -> Query:
    """Asks for the cases of an instruction or a decision, by FIELDS and with `hits`."""
    query = (
        f"SELECT {', '.join(FIELDS)}, hits FROM {SCHEMA}.all_cases WHERE instruction_id = %s OR decision_id = %s "
        "ORDER BY event_time DESC"
    )
    return query, [number, number]


def cases(settings: Settings, selection: Selection, most: int | None = None) -> Iterator[Case]:
    """The cases of a selection, the newest first, by FIELDS, at most so many. Raises DatabaseError."""
    query, values = listing(selection, most)
    with _asking(settings) as connection, connection.cursor(name="cases") as cursor:
        cursor.itersize = _CHUNK
        cursor.execute(sql.SQL(query), values)
        yield from cursor


def count(settings: Settings, selection: Selection) -> int:
    """How many cases a selection has. Raises DatabaseError."""
    query, values = counting(selection)
    with _asking(settings) as connection:
        row = connection.execute(sql.SQL(query), values).fetchone()
        return int(row["n"]) if row else 0


def details(settings: Settings, number: str) -> list[Case]:
    """The cases of an instruction or a decision, by FIELDS and with `hits`; ids are unique within a jurisdiction, so
    there may be several. Raises DatabaseError.
    """
    query, values = detailing(number)
    with _asking(settings) as connection:
        return connection.execute(sql.SQL(query), values).fetchall()


@contextmanager
def _asking(settings: Settings) -> Iterator[psycopg.Connection[Case]]:
    try:
        with psycopg.Connection[Case].connect(**parameters(settings), row_factory=dict_row) as connection:
            connection.read_only = True
            yield connection
    except psycopg.Error as error:
        raise DatabaseError(told(error)) from error
