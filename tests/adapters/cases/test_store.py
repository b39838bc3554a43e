"""Writing to a real PostgreSQL: nothing lost, nothing doubled, nothing that stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.adapters.cases.records import (
    START,
    Made,
    case,
    dead_letter,
    decision,
    disposition,
    hit,
    warning,
)
from treasury_watch.adapters.cases.database import parameters
from treasury_watch.adapters.cases.rows import Reading
from treasury_watch.adapters.cases.store import Away, Store
from treasury_watch.adapters.settings import Settings

pytestmark = pytest.mark.postgresql


@pytest.fixture
async def store(made: Settings) -> AsyncIterator[Store]:
    opened = Store(parameters(made), Reading(made))
    yield opened
    await opened.close()


def ask(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.database()) as connection:
        return connection.execute(query.encode()).fetchall()


def one(settings: Settings, query: str) -> Any:
    return ask(settings, query)[0][0]


MIXED: Sequence[Made] = [
    decision(0),
    decision(1, verdict="intercept", hits=(hit(),)),
    case(0),
    warning(1, payee_name="徐州某公司"),
    dead_letter(0),
    disposition(0, "I-0-0"),
]


async def test_every_kind_of_record_becomes_a_row_of_its_table(made: Settings, store: Store) -> None:
    written = await store.write(MIXED)
    assert written.rows == {"decision": 2, "payment_case": 2, "dead_letter": 1, "disposition": 1}
    assert await store.positions() == {
        ("treasury.decisions", 0): 2,
        ("treasury.intercepts", 0): 1,
        ("treasury.warnings", 0): 2,
        ("treasury.dead-letters", 0): 1,
        ("treasury.dispositions", 0): 1,
    }
    shown = ask(made, "SELECT verdict, level, rules, reasons_zh, payee_account, status FROM cases.all_cases ORDER BY 1")
    assert shown == [
        ("intercept", "red", ["CASH-001"], "CASH-001的原因", "****************2222", "release"),
        ("warn", "yellow", ["AMT-001"], "AMT-001的原因", "****************2222", "open"),
    ]


async def test_what_is_there_already_is_left_alone(made: Settings, store: Store) -> None:
    await store.write(MIXED)
    again = await store.write([*MIXED, *MIXED, case(1), case(1)])
    assert +again.rows == {"payment_case": 1}
    assert one(made, "SELECT count(*) FROM cases.payment_case") == 3


async def test_partitions_may_come_in_any_order_and_read_anew_they_do_not_go_back(store: Store) -> None:
    await store.write([case(7, partition=3), case(2, partition=1), case(8, partition=3)])
    await store.write([case(6, partition=3)])
    assert await store.positions() == {("treasury.intercepts", 3): 9, ("treasury.intercepts", 1): 3}


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (Made("treasury.intercepts", 0, None), "no value"),
        (Made("treasury.intercepts", 0, b"\xff\xfe"), "JSON is malformed"),
        (Made("treasury.warnings", 0, b"{}"), "Object missing required field"),
        (Made("treasury.intercepts", 0, decision(0).value), "no instruction"),
        (case(0, verdict="pass"), "the verdict is pass"),
        (Made("treasury.intercepts", 0, case(0).value.replace(b'"decided_at":"2', b'"decided_at":"x')), "RFC3339"),
        (case(0, amount="12"), "amount: expected decimal text"),
        (Made("treasury.dead-letters", 0, b"x"), "no header reason, source_topic, source_partition, source_offset"),
        (dead_letter(0, source_offset="nine"), "invalid literal"),
        (dead_letter(0, failed_at="yesterday"), "not an RFC 3339 time"),
        (disposition(0, "I-1", "forgive"), "schema: disposition"),
        (case(0, budget_unit="".join(chr(0x4E00 + n * 7919 % 20000) for n in range(3000))), "index row requires"),
        (dead_letter(0, source_offset=str(2**70)), "out of range"),
    ],
)
async def test_what_is_no_valid_record_is_kept_with_the_reason_and_stops_nothing(
    made: Settings, store: Store, record: Made, why: str
) -> None:
    neighbours = [case(number, partition=1) for number in range(3)]
    written = await store.write([neighbours[0], record, *neighbours[1:]])
    assert +written.rows == {"payment_case": 3, "unreadable": 1}
    [(reason, value)] = ask(made, "SELECT reason, value FROM cases.unreadable")
    assert why in reason
    assert value == record.value
    assert (await store.positions())[record.topic, 0] == 1


async def test_a_text_with_u0000_is_a_case_and_not_a_mistake(made: Settings, store: Store) -> None:
    await store.write(
        [case(0, purpose="办公\0用品", jurisdiction="42\0"), dead_letter(0, b'{"instruction_id":"a\\u0000"}')]
    )
    assert ask(made, "SELECT purpose, jurisdiction FROM cases.all_cases") == [("办公\ufffd用品", "42\ufffd")]
    assert one(made, "SELECT instruction_id FROM cases.refused_messages") == "a\ufffd"


async def test_odd_dates_are_kept_and_make_no_partitions(made: Settings, store: Store) -> None:
    dates = [
        "1900-01-02T00:00:00+00:00",
        "2019-12-31T23:59:59+08:00",
        "2020-01-01T00:00:00+08:00",
        "9998-12-30T00:00:00+00:00",
    ]
    await store.write([case(number, event_time=each) for number, each in enumerate(dates)])
    assert one(made, "SELECT count(*) FROM cases.payment_case") == 4
    partitions = ask(made, "SELECT DISTINCT tableoid::regclass::text FROM cases.payment_case ORDER BY 1")
    assert partitions == [("cases.payment_case_2020_01",), ("cases.payment_case_elsewhen",)]


async def test_an_excepted_or_trial_hit_is_told_and_counts_for_no_rule(made: Settings, store: Store) -> None:
    fired = (hit("A-1"), hit("B-1", mode="shadow", level="grey"), hit("A-1", level="orange"))
    await store.write([case(0, hits=fired)])
    assert ask(made, "SELECT rules, level, jsonb_array_length(hits) FROM cases.all_cases") == [(["A-1"], "red", 3)]


ANSWERS = [
    disposition(0, "I-0-0", "confirm", label="true_alarm"),
    disposition(1, "I-0-0", "release", label="false_alarm"),
    disposition(2, "I-0-0", "confirm", disposition_id="P-0", label="true_alarm"),  # the first one, delivered again
]


@pytest.mark.parametrize("order", ["case first", "case last", "each alone, case in the middle"])
async def test_the_last_disposition_counts_whatever_comes_first(made: Settings, store: Store, order: str) -> None:
    held = case(0)
    batches = {
        "case first": [[held], ANSWERS],
        "case last": [ANSWERS, [held]],
        "each alone, case in the middle": [[ANSWERS[0]], [held], [ANSWERS[1]], [ANSWERS[2]]],
    }
    for batch in batches[order]:
        await store.write(batch)
    assert ask(made, "SELECT status, label, disposed_by FROM cases.all_cases") == [("release", "false_alarm", "王敏")]


@pytest.mark.parametrize("early", [False, True])
async def test_what_is_decided_of_a_payment_is_not_for_another_that_has_its_id(
    made: Settings, store: Store, early: bool
) -> None:
    old, new = case(0), case(9, instruction_id="I-0-0", decision_id="E")
    answers = [disposition(0, "I-0-0", "return", decision_id="E"), disposition(1, "I-0-0")]
    for each in [old, *answers, new] if early else [old, new, *answers]:
        await store.write([each])
    found = ask(made, "SELECT decision_id, status FROM cases.all_cases ORDER BY 1")
    assert found == [("D-I-0-0", "release"), ("E", "return")]
    assert ask(made, "SELECT * FROM cases.early_disposition") == []


async def test_what_is_decided_about_payments_without_a_case_is_kept_in_mind_until_one_comes(
    made: Settings, store: Store
) -> None:
    await store.write([disposition(0, "I-0-0"), disposition(1, "I-0-1")])
    assert ask(made, "SELECT instruction_id FROM cases.early_disposition ORDER BY 1") == [("I-0-0",), ("I-0-1",)]
    await store.write([case(0), case(2)])
    assert ask(made, "SELECT instruction_id FROM cases.early_disposition") == [("I-0-1",)]
    assert ask(made, "SELECT instruction_id, status FROM cases.all_cases ORDER BY 1") == [
        ("I-0-0", "release"),
        ("I-0-2", "open"),
    ]


async def test_where_progress_was_set_back_what_is_there_is_left_alone_and_the_rest_is_added(
    made: Settings, store: Store
) -> None:
    await store.write(MIXED)
    ask(made, "DELETE FROM cases.payment_case WHERE verdict = 'warn' RETURNING 1")
    ask(made, "UPDATE cases.progress SET next_offset = 0 RETURNING 1")
    again = await store.write([*MIXED, case(9)])
    assert +again.rows == {"payment_case": 2}
    assert one(made, "SELECT count(*) FROM cases.payment_case") == 3
    assert one(made, "SELECT next_offset FROM cases.progress WHERE source_topic = 'treasury.intercepts'") == 10


async def test_the_views_add_up(made: Settings, store: Store) -> None:
    later = START + timedelta(hours=30)
    await store.write(
        [
            *(decision(number) for number in range(7)),
            case(0, amount="100.00"),
            case(1, amount="-40.00", budget_unit="101002"),
            case(2, amount="7.00", hits=(hit(), hit("AMT-001"))),
            warning(0, amount="5.00", currency="USD"),
            disposition(0, "I-0-2", "confirm", label="true_alarm", decided_at=later.isoformat()),
        ]
    )
    assert ask(made, "SELECT jurisdiction, currency, payments, amount FROM cases.amounts_held") == [
        ("420100", "CNY", 2, 100)
    ]
    assert ask(made, "SELECT verdict, currency, cases, open_cases, amount FROM cases.cases_by_day ORDER BY 1") == [
        ("intercept", "CNY", 3, 2, 67),
        ("warn", "USD", 1, 1, 5),
    ]
    assert ask(made, "SELECT rule, verdict, cases FROM cases.cases_by_rule ORDER BY 1, 2") == [
        ("AMT-001", "intercept", 1),
        ("AMT-001", "warn", 1),
        ("CASH-001", "intercept", 3),
    ]
    assert ask(made, "SELECT budget_unit, sum(cases) FROM cases.cases_by_unit GROUP BY 1 ORDER BY 1") == [
        ("101001", 3),
        ("101002", 1),
    ]
    assert ask(made, "SELECT * FROM cases.rule_precision ORDER BY 1") == [
        ("AMT-001", 1, 1, 0, 1),
        ("CASH-001", 1, 1, 0, 1),
    ]
    assert ask(made, "SELECT verdict, cases, answered, answered_within_3_days, median_hours FROM cases.timeliness") == [
        ("intercept", 3, 1, 1, 30),
        ("warn", 1, 0, 0, None),
    ]
    assert ask(made, "SELECT verdict, payments FROM cases.payments_by_day") == [("pass", 7)]


async def test_a_writer_with_its_role_only_can_do_all_of_it(made: Settings) -> None:
    own = {**parameters(made), "options": "-c role=treasury_watch_writer"}
    store = Store(own, Reading(made))
    assert (await store.write(MIXED)).rows.total() == 6
    await store.close()


async def test_without_tables_it_is_said_how_they_are_made(empty: Settings) -> None:
    store = Store(parameters(empty), Reading(empty))
    with pytest.raises(Away, match="try: treasury-watch cases migrate"):
        await store.positions()


async def test_after_a_broken_connection_the_next_call_makes_another(made: Settings, store: Store) -> None:
    await store.write([case(0)])
    ask(
        made,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()",
    )
    with pytest.raises(Away):
        await store.write([case(1)])
    assert +(await store.write([case(0), case(1)])).rows == {"payment_case": 1}


async def test_two_writers_at_once_write_each_row_once(made: Settings) -> None:
    stores = [Store(parameters(made), Reading(made)) for _ in range(2)]
    stream = [[case(number) for number in range(start, start + 20)] for start in range(0, 400, 20)]

    async def through(store: Store) -> int:
        return sum([(await store.write(batch)).rows.total() for batch in stream])

    added = await asyncio.gather(*map(through, stores))
    assert sum(added) == one(made, "SELECT count(*) FROM cases.payment_case") == 400
    for store in stores:
        await store.close()
