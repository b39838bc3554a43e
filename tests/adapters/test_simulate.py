from __future__ import annotations

import hashlib
import io
import json
from collections import Counter, defaultdict
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treasury_watch.adapters.rulefiles import default_rules, load
from treasury_watch.adapters.simulate import Simulated, simulate, write_simulation
from treasury_watch.adapters.simulation.city import DEBARRED, official_cards, unit_of
from treasury_watch.adapters.simulation.violations import KINDS
from treasury_watch.adapters.simulation.workdays import busyness, is_working, next_working
from treasury_watch.adapters.wire import decode
from treasury_watch.domain.payment import Instruction
from treasury_watch.rules.schema import RuleSet

NEED_DAYS = {
    *("cash_month", "cash_year", "duplicate_30d", "duplicate_invoice_30d", "often_in_a_week", "changed_account"),
}
NEED_THE_FOURTH_QUARTER = {"prepayment_in_autumn", "prepayment_in_december", "year_end_rush"}


@pytest.fixture(scope="module")
def pack() -> RuleSet:
    return load(default_rules())


@pytest.fixture(scope="module")
def month() -> list[Simulated]:
    """A busy month: 20,000 instructions of March 2026."""
    return list(simulate(seed=7, payments=20_000, days=31, start=date(2026, 3, 1)))


def tomorrow(instruction: Instruction) -> datetime:
    return datetime.combine(instruction.event_time.date() + timedelta(days=1), time(0), instruction.event_time.tzinfo)


def written(seed: int, payments: int, days: int = 1) -> bytes:
    out, labels = io.BytesIO(), io.BytesIO()
    write_simulation(seed, payments, out, labels, days)
    return out.getvalue() + labels.getvalue()


# --- the same seed gives the same bytes ---


def test_the_bytes_of_a_seed_never_change() -> None:
    # A change of the simulation changes it: then it is a changelog entry.
    digest = hashlib.sha256(written(seed=7, payments=3_000, days=20)).hexdigest()
    assert digest == "8cf2fdca001b4a546fc29acf6ae14ae6b0da223309f5e44977e9d96b02cc7893"


def test_another_seed_gives_other_payments() -> None:
    assert written(seed=1, payments=50) != written(seed=2, payments=50)


# --- instructions ---


def test_every_line_is_an_instruction_that_a_worker_accepts() -> None:
    lines = written(seed=3, payments=2_000).splitlines()[:2_000]
    decoded = [decode(line) for line in lines]
    assert all(isinstance(each, Instruction) for each in decoded)
    assert decoded == [each.instruction for each in simulate(seed=3, payments=2_000)]


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 2**63 - 1), st.integers(0, 300), st.integers(1, 40), st.dates(date(2025, 1, 1), date(2026, 12, 31))
)
def test_there_are_as_many_as_asked_for_on_the_days_asked_for(seed: int, payments: int, days: int, start: date) -> None:
    instructions = [each.instruction for each in simulate(seed, payments, days, start)]
    assert len({each.instruction_id for each in instructions}) == len(instructions) == payments
    assert all(start <= each.event_time.date() < start + timedelta(days=days) for each in instructions)
    assert all(len(each.instruction_id) <= 64 for each in instructions)


def test_event_times_rise_in_each_jurisdiction_but_for_a_few_late_ones(month: list[Simulated]) -> None:
    newest: dict[str, object] = {}
    late = 0
    for instruction, _ in month:
        seen = newest.get(instruction.jurisdiction, instruction.event_time)
        late += instruction.event_time < seen  # type: ignore[operator]
        newest[instruction.jurisdiction] = max(seen, instruction.event_time)  # type: ignore[type-var]
    assert 0.001 < late / len(month) < 0.01
    assert len(newest) == 9


def test_refunds_and_corrections_are_negative_and_name_a_payment_of_their_unit(month: list[Simulated]) -> None:
    by_id = {each.instruction.instruction_id: each.instruction for each in month}
    corrections = [each.instruction for each in month if each.instruction.corrects and not each.label]
    assert len(corrections) > 100
    for each in corrections:
        original = by_id[each.corrects or ""]
        assert (each.budget_unit, each.payee_account) == (original.budget_unit, original.payee_account)
        assert -Decimal(original.amount) <= Decimal(each.amount) < 0
        assert each.business_type == "correction"
    assert [each for each in by_id.values() if Decimal(each.amount) <= 0 and not each.corrects] == []


def test_a_salary_batch_is_one_line_per_person_of_one_unit(month: list[Simulated]) -> None:
    batches: dict[str, list[Instruction]] = defaultdict(list)
    for instruction, label in month:
        if instruction.business_type == "salary" and not label:
            batches[instruction.batch_id or ""].append(instruction)
    assert len(batches) > 50
    for lines in batches.values():
        assert [each.line_no for each in lines] == list(range(1, len(lines) + 1))
        assert len({(each.jurisdiction, each.budget_unit, each.voucher_no, each.purpose) for each in lines}) == 1
        assert len({each.payee_account for each in lines}) == len(lines)


def test_one_company_has_one_account_and_one_account_one_name(month: list[Simulated]) -> None:
    accounts: dict[str | None, set[str | None]] = defaultdict(set)
    names: dict[str | None, set[str | None]] = defaultdict(set)
    for instruction, label in month:
        if instruction.payee_kind == "organisation" and not label:
            accounts[instruction.payee_name].add(instruction.payee_account)
            names[instruction.payee_account].add(instruction.payee_name)
    assert len(accounts) > 2_000
    assert max(map(len, accounts.values())) == max(map(len, names.values())) == 1


def test_units_of_a_jurisdiction_differ_in_code_and_name() -> None:
    units = [unit_of(number).payer for number in range(5_000)]
    assert len({(each["jurisdiction"], each["budget_unit"]) for each in units}) == 5_000
    assert len({(each["jurisdiction"], each["budget_unit_name"]) for each in units}) == 5_000


# --- the calendar ---


@pytest.mark.parametrize(
    ("day", "working"),
    [
        ("2025-01-01", False),  # 元旦
        ("2025-01-26", True),  # Sunday made up
        ("2025-01-27", True),
        ("2025-01-28", False),  # 除夕
        ("2025-02-04", False),
        ("2025-02-05", True),
        ("2025-10-08", False),
        ("2025-10-11", True),  # Saturday made up
        ("2026-01-04", True),  # Sunday made up
        ("2026-02-14", True),  # Saturday made up
        ("2026-02-15", False),
        ("2026-02-23", False),
        ("2026-02-24", True),
        ("2026-05-09", True),  # Saturday made up
        ("2026-10-07", False),
        ("2026-10-08", True),
        ("2026-11-21", False),  # an ordinary Saturday
        ("2026-11-23", True),  # an ordinary Monday
    ],
)
def test_holidays_and_made_up_days_are_those_of_the_state_council(day: str, working: bool) -> None:
    assert is_working(date.fromisoformat(day)) is working


def test_the_day_after_a_long_holiday_is_the_next_working_day() -> None:
    assert next_working(date(2026, 2, 15)) == date(2026, 2, 24)
    assert next_working(date(2026, 2, 14)) == date(2026, 2, 14)


def test_december_rushes_and_free_days_keep_a_duty_desk() -> None:
    by_day: Counter[date] = Counter()
    for instruction, _ in simulate(seed=1, payments=10_000, days=62, start=date(2026, 11, 1)):
        by_day[instruction.event_time.date()] += 1
    november = [by_day[date(2026, 11, day)] for day in range(1, 31) if is_working(date(2026, 11, day))]
    assert by_day[date(2026, 12, 31)] > 3 * max(november)
    assert 0 < by_day[date(2026, 11, 7)] < min(november) / 20
    assert busyness(date(2026, 12, 31)) > busyness(date(2026, 12, 14)) > busyness(date(2026, 11, 16))


# --- planted violations ---


def test_a_day_of_two_thousand_payments_has_every_kind_that_fits_a_march_day() -> None:
    planted = {each.label.kind for each in simulate(seed=5, payments=2_000) if each.label}
    assert planted == {kind.name for kind in KINDS} - NEED_DAYS - NEED_THE_FOURTH_QUARTER


def test_labels_name_the_parts_of_their_violation_and_of_which_row_it_is(month: list[Simulated]) -> None:
    seen: dict[str, list[str]] = defaultdict(list)
    rows = {kind.name: kind.row for kind in KINDS}
    for instruction, label in month:
        if label:
            seen[label.violation].append(instruction.instruction_id)
            assert label.instruction_ids == tuple(seen[label.violation])
            assert label.part == len(label.instruction_ids) <= label.parts
            assert label.row == rows[label.kind]
            assert not (label.near_miss and label.rule_ids)
    assert max(map(len, seen.values())) > 5


def test_after_hours_a_payment_comes_as_the_last_of_its_day(month: list[Simulated]) -> None:
    late = [each for each in month if each.label and each.label.kind == "after_hours" and not each.label.near_miss]
    assert late
    for instruction, _ in late:
        assert 18 <= instruction.event_time.hour < 23
        assert [each for each, _ in month if instruction.event_time < each.event_time < tomorrow(instruction)] == []


def test_the_cards_and_debarred_payees_of_the_city_are_those_of_the_shipped_pack(pack: RuleSet) -> None:
    rows = pack.tables["official_cards"].rows
    assert len(rows) == len(official_cards())
    for card in official_cards():
        ((_, row),) = rows[(card.number,)]
        assert (row["credit_limit"], row["card_holder"]) == (card.limit, card.holder)
        assert row["budget_unit"] == unit_of(card.unit).payer["budget_unit"]
    assert set(pack.lists["debarred_accounts"].entries) == {each.account for each in DEBARRED}
    assert set(pack.lists["debarred_names"].entries) == {each.name for each in DEBARRED}


def test_ordinary_payments_are_approved_by_somebody_else(month: list[Simulated]) -> None:
    assert all(each.instruction.initiator != each.instruction.approver for each in month if not each.label)


# --- files ---


def test_labels_go_to_their_own_file_and_the_summary_counts_both() -> None:
    out, labels, seen = io.BytesIO(), io.BytesIO(), []
    summary = write_simulation(9, 2_500, out, labels, days=2, progress=seen.append)
    told = [json.loads(line) for line in labels.getvalue().splitlines()]
    ids = {json.loads(line)["instruction_id"] for line in out.getvalue().splitlines()}
    assert len(ids) == summary.instructions == 2_500
    assert Counter(each["kind"] for each in told) == summary.planted
    assert summary.labelled == len(told) == len({each["instruction_id"] for each in told} & ids)
    assert sum(each == {**each, "kind": "same_person", "rule_ids": ["ROLE-001"]} for each in told) > 0
    assert seen == [1_000, 2_000, 2_500]
    assert summary.earliest is not None
    assert summary.latest is not None
    assert (summary.earliest.day, summary.latest.day) == (2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1, "payments": 1}, "seed"),
        ({"seed": 2**63, "payments": 1}, "seed"),
        ({"seed": 1, "payments": -1}, "payments"),
        ({"seed": 1, "payments": 1, "days": 0}, "at least one day"),
        ({"seed": 1, "payments": 1, "days": 2, "start": date(9999, 12, 30)}, "year 9999"),
    ],
)
def test_impossible_sizes_are_refused_in_one_sentence(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(**arguments)  # type: ignore[arg-type]
