"""Counting: what windows, periods, dated values and currencies come to for each instruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.engine.paying import BOUNDARY, LARGE, PAID, decision, engine_of, pay, shows, values_of, verdicts
from tests.rulesets import DAY, HOUR, aggregate, leaf, make_rule, ref, yuan
from treasury_watch.domain.verdict import Text
from treasury_watch.rules.schema import All, Any_, Condition, Dated, Param, Table, WordList

# --- what counts ---


def test_the_second_payment_of_a_batch_sees_the_first() -> None:
    engine = engine_of(make_rule("SUM", leaf(ref(PAID), "gt", yuan("100.00"))))
    assert verdicts(engine.assess([pay(1, amount="100.00"), pay(2, amount="0.01")])) == ["pass", "intercept"]


def test_an_intercepted_payment_counts_as_attempted_and_not_as_executed() -> None:
    executed = aggregate("count", "instruction_id", window_us=HOUR)
    attempted = aggregate("count", "instruction_id", window_us=HOUR, population="attempted")
    payments = [pay(1, amount="5000.00"), pay(2), pay(3, amount="6000.00"), pay(4)]
    assert values_of(executed, payments, LARGE) == ["1", "1", "2", "2"]
    assert values_of(attempted, payments, LARGE) == ["1", "2", "3", "4"]


@pytest.mark.parametrize(("action", "counts"), [("record", "2"), ("warn", "2"), ("intercept", "1"), ("prohibit", "1")])
def test_a_payment_that_was_warned_of_is_executed_and_a_held_one_is_not(action: Any, counts: str) -> None:
    counted = aggregate("count", "instruction_id", window_us=HOUR)
    payments = [pay(1, amount="5000.00"), pay(2)]
    assert values_of(counted, payments, replace(LARGE, action=action)) == ["1", counts]


def test_each_value_of_the_partition_key_has_its_own_windows() -> None:
    payments = [pay(1, amount="1.00"), pay(2, amount="2.00", jurisdiction="420200"), pay(3, amount="4.00")]
    assert values_of(PAID, payments) == ["1.00", "2.00", "5.00"]


@pytest.mark.parametrize(
    ("partition_by", "same"),
    [
        ("budget_unit", False),
        ("project", True),
        ("voucher_date", True),
        ("attributes.street", False),
    ],
)
def test_windows_are_kept_by_whatever_field_is_the_partition_key(partition_by: str, same: bool) -> None:
    """A missing one is a value of its own."""
    payments = [pay(1), pay(2, budget_unit="102", attributes={"street": "江汉"})]
    counted = aggregate("count", "instruction_id", window_us=HOUR)
    assert values_of(counted, payments, partition_by=partition_by) == ["1", "2" if same else "1"]


def test_refunds_and_corrections_reduce_sums() -> None:
    payments = [pay(1, amount="100.00"), pay(2, amount="-40.00"), pay(3, amount="-60.01")]
    assert values_of(PAID, payments) == ["100.00", "60.00", "-0.01"]


def test_keys_are_compared_in_normal_form_and_missing_ones_make_the_feature_missing() -> None:
    payments = [
        pay(1, payee_account="6222 01", payee_name="甲　公司"),
        pay(2, payee_account="6222-01", payee_name=" 甲 公司"),
        pay(3, payee_account=None, payee_name="甲 公司"),
        pay(4, payee_account="６２２２０１", payee_name="甲 公司"),
    ]
    counted = aggregate("count", "instruction_id", "payee_account", "payee_name", window_us=HOUR)
    assert values_of(counted, payments) == ["1", "2", None, "3"]


def test_keys_of_several_fields_do_not_run_into_each_other() -> None:
    pairs = [("1", "2|3"), ("1|2", "3"), ("1|1|2", "3"), ("", "1|2|3"), ("1", "2|3")]
    payments = [pay(n, voucher_no=a, project=b) for n, (a, b) in enumerate(pairs)]
    counted = aggregate("count", "instruction_id", "voucher_no", "project", window_us=HOUR)
    assert values_of(counted, payments) == ["1", "1", "1", "1", "2"]


def test_long_keys_are_told_apart_by_all_of_their_text() -> None:
    long = "办" * 200
    payments = [pay(1, purpose=long + "甲"), pay(2, purpose=long + "乙"), pay(3, purpose=long + "甲")]
    assert values_of(aggregate("count", "instruction_id", "purpose", window_us=HOUR), payments) == ["1", "1", "2"]


@pytest.mark.parametrize(
    "where",
    [
        leaf("settlement", "eq", "transfer"),
        leaf("amount", "gt", yuan("0.00")),
        leaf("purpose", "contains", "办公"),
        All((leaf("settlement", "eq", "transfer"), leaf("amount", "gt", yuan("0.00")))),
        Any_((leaf("settlement", "eq", "cash"), leaf("settlement", "eq", "transfer"))),
    ],
)
def test_a_payment_that_a_window_counts_is_one_however_its_rule_is_asked(where: Condition) -> None:
    counted = aggregate("count", "instruction_id", where=where, window_us=HOUR)
    beside = (
        make_rule("CASH", leaf("settlement", "eq", "cash"), action="record"),
        *(
            make_rule(f"WORD{word}", leaf("purpose", "contains", word), action="record")
            for word in ("会议", "培训", "差旅")
        ),
    )
    payments = [pay(1), pay(2, settlement="cheque", amount="-1.00", purpose="退款"), pay(3)]
    assert values_of(counted, payments, *beside) == ["1", "1", "2"]


def test_a_window_asks_for_another_window_as_it_was_when_each_payment_was_judged() -> None:
    """Counts the payments that were the third of their hour, also those of which no rule asked it at the time."""
    hourly = aggregate("count", "instruction_id", window_us=HOUR)
    thirds = aggregate("count", "instruction_id", where=leaf(ref(hourly), "eq", 3), window_us=DAY)
    rule = make_rule("F", All((leaf("amount", "gt", yuan("1.00")), leaf(ref(thirds), "gte", 1))), action="warn")
    payments = [pay(n, n / 10, amount="1.00") for n in range(5)]
    engine = engine_of(rule)
    assert verdicts(engine.assess([*payments[:2], pay(8, 0.15)])) == ["pass", "pass", "warn"]
    assert verdicts(engine_of(rule).assess([*payments[:3], pay(9, 9)])) == ["pass", "pass", "pass", "warn"]
    assert verdicts(engine_of(rule).assess([*payments[:2], pay(9, 9)])) == ["pass", "pass", "pass"]


@pytest.mark.parametrize(
    ("field", "values", "distinct"),
    [
        ("attributes.x", ["甲", "乙", "甲"], ["1", "2", "2"]),
        ("attributes.x", [1, 1.0, "1"], ["1", "1", "1"]),
        ("attributes.x", [1, True, 0.1], ["1", "2", "3"]),
        ("attributes.x", [None, 2, None], ["0", "1", "1"]),
        ("payee_name", ["甲", " 甲 ", "乙"], ["1", "1", "2"]),
        ("green_channel", [True, False, True], ["1", "2", "2"]),
        ("voucher_date", [date(2025, 1, 1), None, date(2025, 1, 2)], ["1", "1", "2"]),
        ("event_time", ["2025-03-05T23:59:59+08:00", "2025-03-06T00:00:00+08:00"], ["1", "2"]),
        ("amount", ["1.00", "-1.00", "1.00"], ["1", "2", "2"]),
    ],
)
def test_different_values_are_counted_exactly(field: str, values: list[Any], distinct: list[str]) -> None:
    local = field.removeprefix("attributes.")
    payments = [
        pay(n, **({field: value} if local == field else {"attributes": {} if value is None else {local: value}}))
        for n, value in enumerate(values)
    ]
    assert values_of(aggregate("distinct", field, window_us=DAY), payments) == distinct


def test_numbers_and_truth_values_of_local_fields_do_not_mix() -> None:
    rule = make_rule(
        "X", leaf("instruction_id", "is_missing", False), action="record", reason=Text(zh="{least}", en="{channels}"),
        features={
            "channels": aggregate("distinct", "green_channel", window_us=DAY),
            "least": aggregate("min", "attributes.x", window_us=DAY),
            "total": aggregate("sum", "attributes.x", window_us=DAY),
        },
    )  # fmt: skip
    engine = engine_of(rule)
    payments = [
        pay(1, green_channel=True, attributes={"x": True}),
        pay(2, attributes={"x": 1}),
        pay(3, attributes={"x": 0.1}),
    ]
    evidence = [each.hits[0].evidence for each in engine.assess(payments)]  # type: ignore[union-attr]
    assert [each.get("least") for each in evidence] == [None, "1", "0.1000"]
    assert [each["total"] for each in evidence] == ["0", "1", "1.1000"]


def test_a_local_field_groups_by_its_value_whatever_its_type() -> None:
    counted = aggregate("count", "instruction_id", "attributes.x", window_us=HOUR)
    payments = [
        pay(n, attributes=x) for n, x in enumerate([{"x": 1}, {"x": "1"}, {"x": 2}, {"x": True}, None, {"x": 1.0}])
    ]
    assert values_of(counted, payments) == ["1", "2", "1", "1", None, "3"]


# --- days and years ---


def test_a_year_ends_at_midnight_of_the_rule_sets_zone() -> None:
    yearly = aggregate("sum", "amount", period="fiscal_year")
    monthly = aggregate("sum", "amount", period="month")
    at = ["2025-12-31T23:59:59.999999+08:00", "2026-01-01T00:00:00+08:00", "2026-01-01T08:00:00+08:00"]
    payments = [pay(n, event_time=time, amount="1.00") for n, time in enumerate(at)]
    assert values_of(yearly, payments) == ["1.00", "1.00", "2.00"]
    assert values_of(monthly, payments) == ["1.00", "1.00", "2.00"]
    assert values_of(yearly, payments, timezone="UTC") == ["1.00", "2.00", "1.00"]


def test_the_fiscal_year_is_the_one_given_or_that_of_the_local_day() -> None:
    payments = [
        pay(1, event_time="2025-12-31T23:00:00+08:00"),
        pay(2, event_time="2026-01-01T01:00:00+08:00", fiscal_year=2025),  # paid in January for December
        pay(3, event_time="2026-01-01T02:00:00+08:00"),
        pay(4, event_time="2026-01-01T03:00:00+08:00", fiscal_year=2025),
        pay(5, event_time="2026-01-01T03:00:00+08:00", fiscal_year=2026),
        pay(6, event_time="2026-01-01T04:00:00+08:00", fiscal_year=2027),
    ]
    counted = aggregate("count", "instruction_id", period="fiscal_year")
    assert values_of(counted, payments) == ["1", "2", "1", "3", "2", "1"]


@pytest.mark.parametrize(("year", "value"), [(2023, None), (2024, "1"), (2026, "1"), (2027, None)])
def test_a_fiscal_year_far_from_the_payment_has_no_total(year: int, value: str | None) -> None:
    counted = aggregate("count", "instruction_id", period="fiscal_year")
    assert values_of(counted, [pay(1, fiscal_year=year)]) == [value]


def test_a_late_payment_of_the_day_before_is_counted_in_its_own_day() -> None:
    at = ["2025-03-05T23:59:59+08:00", "2025-03-06T00:00:01+08:00", "2025-03-05T23:59:59+08:00"]
    payments = [pay(n, event_time=time, amount="1.00") for n, time in enumerate(at)]
    assert values_of(aggregate("sum", "amount", period="day"), payments) == ["1.00", "1.00", "2.00"]


@pytest.mark.parametrize(
    ("period", "first"),
    [
        ("day", "2025-03-05T00:00:00+08:00"),
        ("week", "2025-03-03T00:00:00+08:00"),
        ("month", "2025-03-01T00:00:00+08:00"),
        ("quarter", "2025-01-01T00:00:00+08:00"),
    ],
)
def test_a_period_begins_with_its_first_microsecond(period: Any, first: str) -> None:
    start = datetime.fromisoformat(first)
    before = pay(1, event_time=start - timedelta(microseconds=1), amount="1.00")
    payments = [before, pay(2, event_time=start, amount="2.00"), pay(3, amount="4.00")]
    assert values_of(aggregate("sum", "amount", period=period), payments) == ["1.00", "2.00", "6.00"]


def test_a_dated_param_changes_at_midnight_of_the_rule_sets_zone() -> None:
    limit = Param("limit", {None: (Dated(date(2025, 1, 1), yuan("100.00")), Dated(date(2025, 7, 1), yuan("200.00")))})
    rule = make_rule("DATED", leaf("amount", "gte", limit), params={"limit": limit}, reason=Text(zh="{limit}", en=""))
    payments = [pay(n, event_time=time, amount="199.99") for n, time in enumerate(BOUNDARY)]
    assert verdicts(engine_of(rule).assess(payments)) == ["intercept", "pass"]
    assert verdicts(engine_of(rule, timezone="UTC").assess(payments)) == ["intercept", "intercept"]


def test_a_late_instruction_is_judged_by_the_params_of_its_own_day() -> None:
    limit = Param("limit", {None: (Dated(date(2025, 1, 1), yuan("100.00")), Dated(date(2025, 7, 1), yuan("200.00")))})
    rule = make_rule("DATED", leaf("amount", "gte", limit), params={"limit": limit})
    late = [pay(n, event_time=time, amount="199.99") for n, time in enumerate(reversed(BOUNDARY))]
    assert verdicts(engine_of(rule).assess(late)) == ["pass", "intercept"]


@pytest.mark.parametrize(
    ("unit_level", "amount", "verdict"),
    [
        ("county", "50.00", "intercept"),
        ("county", "49.99", "pass"),
        ("city", "100.00", "intercept"),
        ("city", "99.99", "pass"),
        (None, "100.00", "intercept"),  # without a level the default holds
        ("town", "1.00", "warn"),  # the town's own value starts in 2026 only: until then there is none
    ],
)
def test_a_segmented_param_is_that_of_the_segment_or_the_default(
    unit_level: str | None, amount: str, verdict: str
) -> None:
    limit = Param(
        "limit",
        {
            None: (Dated(None, yuan("100.00")),),
            "county": (Dated(None, yuan("50.00")),),
            "town": (Dated(date(2026, 1, 1), yuan("1.00")),),
        },
        "unit_level",
    )
    rule = make_rule("SEG", leaf("amount", "gte", limit), params={"limit": limit}, on_missing="warn")
    assert decision(engine_of(rule), pay(1, unit_level=unit_level, amount=amount)).verdict == verdict


def test_a_rule_is_in_effect_from_its_first_day_and_until_before_its_last() -> None:
    rule = replace(LARGE, effective_from=date(2025, 7, 1), effective_until=date(2025, 7, 3))
    at = [*BOUNDARY, "2025-07-02T23:59:59.999999+08:00", "2025-07-03T00:00:00+08:00"]
    payments = [pay(n, event_time=time, amount="9000.00") for n, time in enumerate(at)]
    assert verdicts(engine_of(rule).assess(payments)) == ["pass", "intercept", "intercept", "pass"]


def test_windows_are_kept_before_a_rule_takes_effect() -> None:
    rule = make_rule("SUM", leaf(ref(PAID), "gte", yuan("2.00")), effective_from=date(2025, 7, 1))
    payments = [pay(n, event_time=time, amount="1.00") for n, time in enumerate(BOUNDARY)]
    assert verdicts(engine_of(rule).assess(payments)) == ["pass", "intercept"]


def test_an_entry_of_a_list_counts_up_to_and_including_its_last_day() -> None:
    rule = make_rule("LIST", leaf("payee_account", "in_list", WordList("debarred")))
    engine = engine_of(rule, lists={"debarred": {"6222 01": date(2025, 6, 30), "6222 02": None}})
    payments = [pay(n, event_time=time, payee_account="622201") for n, time in enumerate(BOUNDARY)]
    for_ever = pay(9, event_time=BOUNDARY[1], payee_account="６２２２-02")
    assert verdicts(engine.assess([*payments, for_ever])) == [
        "intercept",
        "pass",
        "intercept",
    ]


@pytest.mark.parametrize(
    "entries", [{"6222 01": None, "622201": date(2020, 1, 1)}, {"622201": date(2020, 1, 1), "6222 01": None}]
)
def test_of_two_entries_with_one_normal_form_the_longer_counts(entries: Mapping[str, date | None]) -> None:
    rule = make_rule("LIST", leaf("payee_account", "in_list", WordList("debarred")))
    engine = engine_of(rule, lists={"debarred": entries})
    assert decision(engine, pay(1, payee_account="622201")).verdict == "intercept"


# --- currencies ---

RATES = Table(
    "exchange_rates",
    ("currency",),
    {"currency": "text", "rate": "number"},
    {
        ("USD",): (
            (date(2025, 1, 1), {"rate": Decimal("7.3")}),
            (date(2025, 7, 1), {"rate": Decimal("7.005")}),
            (date(2026, 1, 1), {}),
        ),
        ("KWD",): ((date(2025, 1, 1), {"rate": Decimal("23.6")}),),
    },
)


@pytest.mark.parametrize(
    ("currency", "time", "amount", "value"),
    [
        ("USD", "2025-06-30T23:59:59+08:00", "100.00", "730.00"),
        ("USD", "2025-07-01T00:00:00+08:00", "100.00", "700.50"),
        ("USD", "2025-07-01T00:00:00+08:00", "0.02", "0.14"),  # 0.1401
        ("USD", "2025-07-01T00:00:00+08:00", "-1.00", "-7.00"),  # -7.005: to the even fen
        ("USD", "2025-07-01T00:00:00+08:00", "3.00", "21.02"),  # 21.015: to the even fen
        ("CNY", "2025-07-01T00:00:00+08:00", "100.00", "100.00"),
        (None, "2025-07-01T00:00:00+08:00", "100.00", "100.00"),
    ],
)
def test_an_amount_in_another_currency_is_converted_by_the_rate_of_its_day(
    currency: str | None, time: str, amount: str, value: str
) -> None:
    engine = engine_of(shows(PAID), tables={"exchange_rates": RATES})
    found = decision(engine, pay(1, currency=currency, event_time=time, amount=amount))
    assert found.hits[0].evidence["f"] == value
    assert (found.amount, found.currency) == (amount, currency or "CNY")  # as it was sent


@pytest.mark.parametrize(
    ("currency", "time"),
    [
        ("EUR", "2025-07-01T00:00:00+08:00"),  # no rate at all
        ("USD", "2024-12-31T23:59:59+08:00"),  # none yet
        ("USD", "2026-01-01T00:00:00+08:00"),  # a row without a rate ends the one before
        ("", "2025-07-01T00:00:00+08:00"),
    ],
)
def test_without_a_rate_the_amount_is_missing(currency: str, time: str) -> None:
    rule = replace(LARGE, on_missing="warn")
    engine = engine_of(rule, shows(PAID), tables={"exchange_rates": RATES})
    found = decision(engine, pay(1, currency=currency, event_time=time, amount="9000.00"))
    assert found.verdict == "warn"
    assert found.hits[0].missing == ("amount",)
    assert found.hits[1].evidence["f"] == "0.00"
    assert found.currency == currency


def test_an_amount_that_no_payment_can_have_is_missing() -> None:
    engine = engine_of(replace(LARGE, on_missing="warn"), tables={"exchange_rates": RATES})
    found = decision(engine, pay(1, currency="KWD", amount="9999999999999999.99"))
    assert found.hits[0].missing == ("amount",)
    assert decision(engine, pay(2, currency="KWD", amount="-9999999999999999.99")).hits[0].missing == ("amount",)


def test_without_a_table_of_rates_every_other_currency_is_missing() -> None:
    found = decision(engine_of(replace(LARGE, on_missing="intercept")), pay(1, currency="USD"))
    assert (found.verdict, found.hits[0].missing) == ("intercept", ("amount",))
