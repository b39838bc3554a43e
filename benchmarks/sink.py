"""`python -m benchmarks.sink`: held and warned payments per second into PostgreSQL, and the same row by row.

Both in one call, in turns, on a server of its own with its defaults (it confirms what is on the disk). The baseline is
what comes to mind first: a record is decoded, put in with one `INSERT … ON CONFLICT DO NOTHING`, and the offset stored,
in a transaction of its own. Beside the rates stands the processor time of a case, which says more where others use the
machine, too: of this process, which is the sink's part without Kafka, and of the server's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql

from treasury_watch.adapters.cases.database import SCHEMA, parameters
from treasury_watch.adapters.cases.migrating import migrate
from treasury_watch.adapters.cases.rows import COLUMNS, Reading
from treasury_watch.adapters.cases.store import Store
from treasury_watch.adapters.postgresql import NotInstalled, Server, postgresql
from treasury_watch.adapters.settings import Settings, load_settings
from treasury_watch.adapters.wire import encode_case, stamp
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Hit, Text

BATCH = 5000  # as the sink's
TOPICS = ("treasury.intercepts", "treasury.warnings")
START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sample:
    """A record of Kafka."""

    topic: str
    offset: int
    value: bytes
    partition: int
    timestamp: int = 0
    key: bytes | None = b"420100"
    headers: Sequence[tuple[str, bytes]] = field(default=())


def samples(count: int, since: int) -> list[Sample]:
    """Cases over a month, half of them held and half warned of, of 500 units, with what a payment commonly has."""
    return [_sample(number) for number in range(since, since + count)]


def _sample(number: int) -> Sample:
    held = number % 2 == 0
    moment = START + timedelta(seconds=number * 7 % 2_400_000)
    instruction = Instruction(
        instruction_id=f"PI-2026-{number:09d}",
        event_time=moment,
        jurisdiction=f"42{number % 100:04d}",
        budget_unit=f"{101000 + number % 500}",
        budget_unit_name="白塔市公安局",
        amount=f"{number % 90_000 + 1}.00",
        payment_mode="authorised",
        settlement="transfer",
        payer_account="42001000000000001111",
        payee_name="江汉办公用品有限公司",
        payee_account=f"4200200{number:013d}",
        payee_bank="某某银行白塔支行",
        purpose="办公用品采购",
        economic_class="30201",
        initiator="张敏",
        approver="李强",
    )
    hit = Hit(
        rule=f"AMT-{number % 20:03d}",
        revision=1,
        action="intercept" if held else "warn",
        mode="live",
        level="red" if held else "yellow",
        risk_point="RP-02",
        reason=Text("单笔支付达到限额", "The payment reaches the limit"),
        evidence={"amount": instruction.amount, "limit": "50000.00"},
    )
    decision = Decision(
        schema_version=1,
        decision_id=f"{number:064x}",
        instruction_id=instruction.instruction_id,
        jurisdiction=instruction.jurisdiction,
        budget_unit=instruction.budget_unit,
        amount=instruction.amount,
        currency="CNY",
        event_time=moment,
        verdict="intercept" if held else "warn",
        evidence_required=False,
        late=False,
        hits=(hit,),
        anomaly=msgspec.UNSET,
        ruleset="sha256:" + "0" * 64,
        reference="sha256:" + "0" * 64,
        engine="1.0.0",
    )
    value = stamp(encode_case(decision, instruction), moment.isoformat())
    return Sample(TOPICS[number % 2], number // 2, value, number // 2 % 4)


async def by_batches(settings: Settings, records: Sequence[Sample]) -> None:
    """What the sink does."""
    store = Store(parameters(settings), Reading(settings))
    for start in range(0, len(records), BATCH):
        await store.write(records[start : start + BATCH])
    await store.close()


async def row_by_row(settings: Settings, records: Sequence[Sample]) -> None:
    """What comes to mind first."""
    reading = Reading(settings)
    columns = COLUMNS["payment_case"]
    insert = sql.SQL("INSERT INTO {}.payment_case ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
        sql.Identifier(SCHEMA),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(sql.Placeholder() * len(columns)),
    )
    progress = sql.SQL(
        "INSERT INTO {}.progress VALUES (%s, %s, %s, now()) ON CONFLICT (source_topic, source_partition) "
        "DO UPDATE SET next_offset = excluded.next_offset"
    ).format(sql.Identifier(SCHEMA))
    async with await psycopg.AsyncConnection.connect(**parameters(settings), autocommit=True) as connection:
        await connection.execute(sql.SQL("SELECT {}.make_month('2026-03-01')").format(sql.Identifier(SCHEMA)))
        for record in records:
            async with connection.transaction():
                await connection.execute(insert, reading.row(record).values)
                await connection.execute(progress, (record.topic, record.partition, record.offset + 1))


@dataclass(frozen=True, slots=True)
class Round:
    """Cases per second, and microseconds of processor time for each: of the sink, and of PostgreSQL."""

    rate: float
    sink_us: float
    server_us: float


def measured(
    work: Callable[[Settings, Sequence[Sample]], Awaitable[None]], server: Server, settings: Settings, count: int
) -> Round:
    """One round of so many cases, all of which are in the database when it ends."""
    records = samples(count, _rows(settings))

    async def working() -> None:
        await work(settings, records)

    before, began = _rows(settings), time.perf_counter()
    sink, servers = time.process_time(), cpu_seconds(server.pid)
    asyncio.run(working())
    seconds = time.perf_counter() - began
    sink, servers = time.process_time() - sink, cpu_seconds(server.pid) - servers
    if _rows(settings) - before != count:
        raise SystemExit(f"{_rows(settings) - before:,} rows came, expected {count:,}")
    return Round(count / seconds, sink / count * 1e6, servers / count * 1e6)


def cpu_seconds(pid: int) -> float:
    """The processor time of a process and its children so far, those that ended included (Linux)."""
    own = _stat(pid)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ticks = sum(own[11:15]) + sum(sum(_stat(int(child))[11:13]) for child in children)
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[int]:
    """The numbers of `/proc/PID/stat` behind the state, see proc(5); zeros for a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return [0] * 40
    return [0, *map(int, text.rpartition(")")[2].split()[1:])]


def _rows(settings: Settings) -> int:
    with psycopg.connect(settings.database()) as connection:
        found = connection.execute(b"SELECT count(*) FROM cases.payment_case").fetchone()
        return int(found[0]) if found else 0


def main() -> int:
    """Prints both rates, each the median of its rounds; exit status 1 without PostgreSQL."""
    parser = argparse.ArgumentParser("python -m benchmarks.sink", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=50_000, help="of a round; a tenth of it row by row")
    given = parser.parse_args()
    try:
        with postgresql() as server:
            ours, plain = (load_settings(database_url=server.url(server.database())) for _ in range(2))
            for settings in (ours, plain):
                migrate(settings)
            rounds: dict[str, list[Round]] = {"in batches": [], "row by row": []}
            for _ in range(given.rounds):
                rounds["in batches"].append(measured(by_batches, server, ours, given.rows))
                rounds["row by row"].append(measured(row_by_row, server, plain, given.rows // 10))
    except NotInstalled as why:
        print(f"benchmarks.sink: {why}", file=sys.stderr)
        return 1
    for name, found in rounds.items():
        rates = [each.rate for each in found]
        sink = statistics.median([each.sink_us for each in found])
        servers = statistics.median([each.server_us for each in found])
        print(
            f"{name}: {statistics.median(rates):,.0f} cases/s ({min(rates):,.0f} to {max(rates):,.0f}, {len(found)} "
            f"rounds); processor time of a case: sink {sink:.0f} µs, PostgreSQL {servers:.0f} µs"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
