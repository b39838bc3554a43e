"""The tables of the simulated city: those of the shipped pack for its years, others where they are asked for."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest

from treasury_watch.adapters.rulefiles import default_rules, load
from treasury_watch.adapters.simulate import simulate, write_city
from treasury_watch.adapters.simulation.city import GARAGES, KEEPS_VENDOR_LISTS, MEETING_STANDARD, VENUES
from treasury_watch.adapters.simulation.payments import FEWEST_UNITS
from treasury_watch.adapters.simulation.tables import write_tables
from treasury_watch.adapters.simulation.workdays import is_working
from treasury_watch.domain.verdict import Decision
from treasury_watch.engine import Engine, Program
from treasury_watch.rules.schema import RuleSet

NAMES = ("official_cards", "unit_accounts", "allotments", "unit_budgets")


@pytest.fixture(scope="module")
def pack() -> RuleSet:
    return load(default_rules())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_rules(), tmp_path / "rules"))


def test_the_shipped_tables_are_those_of_the_smallest_city_for_two_years(pack: RuleSet, copy: Path) -> None:
    write_tables(copy / "tables", FEWEST_UNITS, [2026, 2025])
    written = load(copy)
    for name in NAMES:
        assert written.tables[name].rows == pack.tables[name].rows
    assert written.reference == pack.reference


def test_the_lists_and_standards_that_the_city_keeps_to_are_shipped(pack: RuleSet) -> None:
    assert {each.name for each in VENUES} <= set(pack.lists["designated_venues"].entries)
    assert {each.name for each in GARAGES} <= set(pack.lists["designated_garages"].entries)
    ((_, register),) = pack.tables["vendor_registers"].rows[(KEEPS_VENDOR_LISTS.code,)]
    assert register["venues"] is register["garages"] is True
    ((_, standard),) = pack.tables["meeting_standards"].rows[("三类",)]
    assert standard["standard"] == MEETING_STANDARD


def test_the_city_works_on_the_days_of_the_shipped_calendar(pack: RuleSet) -> None:
    calendar = pack.calendars["cn"]
    days = [date(2025, 1, 1) + timedelta(days=each) for each in range(730)]
    assert [day for day in days if calendar.works(day) is not is_working(day)] == []


@pytest.mark.parametrize("with_tables", [False, True])
def test_another_year_needs_tables_of_its_own(copy: Path, with_tables: bool) -> None:
    size = {"payments": 3_000, "days": 1, "start": date(2028, 3, 1)}
    if with_tables:
        write_city(copy / "tables", **size)  # type: ignore[arg-type]
    verdicts: Counter[str] = Counter()
    engine = Engine(Program(load(copy)))
    ordinary = [each.instruction for each in simulate(4, **size) if not each.label]  # type: ignore[arg-type]
    for decision in engine.assess(ordinary):
        assert isinstance(decision, Decision)
        verdicts[decision.verdict] += 1
    assert verdicts["pass" if with_tables else "prohibit"] > 0.98 * len(ordinary)
