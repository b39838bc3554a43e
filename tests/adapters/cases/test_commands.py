"""`cases list|show|export|migrate|prune` on a real PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from openpyxl import load_workbook

from tests.adapters.cases.records import START, case, decision, disposition, hit, warning
from tests.test_cli import Runner
from treasury_watch.adapters.cases.database import parameters
from treasury_watch.adapters.cases.rows import Reading
from treasury_watch.adapters.cases.store import Store
from treasury_watch.adapters.settings import Settings

pytestmark = pytest.mark.postgresql


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Runner:
    return Runner(capsys)


@pytest.fixture
async def filled(made: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Four cases: three of March, one of them decided, and a warning of April."""
    store = Store(parameters(made), Reading(made))
    await store.write(
        [
            case(0, amount="60000.00", card_no="6222021234567890", purpose="=HYPERLINK(1)"),
            case(1, budget_unit="101002", hits=(hit("AMT-001"),)),
            case(2),
            warning(3, event_time="2026-04-01T00:30:00+08:00"),
            decision(4),
            disposition(0, "I-0-2", "confirm"),
        ]
    )
    await store.close()
    monkeypatch.setenv("TREASURY_WATCH_DATABASE_URL", made.database())
    return made


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", ["I-0-3", "I-0-2", "I-0-1", "I-0-0"]),
        ("--open", ["I-0-3", "I-0-1", "I-0-0"]),
        ("--status open --open", ["I-0-3", "I-0-1", "I-0-0"]),
        ("--status confirm", ["I-0-2"]),
        ("--status return", []),
        ("--unit 101002", ["I-0-1"]),
        ("--rule AMT-001", ["I-0-3", "I-0-1"]),
        ("--rule AMT-00", []),
        ("--until 2026-03-31", ["I-0-2", "I-0-1", "I-0-0"]),
        ("--from 2026-04-01", ["I-0-3"]),
        ("--from 2026-03-02 --until 2026-03-02 --open --rule CASH-001", ["I-0-0"]),
        ("--most 1", ["I-0-3"]),
    ],
)
def test_the_list_is_narrowed_down(filled: Settings, run: Runner, options: str, found: list[str]) -> None:
    status, out, _ = run("cases", "list", "--json", *options.split())
    assert status == 0
    assert [json.loads(line)["instruction_id"] for line in out.splitlines()] == found


def test_the_list_is_a_table_in_chinese_or_english(
    filled: Settings, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "案件 4 件，显示最新 2 件" in run("cases", "list", "--most", "2").out
    shown = run("cases", "list", "--open", "--lang", "en").out
    assert "3 cases" in shown
    assert "60,000.00" in shown
    assert run("cases", "list", "--rule", "NONE").out == "没有案件\n"


async def test_in_a_narrow_terminal_names_are_folded_and_no_amount_or_id(
    made: Settings, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(parameters(made), Reading(made))
    name = "江汉市新时代综合办公设备用品批发贸易\u3000有限责任公司[bold]"
    await store.write([case(0, amount="-1234567.89", payee_name=name), case(1, currency="USD", payee_name="x\ny")])
    await store.close()
    monkeypatch.setenv("TREASURY_WATCH_DATABASE_URL", made.database())
    monkeypatch.setenv("COLUMNS", "110")
    shown = run("cases", "list").out
    assert "│ -1,234,567.89 │" in shown
    assert "│  USD 1,234.50 │" in shown
    assert name not in shown
    assert "[bold]" in "".join(each.strip() for each in shown.replace("│", "\n").splitlines())
    assert "\\u3000" not in shown
    assert "x\\ny" in shown


def test_in_eighty_columns_every_column_is_there_and_nothing_of_it_is_cut_off(
    filled: Settings, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    status, shown, _ = run("cases", "list", "--most", "1")
    assert status == 0
    case = json.loads(run("cases", "list", "--most", "1", "--json").out)
    columns = zip(*[line.split("│")[1:-1] for line in shown.splitlines() if line.startswith("│")], strict=True)
    folded = ["".join(part.strip() for part in column) for column in columns]
    assert (folded[3], folded[5], folded[7]) == (case["budget_unit_name"], case["payee_name"], case["instruction_id"])
    assert folded[6].replace(" ", "") == "".join(case["rules"])


def test_a_case_is_shown_with_its_hits_and_no_whole_number(filled: Settings, run: Runner) -> None:
    status, out, _ = run("cases", "show", "I-0-0")
    assert status == 0
    assert "- CASH-001: CASH-001的原因" in out
    assert "公务卡号: ************7890" in out
    assert "6222021234567890" not in out + run("cases", "show", "D-I-0-0", "--json").out


def test_a_payment_without_a_case_is_a_finding(filled: Settings, run: Runner) -> None:
    status, _, err = run("cases", "show", "I-0-4")
    assert (status, err) == (1, "I-0-4: no case; a payment that passed has none\n")


def test_an_export_is_csv_or_a_sheet(filled: Settings, run: Runner, tmp_path: Path) -> None:
    assert run("cases", "export", "--out", tmp_path / "cases.csv", "--open").err.startswith("3 cases written")
    text = (tmp_path / "cases.csv").read_text(encoding="utf-8-sig")
    assert text.startswith("提交时间,")
    assert "'=HYPERLINK(1)" in text

    assert run("cases", "export", "--out", tmp_path / "cases.xlsx").status == 0
    assert load_workbook(tmp_path / "cases.xlsx").active.max_row == 5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("list --from 2026-3-1", "error: --from 2026-3-1: expected a day such as 2026-03-01"),
        (
            "list --from 2026-03-02 --until 2026-03-01",
            "error: --until 2026-03-01: expected a day not before --from 2026-03-02",
        ),
        ("list --open --status release", "error: --status release: expected no other than open with --open"),
        (
            "export --out cases.txt",
            "error: --out cases.txt: expected a name that ends with .csv or .xlsx, or --as csv or --as xlsx",
        ),
    ],
)
def test_wrong_use_is_told_in_one_line(run: Runner, arguments: str, told: str) -> None:
    status, _, err = run("cases", *arguments.split())
    assert (status, err) == (2, told + "\n")


def test_without_an_address_or_tables_it_is_said_what_to_do(
    run: Runner, empty: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "expected one of them, which says where cases are kept" in run("cases", "list").err
    monkeypatch.setenv("TREASURY_WATCH_DATABASE_URL", empty.database())
    assert "try: treasury-watch cases migrate" in run("cases", "list").err
    made = run("cases", "migrate").out
    assert made.startswith("done    0001-tables\n")
    assert "done    working days of 2025, 2026\n" in made
    assert run("cases", "migrate").out == "up to date\n"
    assert run("cases", "list").status == 0


async def test_old_months_are_dropped_once_nothing_of_them_is_held(filled: Settings, run: Runner) -> None:
    refused = run("cases", "prune", "--before", "2026-04-15")
    assert refused.status == 2
    assert "2 payments from before 2026-04-01 are held and not decided" in refused.err

    store = Store(parameters(filled), Reading(filled))
    await store.write([disposition(8, "I-0-0"), disposition(9, "I-0-1")])
    status, out, _ = run("cases", "prune", "--before", "2026-04-15")
    assert status == 0
    assert "dropped payment_case_2026_03\n" in out
    with psycopg.connect(filled.database()) as connection:
        assert connection.execute("SELECT instruction_id FROM cases.all_cases").fetchall() == [("I-0-3",)]

    written = await store.write([case(0), case(20)])  # by a sink that knows nothing of it; the first one is old
    assert written.rows.total() == 1
    await store.close()
    again = Store(parameters(filled), Reading(filled))
    assert (await again.write([case(21)])).rows.total() == 1
    await again.close()


async def test_at_the_end_of_a_year_local_days_count(filled: Settings, run: Runner) -> None:
    new_year = ["2025-12-31T15:59:59+00:00", "2025-12-31T16:00:00+00:00", "1999-01-01T00:00:00+00:00"]
    store = Store(parameters(filled), Reading(filled))
    await store.write(
        [
            *(warning(10 + number, event_time=each) for number, each in enumerate(new_year)),
            disposition(10, "I-0-90"),  # of payments of which nothing is there: one is kept, one goes with its month
            disposition(11, "I-0-91", decided_at="2025-06-01T00:00:00+08:00"),
        ]
    )
    await store.close()
    listed = run("cases", "list", "--json", "--until", "2025-12-31").out.splitlines()
    assert [json.loads(each)["instruction_id"] for each in listed] == ["I-0-10", "I-0-12"]

    dropped = run("cases", "prune", "--before", "2026-01-31").out.splitlines()
    assert "dropped payment_case_2025_12" in dropped
    assert {each[-7:] for each in dropped} == {"2025_06", "2025_12"}
    with psycopg.connect(filled.database()) as connection:
        kept = connection.execute("SELECT instruction_id FROM cases.all_cases WHERE day < '2026-02-01'").fetchall()
        early = connection.execute("SELECT instruction_id FROM cases.early_disposition").fetchall()
    assert (kept, early) == ([("I-0-11",)], [("I-0-90",)])
    assert run("cases", "prune", "--before", "2026-01-31").out == "nothing is that old\n"


async def test_open_cases_are_found_by_their_index(filled: Settings) -> None:
    query = f"EXPLAIN SELECT * FROM cases.open_cases WHERE day >= '{START:%Y-%m-%d}' ORDER BY event_time DESC LIMIT 50"
    with psycopg.connect(filled.database()) as connection:
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET enable_sort = off")
        connection.execute("SET enable_bitmapscan = off")
        plan = "\n".join(line for (line,) in connection.execute(query.encode()))
        indexes = connection.execute(
            "SELECT i.inhrelid::regclass::text FROM pg_inherits i WHERE i.inhparent = 'cases.case_open'::regclass"
        ).fetchall()
    assert any(name.removeprefix("cases.") in plan for (name,) in indexes), plan
