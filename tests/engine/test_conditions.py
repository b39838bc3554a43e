"""Every operator on every sort of value, case by case: the compiled and the interpreted answer are the written one."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.builders import make_instruction
from tests.engine.bench import Bench
from tests.rulesets import DAY, HOUR, aggregate, always, leaf, ref, yuan
from treasury_watch.domain.calendar import Days
from treasury_watch.domain.payment import microseconds
from treasury_watch.rules.forms.anomaly import Anomaly
from treasury_watch.rules.forms.arithmetic import Arithmetic
from treasury_watch.rules.forms.first_seen import FirstSeen
from treasury_watch.rules.forms.lookup import Lookup, column_kind
from treasury_watch.rules.operators import OPERATORS
from treasury_watch.rules.operators.working_time import Hours, Office
from treasury_watch.rules.schema import (
    All,
    Any_,
    Calendar,
    CalendarYear,
    Condition,
    Dated,
    FeatureRef,
    FieldRef,
    Not,
    Param,
    Table,
    WordList,
)

LISTS = {
    "accounts": {"6222 01": None, "622202": date(2025, 3, 5), "622203": date(2025, 3, 4)},
    "words": {"烟": None, "酒": None, "礼 品": date(2025, 3, 5), "茶": date(2025, 3, 4)},
}
TYPES = {
    "unit": "text", "limit": "money", "rank": "integer", "rate": "number", "holder": "name", "card": "account",
    "open": "boolean", "since": "date", "code": "text",
}  # fmt: skip
ROW = {
    "limit": Decimal("5.00"), "rank": 2, "rate": Decimal("0.25"), "holder": "张 敏", "card": "6222-01", "open": True,
    "since": date(2025, 3, 5), "code": "甲",
}  # fmt: skip
TABLES = {
    "units": Table("units", ("unit",), TYPES, {("101001",): ((None, ROW),)}),
    "dated": Table(
        "dated", ("holder", "card"), {"holder": "name", "card": "account", "limit": "money"},
        {
            ("张 敏", "622201"): (
                (date(2025, 1, 1), {"limit": Decimal("1.00")}),
                (date(2025, 3, 5), {"limit": Decimal("2.00")}),
                (date(2025, 3, 6), {}),
            )
        },
    ),
}  # fmt: skip


def column(name: str) -> Lookup:
    return Lookup("units", ("budget_unit",), name)


def looked_up(name: str) -> FeatureRef:
    return ref(column(name))


TRUE, FALSE, MISSING = True, False, None
CASES: list[tuple[Any, str, Any, dict[str, Any], bool | None]] = [
    # money: exact, in yuan; the amount is 1234.50
    ("amount", "eq", yuan("1234.50"), {}, TRUE),
    ("amount", "eq", 1234, {}, FALSE),
    ("amount", "eq", Decimal("1234.505"), {}, FALSE),
    ("amount", "ne", yuan("1234.51"), {}, TRUE),
    ("amount", "gt", yuan("1234.49"), {}, TRUE),
    ("amount", "gt", yuan("1234.50"), {}, FALSE),
    ("amount", "gte", yuan("1234.50"), {}, TRUE),
    ("amount", "gte", yuan("1234.51"), {}, FALSE),
    ("amount", "lt", yuan("1234.50"), {}, FALSE),
    ("amount", "lte", yuan("1234.50"), {}, TRUE),
    ("amount", "lt", yuan("0.00"), {"amount": "-0.01"}, TRUE),
    ("amount", "between", (yuan("1234.50"), yuan("2000.00")), {}, TRUE),
    ("amount", "between", (yuan("1000.00"), yuan("1234.50")), {}, TRUE),
    ("amount", "between", (yuan("1234.51"), yuan("2000.00")), {}, FALSE),
    ("amount", "in", (yuan("1.00"), yuan("1234.50")), {}, TRUE),
    ("amount", "not_in", (yuan("1.00"), yuan("1234.50")), {}, FALSE),
    ("amount", "multiple_of", yuan("0.50"), {}, TRUE),
    ("amount", "multiple_of", yuan("100.00"), {}, FALSE),
    ("amount", "multiple_of", yuan("100.00"), {"amount": "-300.00"}, TRUE),
    ("amount", "multiple_of", yuan("100.00"), {"amount": "0.00"}, TRUE),
    ("amount", "gt", yuan("1.00"), {"currency": "USD"}, MISSING),
    ("amount", "gte", column("limit"), {}, TRUE),
    ("amount", "gte", column("limit"), {"amount": "4.99"}, FALSE),
    ("amount", "gte", column("limit"), {"budget_unit": "none"}, MISSING),
    ("amount", "gte", always(yuan("1234.50")), {}, TRUE),
    ("amount", "gte", Param("p", {None: (Dated(date(2025, 3, 6), 1),)}), {}, MISSING),
    ("amount", "between", (yuan("1.00"), column("limit")), {"budget_unit": "none", "amount": "0.99"}, FALSE),
    ("amount", "between", (yuan("1.00"), column("limit")), {"budget_unit": "none"}, MISSING),
    ("amount", "in", (column("limit"), yuan("1234.50")), {"budget_unit": "none"}, TRUE),
    ("amount", "in", (column("limit"), yuan("1.00")), {"budget_unit": "none"}, MISSING),
    ("amount", "not_in", (column("limit"), yuan("1234.50")), {"budget_unit": "none"}, FALSE),
    ("amount", "not_in", (column("limit"), yuan("1.00")), {}, TRUE),
    ("amount", "ne", yuan("1234.50"), {}, FALSE),
    ("amount", "ne", yuan("1234.50"), {"currency": "USD"}, MISSING),
    ("amount", "gte", yuan("1234.50"), {"currency": "USD"}, MISSING),
    ("amount", "lte", yuan("1234.49"), {}, FALSE),
    ("amount", "lte", yuan("1234.49"), {"currency": "USD"}, MISSING),
    ("amount", "multiple_of", yuan("100.00"), {"currency": "USD"}, MISSING),
    # whole numbers
    ("line_no", "eq", 7, {"line_no": 7}, TRUE),
    ("line_no", "eq", Decimal("7.0"), {"line_no": 7}, TRUE),
    ("line_no", "gt", Decimal("6.5"), {"line_no": 7}, TRUE),
    ("line_no", "multiple_of", 7, {"line_no": -14}, TRUE),
    ("line_no", "lt", 7, {}, MISSING),
    ("line_no", "eq", -(2**63), {"line_no": -(2**63)}, TRUE),
    ("fiscal_year", "eq", 2025, {}, TRUE),
    ("fiscal_year", "eq", 2024, {"fiscal_year": 2024}, TRUE),
    ("fiscal_year", "eq", 2026, {"event_time": "2025-12-31T16:00:00+00:00"}, TRUE),
    # texts
    ("voucher_no", "eq", "A1", {"voucher_no": "A1"}, TRUE),
    ("voucher_no", "eq", "A1", {"voucher_no": "a1"}, FALSE),
    ("voucher_no", "eq", "A1", {"voucher_no": "A 1"}, FALSE),
    ("voucher_no", "eq", "A1", {}, MISSING),
    ("voucher_no", "ne", "A1", {"voucher_no": ""}, TRUE),
    ("voucher_no", "in", ("A1", "A2"), {"voucher_no": "A2"}, TRUE),
    ("voucher_no", "contains", "1", {"voucher_no": "A1B"}, TRUE),
    ("voucher_no", "starts_with", "A", {"voucher_no": "A1B"}, TRUE),
    ("voucher_no", "starts_with", "B", {"voucher_no": "A1B"}, FALSE),
    ("voucher_no", "ends_with", "1B", {"voucher_no": "A1B"}, TRUE),
    ("voucher_no", "ends_with", FieldRef("project"), {"voucher_no": "A1B"}, MISSING),
    ("voucher_no", "eq", 'quo"te\'{x}\\n', {"voucher_no": 'quo"te\'{x}\\n'}, TRUE),
    ("currency", "eq", "CNY", {}, TRUE),
    ("currency", "eq", "CNY", {"currency": "USD"}, FALSE),
    ("voucher_no", "not_in", ("A1",), {}, MISSING),
    ("voucher_no", "contains", "2", {"voucher_no": "A1B"}, FALSE),
    ("voucher_no", "contains", "1", {}, MISSING),
    ("voucher_no", "starts_with", "A", {}, MISSING),
    ("voucher_no", "ends_with", "1", {"voucher_no": "A1B"}, FALSE),
    ("voucher_no", "same_as", FieldRef("project"), {"voucher_no": "A1", "project": "A2"}, FALSE),
    # names: NFKC, outer and doubled spaces aside
    ("payee_name", "eq", "甲 公司(A)", {"payee_name": " 甲　 公司（Ａ） "}, TRUE),
    ("payee_name", "eq", "甲　公司（A）", {"payee_name": "甲 公司(A)"}, TRUE),
    ("payee_name", "eq", "甲公司", {"payee_name": "甲 公司"}, FALSE),
    ("payee_name", "contains", "公　司", {"payee_name": "甲 公  司 乙"}, TRUE),
    ("payee_name", "same_as", FieldRef("card_holder"), {"payee_name": "张　敏", "card_holder": " 张 敏"}, TRUE),
    ("payee_name", "same_as", FieldRef("card_holder"), {}, MISSING),
    ("payee_name", "eq", column("holder"), {"payee_name": "张  敏"}, TRUE),
    # accounts: NFKC, without spaces and hyphens
    ("payee_account", "eq", "6222-01 0", {"payee_account": "６２２２ 010"}, TRUE),
    ("payee_account", "starts_with", "62 22", {"payee_account": "6-222010"}, TRUE),
    ("payee_account", "same_as", FieldRef("card_no"), {"payee_account": "62 01", "card_no": "62-01"}, TRUE),
    ("card_no", "eq", column("card"), {"card_no": "6222 01"}, TRUE),
    ("card_no", "length", (("eq", 6),), {"card_no": "6222-01"}, TRUE),
    # lists
    ("payee_account", "in_list", WordList("accounts"), {"payee_account": "6222-01"}, TRUE),
    ("payee_account", "in_list", WordList("accounts"), {"payee_account": "622202"}, TRUE),
    ("payee_account", "in_list", WordList("accounts"), {"payee_account": "622203"}, FALSE),
    ("payee_account", "in_list", WordList("accounts"), {"payee_account": None}, MISSING),
    # words
    ("purpose", "contains_any", ("烟", "酒"), {"purpose": "酒店"}, TRUE),
    ("purpose", "contains_any", ("烟", "酒"), {"purpose": "办公"}, FALSE),
    ("purpose", "contains_any", ("烟", "酒"), {"purpose": None}, MISSING),
    ("purpose", "contains_any", WordList("words"), {"purpose": "礼　品"}, TRUE),
    ("purpose", "contains_any", WordList("words"), {"purpose": "茶"}, FALSE),
    ("purpose", "contains_any", WordList("words", ("酒店", "烟台")), {"purpose": "烟台 酒店住宿"}, FALSE),
    ("purpose", "contains_any", WordList("words", ("酒店", "烟台")), {"purpose": "酒店 白酒"}, TRUE),
    # patterns
    ("purpose", "matches", "^办公", {"purpose": "办公用品"}, TRUE),
    ("purpose", "matches", "用品$", {"purpose": "办公用品 "}, TRUE),
    ("purpose", "matches", r"^\p{Han}+$", {"purpose": "办公A"}, FALSE),
    ("purpose", "matches", "(a+)+$", {"purpose": "a" * 5000 + "b"}, FALSE),
    ("purpose", "matches", "甲.乙", {"purpose": "甲" * 70 + "丙乙"}, TRUE),
    ("purpose", "matches", "x", {"purpose": None}, MISSING),
    # lengths, in characters
    ("purpose", "length", (("eq", 4),), {"purpose": "办公用品"}, TRUE),
    ("purpose", "length", (("gte", 2), ("lt", 4)), {"purpose": "办公用品"}, FALSE),
    ("purpose", "length", (("gte", 2), ("lt", 5)), {"purpose": "办公用品"}, TRUE),
    ("purpose", "length", (("ne", 0),), {"purpose": " 　"}, FALSE),
    ("purpose", "length", (("gt", 1),), {"purpose": None}, MISSING),
    ("purpose", "length", (("lte", FieldRef("line_no")), ("gt", 5)), {"purpose": "办公"}, FALSE),
    ("purpose", "length", (("lte", FieldRef("line_no")),), {"purpose": "办公", "line_no": 2}, TRUE),
    ("purpose", "length", (("lte", FieldRef("attributes.n")),), {"purpose": "办公", "attributes": {"n": 1}}, FALSE),
    ("purpose", "length", (("lte", FieldRef("attributes.n")),), {"purpose": "办公", "attributes": {"n": "2"}}, MISSING),
    # closed sets
    ("unit_level", "eq", "county", {"unit_level": "county"}, TRUE),
    ("unit_level", "in", ("city", "county"), {"unit_level": "town"}, FALSE),
    ("unit_level", "in", ("city", "county"), {}, MISSING),
    # truth values
    ("green_channel", "eq", True, {}, FALSE),
    ("green_channel", "eq", True, {"green_channel": True}, TRUE),
    ("green_channel", "eq", column("open"), {"green_channel": True}, TRUE),
    # days
    ("voucher_date", "lt", date(2025, 3, 6), {"voucher_date": date(2025, 3, 5)}, TRUE),
    ("voucher_date", "between", (date(2025, 3, 5), date(2025, 3, 5)), {"voucher_date": date(2025, 3, 5)}, TRUE),
    ("voucher_date", "lt", date(2025, 3, 6), {}, MISSING),
    ("voucher_date", "gt", FieldRef("event_time"), {"voucher_date": date(2025, 3, 6)}, TRUE),
    ("event_time", "eq", date(2025, 3, 5), {"event_time": "2025-03-04T16:00:00+00:00"}, TRUE),
    ("event_time", "eq", date(2025, 3, 5), {"event_time": "2025-03-04T15:59:59+00:00"}, FALSE),
    ("event_time", "gte", column("since"), {}, TRUE),
    # local fields: read as what they are compared with, missing if they are of another type
    ("attributes.x", "eq", "A", {"attributes": {"x": "A"}}, TRUE),
    ("attributes.x", "eq", "1", {"attributes": {"x": 1}}, MISSING),
    ("attributes.x", "eq", 1, {"attributes": {"x": 1.0}}, TRUE),
    ("attributes.x", "eq", Decimal("0.1"), {"attributes": {"x": 0.1}}, TRUE),
    ("attributes.x", "eq", 1, {"attributes": {"x": True}}, MISSING),
    ("attributes.x", "eq", True, {"attributes": {"x": True}}, TRUE),
    ("attributes.x", "eq", True, {"attributes": {"x": 1}}, MISSING),
    ("attributes.x", "gt", 1, {"attributes": {"x": "2"}}, MISSING),
    ("attributes.x", "gt", 1, {}, MISSING),
    ("attributes.x", "gt", 1, {"attributes": {}}, MISSING),
    ("attributes.x", "gte", FieldRef("amount"), {"attributes": {"x": 1234.5}}, TRUE),
    ("amount", "lte", FieldRef("attributes.x"), {"attributes": {"x": 1234.49}}, FALSE),
    ("attributes.x", "in", ("A", "B"), {"attributes": {"x": "B"}}, TRUE),
    ("attributes.x", "between", (always(1), 2), {"attributes": {"x": 1.5}}, TRUE),
    ("attributes.x", "contains", "街", {"attributes": {"x": "江汉街"}}, TRUE),
    ("attributes.x", "same_as", FieldRef("attributes.y"), {"attributes": {"x": "A", "y": "A"}}, TRUE),
    ("attributes.x", "same_as", FieldRef("voucher_no"), {"attributes": {"x": "A"}, "voucher_no": "A"}, TRUE),
    ("attributes.x", "eq", always("A"), {"attributes": {"x": "A"}}, TRUE),
    ("attributes.x", "eq", column("rank"), {"attributes": {"x": 2}}, TRUE),
    ("attributes.x", "multiple_of", Decimal("0.1"), {"attributes": {"x": 0.3}}, TRUE),
    # missing or not
    ("project", "is_missing", True, {}, TRUE),
    ("project", "is_missing", False, {}, FALSE),
    ("project", "is_missing", True, {"project": ""}, FALSE),
    ("amount", "is_missing", True, {"currency": "USD"}, TRUE),
    ("fiscal_year", "is_missing", True, {}, FALSE),
    ("attributes.x", "is_missing", True, {"attributes": {"y": 1}}, TRUE),
    ("attributes.x", "is_missing", False, {"attributes": {"x": False}}, TRUE),
    (looked_up("limit"), "is_missing", True, {"budget_unit": "none"}, TRUE),
    # features
    (looked_up("limit"), "eq", yuan("5.00"), {}, TRUE),
    (looked_up("rate"), "lt", Decimal("0.26"), {}, TRUE),
    (looked_up("holder"), "eq", "张　敏", {}, TRUE),
    (looked_up("card"), "eq", "6222 01", {}, TRUE),
    (looked_up("code"), "contains", "甲", {}, TRUE),
    (looked_up("open"), "eq", True, {}, TRUE),
    (looked_up("since"), "eq", date(2025, 3, 5), {}, TRUE),
    (ref(aggregate("sum", "amount", window_us=HOUR)), "gte", yuan("1234.50"), {}, TRUE),
    (ref(aggregate("sum", "amount", window_us=HOUR)), "gt", yuan("0.00"), {"currency": "USD"}, FALSE),
    (ref(aggregate("max", "amount", window_us=HOUR)), "gt", yuan("0.00"), {"currency": "USD"}, MISSING),
    (ref(aggregate("count", "amount", window_us=HOUR)), "eq", 0, {"currency": "USD"}, TRUE),
    (ref(aggregate("count", "project", window_us=HOUR)), "eq", 0, {}, TRUE),
    (ref(aggregate("count", "amount", "project", window_us=HOUR)), "eq", 1, {}, MISSING),
    (ref(aggregate("sum", "attributes.x", window_us=HOUR)), "eq", FieldRef("attributes.y"),
     {"attributes": {"x": 3, "y": 3.0}}, TRUE),
    (ref(aggregate("avg", "line_no", window_us=HOUR)), "eq", 7, {"line_no": 7}, TRUE),
    (ref(aggregate("count", "amount", where=leaf("project", "eq", "P"), window_us=HOUR)), "eq", 0, {}, TRUE),
]  # fmt: skip


def add(*operands: Any) -> FeatureRef:
    return ref(Arithmetic("add", operands))


def of(kind: Any, *operands: Any) -> FeatureRef:
    return ref(Arithmetic(kind, operands))


AMOUNT, LIMIT, LINE = FieldRef("amount"), column("limit"), FieldRef("line_no")
CASES += [  # arithmetic: the amount is 1234.50, the limit 5.00
    (add(AMOUNT, LIMIT, Decimal("0.50")), "eq", yuan("1240.00"), {}, TRUE),
    (of("sub", AMOUNT, always(yuan("1234.49"))), "eq", yuan("0.01"), {}, TRUE),
    (of("mul", AMOUNT, 2, Decimal("0.5")), "eq", yuan("1234.50"), {}, TRUE),
    (of("mul", LINE, LINE), "eq", 49, {"line_no": 7}, TRUE),
    (of("div", AMOUNT, LIMIT), "eq", Decimal("246.9"), {}, TRUE),
    (of("div", AMOUNT, 3), "eq", yuan("411.50"), {}, TRUE),
    (of("div", LINE, 3), "gt", Decimal("0.3333"), {"line_no": 1}, TRUE),
    (of("mul", of("div", LINE, 3), 3), "eq", 1, {"line_no": 1}, TRUE),
    (of("div", AMOUNT, of("sub", LIMIT, LIMIT)), "gt", 0, {}, MISSING),
    (of("div", LINE, LINE), "eq", 1, {"line_no": 0}, MISSING),
    (of("div", LINE, LINE), "eq", 1, {}, MISSING),
    (of("mul", LINE, 0), "eq", 0, {}, MISSING),
    (add(AMOUNT, LIMIT), "gt", 0, {"budget_unit": "none"}, MISSING),
    (of("sub", AMOUNT, LIMIT), "gt", 0, {"currency": "USD"}, MISSING),
    (of("mul", AMOUNT, FieldRef("attributes.x")), "eq", yuan("123.45"), {"attributes": {"x": 0.1}}, TRUE),
    (of("mul", AMOUNT, FieldRef("attributes.x")), "eq", yuan("123.45"), {"attributes": {"x": "0.1"}}, MISSING),
]
OFFICE = Hours("cn", 8 * 60 + 30, 18 * 60)
CASES += [  # working time: the hours of the local day, Monday to Friday, but for what the notice of the year says
    ("event_time", "working_time", OFFICE, {"event_time": f"{moment}+08:00"}, truth)
    for moment, truth in [
        ("2025-03-05T08:29:59.999999", FALSE),
        ("2025-03-05T08:30:00", TRUE),
        ("2025-03-05T17:59:59.999999", TRUE),
        ("2025-03-05T18:00:00", FALSE),
        ("2025-03-04T10:00:00", FALSE),  # a holiday
        ("2025-03-08T10:00:00", TRUE),  # a Saturday that makes up for it
        ("2025-03-09T10:00:00", FALSE),  # a Sunday
        ("2025-12-31T10:00:00", TRUE),
        ("2026-01-01T10:00:00", MISSING),  # nobody has said yet
        ("2024-12-31T10:00:00", MISSING),
    ]
]
CASES += [
    ("event_time", "working_time", Hours("cn", 0, 24 * 60), {"event_time": "2025-03-04T15:59:59+00:00"}, FALSE),
    ("event_time", "working_time", Hours("cn", 0, 24 * 60), {"event_time": "2025-03-04T16:00:00+00:00"}, TRUE),
    (ref(FirstSeen("payee_account", (), 365 * 24 * HOUR)), "eq", True, {}, TRUE),
    (ref(FirstSeen("payee_account", ("project",), 365 * 24 * HOUR)), "eq", True, {}, MISSING),
    (ref(FirstSeen("payee_account", (), 365 * 24 * HOUR)), "eq", True, {"payee_account": None}, MISSING),
    (ref(Anomaly("p_value")), "lte", Decimal("0.005"), {}, MISSING),
]


@pytest.mark.parametrize(("subject", "operator", "operand", "fields", "truth"), CASES)
def test_a_leaf_is_as_true_as_written(
    subject: Any, operator: str, operand: Any, fields: dict[str, Any], truth: bool | None
) -> None:
    condition: Condition = leaf(subject, operator, operand)
    bench = Bench((condition,), LISTS, TABLES)
    instruction = make_instruction(**fields)
    assert bench.judged(instruction).truth(condition) is truth
    assert bench.judge(instruction) == [truth]


def test_every_operator_has_cases_of_all_its_truths() -> None:
    for operator in OPERATORS:
        truths = {truth for _, name, _, _, truth in CASES if name == operator}
        assert truths == ({True, False} if operator == "is_missing" else {True, False, None}), operator


@pytest.mark.parametrize(
    ("day", "limit"),
    [
        ("2024-12-31", None),
        ("2025-01-01", "1.00"),
        ("2025-03-04", "1.00"),
        ("2025-03-05", "2.00"),
        ("2025-03-06", None),
    ],
)
def test_a_dated_row_holds_from_its_day_until_the_next_row_of_its_key(day: str, limit: str | None) -> None:
    lookup = ref(Lookup("dated", ("initiator", "payee_account"), "limit"))
    instruction = make_instruction(event_time=f"{day}T12:00:00+08:00", initiator="张　敏", payee_account="6222-01")
    bench = Bench((leaf(lookup, "eq", yuan(limit or "0.00")),), LISTS, TABLES)
    assert bench.judge(instruction) == [None if limit is None else True]


def test_a_key_that_is_missing_or_in_no_row_looks_up_nothing() -> None:
    lookup = ref(Lookup("dated", ("initiator", "payee_account"), "limit"))
    bench = Bench((leaf(lookup, "is_missing", True),), LISTS, TABLES)
    assert bench.judge(make_instruction(initiator=None)) == [True]
    assert bench.judge(make_instruction(payee_account=None)) == [True]
    assert bench.judge(make_instruction(initiator="王五")) == [True]
    assert bench.judge(make_instruction(initiator="张 敏", payee_account="622201")) == [False]


def test_every_column_type_has_a_kind() -> None:
    for name, kind in (
        ("limit", "money"),
        ("rank", "integer"),
        ("rate", "integer"),
        ("since", "date"),
        ("card", "account"),
    ):
        assert column_kind(TABLES["units"], name).value == kind


def test_sums_and_extremes_of_the_same_over_any_span_are_cut_from_one_series() -> None:
    shorter, longer = aggregate("sum", "amount", window_us=HOUR), aggregate("max", "amount", window_us=DAY)
    both = leaf(of("sub", ref(shorter), ref(longer)), "gt", 0)
    (series,) = Bench((both, leaf(ref(shorter), "gt", 0))).program.series.values()
    assert series.reach_us == DAY


def test_a_condition_that_several_rules_share_is_the_same_in_each() -> None:
    limit = Param("limit", {None: (Dated(None, 2),), "county": (Dated(None, 3),)}, "unit_level")
    paid = ref(aggregate("count", "instruction_id", "budget_unit", window_us=HOUR))
    shared = [leaf("fiscal_year", "gt", limit), leaf("fiscal_year", "gt", paid), leaf("settlement", "eq", "transfer")]
    bench = Bench((*shared, All((shared[0], shared[2])), Not(shared[1]), Any_((Not(shared[2]), shared[1]))))
    assert bench.judge(make_instruction()) == [True, True, True, True, False, True]
    assert bench.judge(make_instruction(fiscal_year=3, unit_level="county")) == [False, True, True, False, False, True]
    assert bench.judge(make_instruction(fiscal_year=2, settlement="cash")) == [False, False, False, False, True, True]


def test_a_payee_is_new_until_it_was_paid_and_again_once_the_look_back_has_passed() -> None:
    bench = Bench((leaf(ref(FirstSeen("payee_account", ("budget_unit",), 24 * HOUR)), "eq", True),))

    def new(moment: str, account: str, executed: bool = True, **fields: Any) -> bool | None:
        instruction = make_instruction(event_time=f"2025-03-{moment}+08:00", payee_account=account, **fields)
        return bench.judge(instruction, executed)[0]

    assert new("05T10:00:00", "6222-01") is True
    assert new("05T10:00:00", "622201") is False
    assert new("05T11:00:00", "622201", budget_unit="other") is True
    assert new("06T10:00:00", "622201") is True  # the look-back is (t − 24 h, t]
    assert new("07T09:59:59", "622201") is False
    assert new("08T12:00:00", "622202", executed=False) is True
    assert new("08T12:00:00", "622202") is True  # what was held has not been paid


@pytest.mark.parametrize(
    ("zone", "moment", "open_"),
    [
        ("America/New_York", "2025-03-09T08:29:59-04:00", False),  # the clock was turned on at 02:00
        ("America/New_York", "2025-03-09T08:30:00-04:00", True),
        ("America/New_York", "2025-11-02T17:59:59-05:00", True),  # and back
        ("America/New_York", "2025-11-02T18:00:00-05:00", False),
    ],
)
def test_working_time_is_by_the_clock_on_the_wall(zone: str, moment: str, open_: bool) -> None:
    sundays = frozenset({date(2025, 3, 9).toordinal(), date(2025, 11, 2).toordinal()})
    calendar = Calendar("cn", "owner", {2025: CalendarYear("a notice", frozenset(), sundays)})
    us = microseconds(datetime.fromisoformat(moment))
    assert Office(calendar, OFFICE, zone).open(us, Days(zone).of(us)) is open_


def test_features_that_build_on_others_twice_are_computed_once_each() -> None:
    """Six levels, each of which uses the one below it and its neighbour."""
    left, right = ref(Arithmetic("add", (LINE, 1))), ref(Arithmetic("sub", (LINE, 1)))
    for _ in range(6):
        left, right = ref(Arithmetic("add", (left, right))), ref(Arithmetic("sub", (left, right)))
    bench = Bench((leaf(left, "eq", 4 * 2**3), leaf(right, "eq", 2 * 2**3)))
    assert bench.judge(make_instruction(line_no=3)) == [True, True]
    assert len(bench.program.source(date(2025, 3, 5).toordinal())) < 20_000
