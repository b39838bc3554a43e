"""Lists and tables."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from tests.rules.texts import CARDS, read_set, rule_file
from treasury_watch.rules import read
from treasury_watch.rules.reference import cells_of
from treasury_watch.rules.schema import RuleSet

WHEN = "  when: {field: amount, gt: 1.00}\n"
RATES = """\
table: exchange_rates
owner: a
basis: b
key: [currency]
columns: {currency: text, since: date, rate: number}
dated: since
"""


def codes(**files: str) -> list[str]:
    """`lists_x` stands for lists/x.yaml, `tables_x` for tables/x.yaml, `csv_x` for tables/x.csv."""
    named = {"office.yaml": rule_file(WHEN)}
    for name, text in files.items():
        kind, _, stem = name.partition("_")
        named[f"tables/{stem}.csv" if kind == "csv" else f"{kind}/{stem}.yaml"] = text.encode()
    ruleset, diagnostics = read(named)
    assert (ruleset is None) == bool(diagnostics)
    return [each.code for each in diagnostics]


def read_with(**files: str) -> RuleSet:
    named = {name.replace("_", "/", 1): text.encode() for name, text in files.items()}
    return read_set(WHEN, files={name.replace("__", "."): data for name, data in named.items()})


def test_a_list_maps_its_entries_to_their_last_day() -> None:
    text = "list: words\nowner: a\nbasis: b\nentries: [烟, {value: 酒}, {value: 茶, expires: 2025-12-31, note: 试行}]\n"
    (found,) = read_with(lists_words__yaml=text).lists.values()
    assert found.entries == {"烟": None, "酒": None, "茶": date(2025, 12, 31)}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("[烟, 烟]", ["TW110"]),
        ('["ＡＢ", AB]', ["TW110"]),
        ("[101001]", ["TW007"]),
        ("[{expires: 2025-12-31}]", ["TW102"]),
        ("[[烟]]", ["TW104"]),
        ("烟", ["TW104"]),
        ("[]", []),
    ],
)
def test_entries_of_a_list_are_texts_each_once(entries: str, expected: list[str]) -> None:
    assert codes(lists_words=f"list: words\nowner: a\nbasis: b\nentries: {entries}\n") == expected


def test_two_lists_or_tables_of_one_name_are_one_too_many() -> None:
    text = "list: words\nowner: a\nbasis: b\nentries: []\n"
    assert codes(lists_a=text, lists_b=text) == ["TW110"]
    table, csv = CARDS["tables/official_cards.yaml"].decode(), CARDS["tables/official_cards.csv"].decode()
    assert codes(tables_a=table, csv_a=csv, tables_b=table, csv_b=csv) == ["TW110"]


def test_cells_have_the_type_of_their_column_and_keys_their_compare_form() -> None:
    table = read_set(WHEN, files=CARDS).tables["official_cards"]
    assert list(table.rows) == [("62830001",), ("62830002",)]
    ((since, first),) = table.rows["62830001",]
    assert since is None
    assert first == {
        "card_no": "6283-0001",
        "holder": "张敏",
        "credit_limit": Decimal("50000.00"),
        "uses": 3,
        "share": Decimal("0.25"),
        "issued": date(2025, 1, 1),
        "open": True,
    }
    ((_, second),) = table.rows["62830002",]
    assert second == {"card_no": "6283 0002", "holder": "李强", "credit_limit": Decimal("20000.00")}


def test_rows_of_a_dated_table_are_oldest_first() -> None:
    csv = "rate,currency,since\n7.2,USD,2025-07-01\n7.1,USD,2025-01-01\n"
    table = read_with(tables_exchange_rates__yaml=RATES, tables_exchange_rates__csv=csv).tables["exchange_rates"]
    assert [(since, cells["rate"]) for since, cells in table.rows["USD",]] == [
        (date(2025, 1, 1), Decimal("7.1")),
        (date(2025, 7, 1), Decimal("7.2")),
    ]
    assert "since" not in table.types


@pytest.mark.parametrize(
    ("declaration", "csv", "expected"),
    [
        (RATES, "currency,since,rate\nUSD,2025-01-01,7.1\n", []),
        (RATES, "currency,since,rate\nUSD,2025-01-01,0\n", ["TW503"]),
        (RATES, "currency,since,rate\nUSD,2025-01-01,\n", ["TW503"]),
        (RATES, "currency,since,rate\nUSD,,7.1\n", ["TW503"]),
        (RATES, "currency,since,rate\nUSD,2025-01-01,7.1\nUSD,2025-01-01,7.2\n", ["TW504"]),
        (RATES.replace("dated: since\n", ""), "currency,since,rate\n", ["TW505"]),
        (RATES.replace("rate: number", "rate: money"), "currency,since,rate\n", ["TW505"]),
        (RATES.replace("dated: since", "dated: rate"), "currency,since,rate\n", ["TW205"]),
        (RATES.replace("owner: a\n", ""), "currency,since,rate\n", ["TW102"]),
    ],
)
def test_exchange_rates_are_above_zero_and_dated(declaration: str, csv: str, expected: list[str]) -> None:
    assert codes(tables_rates=declaration, csv_rates=csv) == expected


@pytest.mark.parametrize(
    ("csv", "expected"),
    [
        ("unit,budget\n101,5\n", []),
        ("budget,unit\n\n5,101\n \n", []),
        ("\ufeffunit,budget\r\n101,5\r\n", []),
        ('unit,budget\n"101,""a""",5\n', []),
        ("unit,budget", []),
        ("", ["TW502"]),
        ("unit\n", ["TW502"]),
        ("unit,budget,note\n", ["TW502"]),
        ("unit,unit\n", ["TW502"]),
        ('"unit,budget\n', ["TW502"]),
        ("unit,budget\n101\n", ["TW503"]),
        ("unit,budget\n101,5,6\n", ["TW503"]),
        ('unit,budget\n"101,5\n', ["TW503"]),
        ('unit,budget\n1"01,5\n', ["TW503"]),
        ("unit,budget\n,5\n", ["TW503"]),
        ("unit,budget\n101,五\n", ["TW503"]),
        ("unit,budget\n101,5.005\n", ["TW503"]),
        ('unit,budget\n101,"1,000.00"\n', ["TW503"]),
        ("unit,budget\n101,5\n101,5\n", ["TW504"]),
        ("unit,budget\n101,五\n,5\n", ["TW503", "TW503"]),
        ("unit,budget\n10\u200b1,5\n", ["TW008"]),
    ],
)
def test_csv_is_read_cell_by_cell(csv: str, expected: list[str]) -> None:
    declaration = "table: budgets\nowner: a\nbasis: b\nkey: [unit]\ncolumns: {unit: text, budget: money}\n"
    assert codes(tables_budgets=declaration, csv_budgets=csv) == expected


def test_every_wrong_cell_of_a_row_is_told() -> None:
    declaration = (
        "table: budgets\nowner: a\nbasis: b\nkey: [unit]\ncolumns: {unit: account, budget: money, day: date}\n"
    )
    _, found = read(
        {
            "office.yaml": rule_file(WHEN),
            "tables/budgets.yaml": declaration.encode(),
            "tables/budgets.csv": b"unit,budget,day\n6.22E+18, 5.005,2025-02-29\n",
        }
    )
    assert [(each.span.line, each.span.column, each.code) for each in found] == [
        (2, 1, "TW503"),
        (2, 11, "TW503"),
        (2, 17, "TW503"),
    ]


def test_keys_are_texts_among_the_columns() -> None:
    declaration = "table: t\nowner: a\nbasis: b\nkey: [%s]\ncolumns: {unit: text, day: date}\n"
    assert codes(tables_t=declaration % "unt", csv_t="unit,day\n") == ["TW205"]
    assert codes(tables_t=declaration % "day", csv_t="unit,day\n") == ["TW104"]
    assert codes(tables_t=declaration % "unit", csv_t="unit,day\n") == []


def test_a_table_and_its_rows_stand_side_by_side() -> None:
    declaration = "table: t\nowner: a\nbasis: b\nkey: [unit]\ncolumns: {unit: text}\n"
    assert codes(tables_t=declaration) == ["TW501"]
    assert codes(csv_t="unit\n") == ["TW501"]


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ("a,b", [(0, "a"), (2, "b")]),
        (' a , "b, ""c""" ,', [(0, "a"), (4, 'b, "c"'), (17, "")]),
        ("", [(0, "")]),
        ('"a"', [(0, "a")]),
        ('"a', None),
        ('"a"b', None),
        ('a"b"', None),
    ],
)
def test_cells_of_a_line(line: str, cells: list[tuple[int, str]] | None) -> None:
    assert cells_of(line) == cells
