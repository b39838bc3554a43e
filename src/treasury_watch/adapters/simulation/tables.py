"""The reference tables that rules look the simulated city up in: its cards, accounts, allotments and budgets.

The shipped `rules/tables` hold those of the smallest city for 2025 and 2026; a larger city, or another year, needs its
own. Nothing here depends on a seed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from treasury_watch.adapters.simulation.city import (
    ALLOTMENT,
    BUDGETED_UNITS,
    JURISDICTIONS,
    SHARED_ALLOTMENTS,
    SMALL_ALLOTMENT,
    allotment_of,
    official_cards,
    small_allotment_of,
    unit_budgets,
    unit_of,
)
from treasury_watch.adapters.simulation.names import account_number

Row = tuple[object, ...]


class CityTable(NamedTuple):
    """A table as rule sets declare it, with its rows; amounts are whole yuan, an empty text is no value."""

    name: str
    basis: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    rows: tuple[Row, ...]
    dated: str | None = None

    def declaration(self) -> str:
        columns = ", ".join(f"{name}: {kind}" for name, kind in self.columns.items())
        return (
            f"# Of the simulated city, written by `treasury-watch simulate --tables`.\n"
            f"table: {self.name}\nowner: simulation@example.gov\nbasis: {self.basis}\n"
            f"key: [{', '.join(self.key)}]\ncolumns: {{{columns}}}\n" + (f"dated: {self.dated}\n" if self.dated else "")
        )

    def csv(self) -> str:
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        for row in self.rows:
            cells = zip(self.columns.values(), row, strict=True)
            writer.writerow(f"{cell}.00" if kind == "money" and cell != "" else cell for kind, cell in cells)
        return text.getvalue()


def tables(units: int, years: Iterable[int]) -> tuple[CityTable, ...]:
    """The tables of a city of so many units, for payments of those years."""
    years = sorted(set(years))
    return (
        CityTable(
            "official_cards",
            "公务卡管理办法",
            ("card_no",),
            {"card_no": "account", "budget_unit": "text", "card_holder": "name", "credit_limit": "money"},
            tuple((card.number, card.budget_unit, card.holder, card.limit) for card in official_cards()),
        ),
        CityTable(
            "unit_accounts",
            "人民币银行结算账户管理办法",
            ("account",),
            {
                "account": "account",
                "jurisdiction": "text",
                "budget_unit": "text",
                "unit_name": "name",
                "department": "text",
            },
            tuple(_accounts(units)),
        ),
        CityTable(
            "allotments",
            "预算法",
            ("jurisdiction", "allotment_ref"),
            {"jurisdiction": "text", "allotment_ref": "text", "fiscal_year": "integer", "amount": "money"},
            tuple(row for year in years for row in _allotments(year)),
        ),
        CityTable(
            "unit_budgets",
            "党政机关厉行节约反对浪费条例",
            ("jurisdiction", "budget_unit", "department_economic_class"),
            {
                "jurisdiction": "text",
                "budget_unit": "text",
                "department_economic_class": "text",
                "from": "date",
                "fiscal_year": "integer",
                "budget": "money",
                "previous_budget": "money",
            },
            tuple(_budgets(years)),
            dated="from",
        ),
    )


def write_tables(directory: Path, units: int, years: Iterable[int]) -> list[Path]:
    """Writes the tables into a rule set's `tables/`, over those that are there, and returns the paths.

    Raises OSError if it cannot.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for table in tables(units, years):
        for suffix, text in ((".yaml", table.declaration()), (".csv", table.csv())):
            path = directory / (table.name + suffix)
            path.write_text(text, encoding="utf-8", newline="\n")
            written.append(path)
    return written


def _accounts(units: int) -> Iterator[Row]:
    for number in range(units):
        payer = unit_of(number).payer
        yield (
            account_number("9922", number),
            payer["jurisdiction"],
            payer["budget_unit"],
            payer["budget_unit_name"],
            payer["department"],
        )


def _allotments(year: int) -> Iterator[Row]:
    for number in range(SHARED_ALLOTMENTS):
        yield unit_of(number).payer["jurisdiction"], allotment_of(number, year), year, ALLOTMENT
    for place, jurisdiction in enumerate(JURISDICTIONS):
        yield jurisdiction.code, small_allotment_of(place, year), year, SMALL_ALLOTMENT


def _budgets(years: list[int]) -> Iterator[Row]:
    for number in BUDGETED_UNITS:
        payer = unit_of(number).payer
        for subject in unit_budgets(years[0]) if years else ():
            for year in years:
                before = unit_budgets(year - 1)[subject] if year - 1 in years else ""
                key = (payer["jurisdiction"], payer["budget_unit"], subject)
                yield *key, f"{year}-01-01", year, unit_budgets(year)[subject], before
