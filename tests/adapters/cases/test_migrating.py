"""Migrations on a real PostgreSQL: up, down, up again; and what each role may do."""

from __future__ import annotations

import psycopg
import pytest

from treasury_watch.adapters.cases.database import DatabaseError
from treasury_watch.adapters.cases.migrating import migrate, migrating, unmake
from treasury_watch.adapters.settings import Settings, load_settings

pytestmark = pytest.mark.postgresql

STEPS = [
    "0001-tables",
    "0002-views",
    "0003-roles",
    "0004-early-dispositions",
    "0005-working-days",
    "0006-covering-indexes",
]
OURS = "SELECT relname FROM pg_class WHERE relnamespace = 'cases'::regnamespace AND relname !~ 'yoyo' ORDER BY 1"


def names(settings: Settings, query: str) -> list[str]:
    with psycopg.connect(settings.database()) as connection:
        return [row[0] for row in connection.execute(query.encode())]


def test_all_steps_are_taken_once_and_the_second_time_none(empty: Settings) -> None:
    assert migrate(empty) == STEPS
    assert migrate(empty) == []


def test_taken_back_nothing_is_left_and_made_again_it_is_the_same(made: Settings) -> None:
    before = names(made, OURS)
    assert {"payment_case", "open_cases", "progress"} <= set(before)

    assert unmake(made) == STEPS[::-1]
    assert names(made, OURS) == []
    assert names(made, "SELECT proname FROM pg_proc WHERE pronamespace = 'cases'::regnamespace") == []

    assert migrate(made) == STEPS
    assert names(made, OURS) == before


THERE = """
SELECT concat_ws(' | ', c.relname, c.relkind, obj_description(c.oid),
    pg_get_viewdef(CASE c.relkind WHEN 'v' THEN c.oid END),
    pg_get_indexdef(CASE WHEN c.relkind IN ('i', 'I') THEN c.oid END),
    (SELECT string_agg(each::text, ' ' ORDER BY each::text) FROM unnest(c.relacl) AS each
        WHERE each::text !~ '^postgres='),
    (SELECT string_agg(concat_ws(' ', a.attname, a.atttypid::regtype, col_description(c.oid, a.attnum)), ', '
        ORDER BY attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0))
FROM pg_class c WHERE c.relnamespace = 'cases'::regnamespace AND c.relname !~ 'yoyo' ORDER BY 1
"""


def test_each_step_taken_back_leaves_what_was_there_before_it(empty: Settings) -> None:
    for name in STEPS:
        before = names(empty, THERE) if name != STEPS[0] else []
        with migrating(empty) as (backend, migrations):
            [step] = migrations.filter(lambda each, name=name: each.id == name)
            backend.apply_one(step)
            backend.rollback_one(step)
        assert names(empty, THERE) == before, name
        with migrating(empty) as (backend, migrations):
            backend.apply_one(next(each for each in migrations if each.id == name))


def test_every_view_and_column_is_explained_in_both_languages(made: Settings) -> None:
    explained = names(
        made,
        """
        SELECT concat_ws('.', c.relname, a.attname) || ': ' || coalesce(col_description(c.oid, a.attnum), '')
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relkind = 'v' AND c.relnamespace = 'cases'::regnamespace
        UNION ALL
        SELECT c.relname || ': ' || coalesce(obj_description(c.oid), '')
        FROM pg_class c WHERE c.relkind = 'v' AND c.relnamespace = 'cases'::regnamespace
        """,
    )
    assert len(explained) > 100
    assert [each for each in explained if " · " not in each] == []


@pytest.mark.parametrize(
    ("role", "allowed", "refused"),
    [
        (
            "writer",
            ["INSERT INTO cases.progress VALUES ('t', 0, 1, now())", "SELECT cases.make_month('2026-03-01')"],
            ["DELETE FROM cases.payment_case", "UPDATE cases.payment_case SET amount = 0", "CREATE TABLE cases.x ()"],
        ),
        (
            "viewer",
            [
                "SELECT * FROM cases.open_cases",
                "SELECT * FROM cases.calendar",
                "SELECT * FROM cases.timeliness",
                "SELECT * FROM cases.sink_progress",
            ],
            [
                "SELECT instruction FROM cases.payment_case",
                "SELECT value FROM cases.dead_letter",
                "SELECT cases.make_month('2026-03-01')",
                "DELETE FROM cases.all_cases",
            ],
        ),
        (
            "auditor",
            ["SELECT instruction FROM cases.payment_case", "SELECT value FROM cases.dead_letter"],
            ["DELETE FROM cases.payment_case", "SELECT cases.make_month('2026-03-01')"],
        ),
    ],
)
def test_a_role_may_do_its_part_and_no_more(made: Settings, role: str, allowed: list[str], refused: list[str]) -> None:
    with psycopg.connect(made.database(), autocommit=True) as connection:
        connection.execute(f"SET ROLE treasury_watch_{role}".encode())
        for each in allowed:
            connection.execute(each.encode())
        for each in refused:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(each.encode())


@pytest.mark.parametrize(
    ("number", "shown"),
    [("6222021234567890", "************7890"), ("12345", "*2345"), ("1234", "****"), ("", ""), (None, None)],
)
def test_numbers_are_masked_as_everywhere_else(made: Settings, number: str | None, shown: str | None) -> None:
    with psycopg.connect(made.database()) as connection:
        assert connection.execute("SELECT cases.masked(%s)", [number]).fetchone() == (shown,)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("付至6222021234567890", "付至********7890"),
        ("付至 6222 0212 3456 7890 完", "付至 ********7890 完"),
        ("付至6222 0212 3456 7890 123", "付至********0 123"),
        ("6222021234567890，6222-0212-3456-7890", "********7890，********7890"),
        ("合同20250305-1", "合同20250305-1"),
    ],
)
def test_long_numbers_in_free_text_are_masked(made: Settings, words: str, shown: str) -> None:
    with psycopg.connect(made.database()) as connection:
        assert connection.execute("SELECT cases.masked_numbers(%s)", [words]).fetchone() == (shown,)


def test_a_server_that_is_away_is_one_line_without_the_password() -> None:
    away = load_settings(database_url="postgresql://writer:geheim@127.0.0.1:1/cases")
    with pytest.raises(DatabaseError) as raised:
        migrate(away)
    assert "geheim" not in str(raised.value)
    assert "\n" not in str(raised.value)
