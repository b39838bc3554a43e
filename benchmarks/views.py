"""`python -m benchmarks.views`: how long the usual questions about cases take when the tables hold years of payments.

Decisions of the last 36 months are made in SQL, month by month; 4.1 % of them are cases. The held ones are decided but
for a few and those of the last days, half of the warned ones are. Then each question of the commands and the dashboards
is asked as the viewer that Grafana is, three times after one that warms the caches, and the middle one is told, with
what it read. `--database` fills a database that is kept, and goes on where it was stopped; without it a server of our
own is filled, and deleted at the end.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
from psycopg import sql

from treasury_watch.adapters.cases.migrating import migrate
from treasury_watch.adapters.cases.reading import Selection, counting, detailing, listing
from treasury_watch.adapters.cases.rows import ZONE
from treasury_watch.adapters.postgresql import NotInstalled, postgresql
from treasury_watch.adapters.settings import load_settings

MONTHS = 36
ROUNDS = 3
_MONTH = re.compile(r"(.*)_\d{4}_\d{2}")  # a month's partition

# The payments of one month, numbered; `chance` is spread evenly over 0 to 999 and is a function of the number.
_PAYMENTS = """
WITH payment AS (
    SELECT
        n,
        %(first)s::timestamp AT TIME ZONE 'Asia/Shanghai'
            + (n - %(from)s) * ((%(next)s::date - %(first)s::date) * interval '1 day') / %(count)s AS event_time,
        abs(hashint4(n) %% 1000) AS chance,
        abs(hashint4(n + 1000000007) %% 1000) AS other
    FROM generate_series(%(from)s, %(from)s + %(count)s - 1) AS n
), judged AS (
    SELECT
        *,
        (event_time AT TIME ZONE 'Asia/Shanghai')::date AS day,
        'D' || md5(n::text) || md5((-n)::text) AS decision_id,
        'PI-' || lpad(n::text, 12, '0') AS instruction_id,
        '42' || lpad((other %% 100)::text, 4, '0') AS jurisdiction,
        (101000 + other * 2 + n %% 2)::text AS budget_unit,
        CASE WHEN chance < 1 THEN 'prohibit' WHEN chance < 20 THEN 'intercept' WHEN chance < 41 THEN 'warn'
            ELSE 'pass' END AS verdict,
        'R-' || lpad((60 * (other / 1000.0) ^ 3)::int::text, 3, '0') AS rule
    FROM payment
)
"""
_DECISIONS = f"""
{_PAYMENTS}
INSERT INTO cases.decision
SELECT 'treasury.decisions', n %% 4, n / 4, day, decision_id, instruction_id, jurisdiction, budget_unit,
    (n %% 90000 + 1)::numeric, 'CNY', event_time, event_time + interval '1 second', verdict, false,
    CASE WHEN verdict = 'pass' THEN '{{}}' ELSE ARRAY[rule] END, NULL
FROM judged
"""
_CASES = f"""
{_PAYMENTS}
INSERT INTO cases.payment_case
SELECT CASE verdict WHEN 'warn' THEN 'treasury.warnings' ELSE 'treasury.intercepts' END, n %% 4, n / 4, day,
    decision_id, instruction_id, jurisdiction, budget_unit, (n %% 90000 + 1)::numeric, 'CNY', event_time,
    event_time + interval '1 second', verdict, CASE verdict WHEN 'warn' THEN 'yellow' ELSE 'red' END, false, false,
    ARRAY[rule],
    jsonb_build_array(jsonb_build_object(
        'rule', rule, 'revision', 1, 'action', verdict, 'mode', 'live', 'level', 'red', 'risk_point', 'RP-02',
        'reason', jsonb_build_object('zh', '单笔支付60000.00元，达到限额50000.00元',
            'en', 'Payment of CNY 60000.00 reaches the limit of CNY 50000.00'),
        'evidence', jsonb_build_object('amount', '60000.00', 'limit', '50000.00')
    )),
    NULL,
    jsonb_build_object(
        'instruction_id', instruction_id, 'event_time', event_time, 'jurisdiction', jurisdiction,
        'budget_unit', budget_unit, 'budget_unit_name', '白塔市第' || budget_unit || '中学', 'amount', '60000.00',
        'payment_mode', 'authorised', 'settlement', 'transfer', 'payer_account', '42001000000000001111',
        'payee_name', '江汉办公用品有限公司', 'payee_account', '4200200' || lpad(n::text, 13, '0'),
        'payee_bank', '某某银行白塔支行', 'purpose', '办公用品采购', 'economic_class', '30201',
        'initiator', '张敏', 'approver', '李强'
    ),
    'sha256:' || repeat('0', 64), 'sha256:' || repeat('0', 64), '1.0.0',
    CASE WHEN decided THEN CASE WHEN other < 700 THEN 'release' WHEN other < 900 THEN 'return' ELSE 'confirm' END END,
    CASE WHEN decided THEN event_time + other * interval '10 minutes' END,
    CASE WHEN decided THEN '王敏' END,
    CASE WHEN decided THEN '资料齐全' END,
    CASE WHEN decided AND other < 600 THEN CASE WHEN other < 200 THEN 'true_alarm' ELSE 'false_alarm' END END,
    CASE WHEN decided THEN n END
FROM (
    SELECT *, CASE WHEN verdict = 'warn' THEN n %% 2 = 0
        ELSE n %% 500 > 0 AND event_time < now() - interval '8 days' END AS decided
    FROM judged
) AS answered
WHERE verdict <> 'pass'
"""
_DISPOSITIONS = """
INSERT INTO cases.disposition
SELECT 'treasury.dispositions', source_partition, disposition_offset, day, 'P-' || instruction_id, instruction_id,
    jurisdiction, decision_id, disposition, disposed_by, disposed_at, disposition_reason, label
FROM cases.payment_case
WHERE day >= %(first)s AND day < %(next)s AND disposition IS NOT NULL
"""
_REFUSED = """
INSERT INTO cases.dead_letter
SELECT 'treasury.dead-letters', 0, n, %(first)s::date + n %% 28, 'schema', 'amount: missing, expected decimal text',
    NULL, 'treasury.payments', 0, n, %(first)s::timestamptz + n %% 28 * interval '1 day', '420100', '{}'
FROM generate_series(%(from)s / 10000, (%(from)s + %(count)s) / 10000 - 1) AS n
"""
_STATEMENTS = {"payment_case": (_CASES, _DISPOSITIONS, _REFUSED), "decision": (_DECISIONS,)}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and whose question it is."""

    asked_by: str
    told: str
    query: str
    values: list[Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """How long an answer took, planning included, how many rows it has, what was read for it, and by which indexes."""

    milliseconds: float
    rows: int
    pages: int
    plan: str


def fill(connection: psycopg.Connection, rows: int, today: date) -> None:
    """Makes what is not there yet, each month of a table in one transaction: cases first, the newest month first."""
    count = rows // MONTHS
    for table, statements in _STATEMENTS.items():
        for number, (first, following) in reversed(list(enumerate(_months(today)))):
            began = time.perf_counter()
            with connection.transaction():
                connection.execute("SELECT cases.make_month(%s)", [first])
                query = sql.SQL("SELECT EXISTS (SELECT FROM cases.{} WHERE day = %s)").format(sql.Identifier(table))
                if connection.execute(query, [first]).fetchone() == (True,):
                    continue
                given = {"first": first, "next": following, "from": number * count, "count": count}
                for statement in statements:
                    connection.execute(sql.SQL(statement), given)
            print(f"{table} of {first:%Y-%m}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    connection.execute("VACUUM ANALYZE cases.decision, cases.payment_case, cases.disposition, cases.dead_letter")


def _months(today: date) -> list[tuple[date, date]]:
    """The first days of the last months and of those that follow them, the month of that day the last one."""
    numbers = range(today.year * 12 + today.month - MONTHS, today.year * 12 + today.month + 1)
    firsts = [date(number // 12, number % 12 + 1, 1) for number in numbers]
    return list(pairwise(firsts))


def questions(today: date) -> Iterator[Question]:
    """What is usually asked, of the last month, of a year, of all."""
    month, year = today - timedelta(days=30), today - timedelta(days=365)
    for told, selection in (
        ("", Selection()),
        ("--open", Selection(status="open")),
        ("--unit U", Selection(unit="101400")),
        ("--unit U --open", Selection(unit="101400", status="open")),
        ("--rule, a common one", Selection(rule="R-000")),
        ("--rule, a rare one", Selection(rule="R-059")),
        ("--rule, none such", Selection(rule="R-999")),
        ("--from, a month", Selection(since=month)),
        ("--status confirm", Selection(status="confirm")),
    ):
        yield Question("cases list", told, *listing(selection, 50))
        yield Question("cases list, how many", told, *counting(selection))
    yield Question("cases export", "--from, a month", *listing(Selection(since=month), None))
    yield Question("cases show", "an instruction", *detailing("PI-000000001000"))
    for told, since in (("a month", month), ("a year", year)):
        for view, (wanted, rest) in _OF_A_TIME.items():
            query = f"SELECT {wanted} FROM cases.{view.partition(',')[0]} WHERE day BETWEEN %s AND %s {rest}"
            yield Question(f"dashboard, {view}", told, query, [since, today])
    units = "SELECT budget_unit, max(budget_unit_name) FROM cases.cases_by_unit WHERE day BETWEEN %s AND %s GROUP BY 1"
    yield Question("dashboard, cases_by_unit", "all units of a month", units, [month, today])
    yield Question("dashboard, open_cases", "how many", "SELECT count(*) FROM cases.open_cases", [])
    yield Question("dashboard, amounts_held", "all", "SELECT * FROM cases.amounts_held", [])
    yield Question("dashboard, rule_precision", "all", "SELECT * FROM cases.rule_precision", [])


_LIST = (
    "event_time, verdict, status, level, coalesce(budget_unit_name, budget_unit), payee_name, amount, currency, "
    "reasons_zh, open_hours, instruction_id"
)
_OF_A_TIME = {  # view: columns, and what comes behind the condition
    "cases_by_day": ("day, sum(cases), sum(amount)", "GROUP BY day"),
    "cases_by_unit": ("budget_unit, max(budget_unit_name), sum(cases) AS n", "GROUP BY 1 ORDER BY n DESC LIMIT 20"),
    "cases_by_rule": ("rule, sum(cases) AS n, sum(open_cases)", "GROUP BY 1 ORDER BY n DESC LIMIT 30"),
    "payments_by_day": ("day, sum(payments)", "GROUP BY day"),
    "timeliness": ("*", ""),
    "all_cases, levels": ("day, count(*) FILTER (WHERE level = 'red')", "GROUP BY day"),
    "all_cases, list": (_LIST, "ORDER BY status <> 'open', event_time DESC LIMIT 500"),
    "refused_messages": ("*", "ORDER BY failed_at DESC LIMIT 200"),
}


def ask(connection: psycopg.Connection, question: Question) -> Answer:
    """The middle answer of some rounds."""
    answers = [_ask(connection, question) for _ in range(1 + ROUNDS)][1:]
    middle = statistics.median_low([each.milliseconds for each in answers])
    return next(each for each in answers if each.milliseconds == middle)


def _ask(connection: psycopg.Connection, question: Question) -> Answer:
    explain = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) " + question.query)
    with psycopg.ClientCursor(connection) as cursor:
        found = cursor.execute(explain, question.values).fetchone()
    assert found
    [told] = found[0]
    plan = told["Plan"]
    pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return Answer(
        told["Planning Time"] + told["Execution Time"], plan["Actual Rows"], pages, _in_words(connection, plan)
    )


def _in_words(connection: psycopg.Connection, plan: dict[str, Any]) -> str:
    """Which indexes of the parent tables were gone through, and whether tables were read whole."""
    query = (
        "SELECT DISTINCT inhparent::regclass::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE relname = ANY (%s) ORDER BY 1"
    )
    nodes = list(_nodes(plan))
    indexes = [node["Index Name"] for node in nodes if "Index Name" in node]
    told = [name.removeprefix("cases.") for (name,) in connection.execute(query, [indexes])]
    scanned = (_MONTH.fullmatch(node["Relation Name"]) for node in nodes if node["Node Type"] == "Seq Scan")
    whole = {found[1] for found in scanned if found}
    return ", ".join([*told, *(f"{name} whole" for name in sorted(whole))])


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if plan.get("Actual Loops"):
        yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


@contextmanager
def _database(url: str | None) -> Iterator[str]:
    if url:
        yield url
        return
    options = ("fsync=off", "max_wal_size=4GB", "wal_level=minimal", "max_wal_senders=0", "shared_buffers=512MB")
    with postgresql(*options) as server:
        yield server.url(server.database())


def main() -> int:
    """Prints a table in Markdown; exit status 1 without PostgreSQL."""
    parser = argparse.ArgumentParser("python -m benchmarks.views", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="decisions")
    parser.add_argument("--database", metavar="URL", help="of an empty database, or one that this has filled")
    given = parser.parse_args()
    try:
        with _database(given.database) as url:
            migrate(load_settings(database_url=url))
            with psycopg.connect(url, autocommit=True) as connection:
                today = datetime.now(ZONE).date()
                fill(connection, given.rows, today)
                _tell(connection, today)
    except NotInstalled as why:
        print(f"benchmarks.views: {why}", file=sys.stderr)
        return 1
    return 0


def _tell(connection: psycopg.Connection, today: date) -> None:
    for table in ("decision", "payment_case"):
        found = connection.execute(
            "SELECT sum(reltuples)::bigint, pg_size_pretty(sum(pg_total_relation_size(oid))) FROM pg_class "
            "WHERE relkind = 'r' AND oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = %s::regclass)",
            [f"cases.{table}"],
        ).fetchone()
        assert found
        print(f"{table}: {found[0]:,} rows, {found[1]} with indexes")
    print("\n| asked by | for | rows | milliseconds | pages | by |\n|---|---|---|---|---|---|")
    connection.execute("SET ROLE treasury_watch_viewer")
    for question in questions(today):
        answer = ask(connection, question)
        cells = f"{answer.rows:,} | {answer.milliseconds:,.0f} | {answer.pages:,} | {answer.plan}"
        print(f"| {question.asked_by} | {question.told} | {cells} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
