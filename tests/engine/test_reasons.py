"""Reasons: what a hit says in two languages, what it rests on, and what it was missing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.builders import make_instruction
from tests.rulesets import HOUR, aggregate, always, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Hit, Text
from treasury_watch.engine import Engine, Program
from treasury_watch.rules.forms.arithmetic import Arithmetic
from treasury_watch.rules.forms.lookup import Lookup
from treasury_watch.rules.schema import All, Any_, Condition, Dated, Feature, FieldRef, None_, Not, Param, Table

CARD = {
    "limit": Decimal("50000.00"), "holder": "张　敏", "spare": "6222 0000 1111 2222", "until": date(2026, 1, 31),
    "open": True, "share": Decimal("0.33335"),
}  # fmt: skip
TABLES = {
    "cards": Table(
        "cards",
        ("card_no",),
        {
            "card_no": "account", "limit": "money", "holder": "name", "spare": "account", "until": "date",
            "open": "boolean", "share": "number",
        },
        {("622201",): ((None, CARD),)},
    )
}  # fmt: skip
ALWAYS = leaf("instruction_id", "is_missing", False)


def hit_of(condition: Condition, instruction: Instruction | None = None, **fields: Any) -> Hit:
    """The one hit of a rule with that condition."""
    rule = make_rule("R", condition, **{"on_missing": "warn"} | fields)
    engine = Engine(Program(make_ruleset(rule, tables=TABLES)))
    (outcome,) = engine.assess([instruction or make_instruction()])
    (hit,) = outcome.hits  # type: ignore[union-attr]
    return hit


def shown(name: str, features: dict[str, Feature] | None = None, **fields: Any) -> tuple[str, str, str | None]:
    """What a name of the reason is shown as in Chinese, in English, and as evidence."""
    params = fields.pop("params", {})
    reason = Text(zh=f"《{{{name}}}》", en=f"<{{{name}}}>")
    hit = hit_of(ALWAYS, make_instruction(**fields), reason=reason, features=features or {}, params=params)
    assert hit.reason.zh[0] + hit.reason.zh[-1] == "《》"
    assert hit.reason.en[0] + hit.reason.en[-1] == "<>"
    return hit.reason.zh[1:-1], hit.reason.en[1:-1], hit.evidence.get(name)


# --- fields ---


@pytest.mark.parametrize(
    ("name", "fields", "text"),
    [
        ("amount", {"amount": "-0.50"}, "-0.50"),
        ("amount", {"amount": "9999999999999999.99"}, "9999999999999999.99"),
        ("budget_unit", {}, "101001"),
        ("payee_name", {"payee_name": " 甲　公司（Ａ）"}, " 甲　公司（Ａ）"),  # as it was sent
        ("payee_account", {"payee_account": "6222 0000 1111 2222"}, "***************2222"),
        ("card_no", {"card_no": "1234"}, "****"),
        ("payer_account", {"payer_account": "42001000000000001111"}, "****************1111"),
        ("line_no", {"line_no": -7}, "-7"),
        ("fiscal_year", {}, "2025"),
        ("fiscal_year", {"fiscal_year": 2024}, "2024"),
        ("currency", {}, "CNY"),
        ("voucher_date", {"voucher_date": date(2025, 1, 31)}, "2025-01-31"),
        ("event_time", {"event_time": "2025-12-31T16:30:00.5+00:00"}, "2026-01-01 00:30:00+08:00"),
        ("attributes.街道", {"attributes": {"街道": "江汉"}}, "江汉"),
        ("attributes.n", {"attributes": {"n": 0.1}}, "0.1"),
        ("attributes.n", {"attributes": {"n": 12}}, "12"),
        ("purpose", {"purpose": "{amount}"}, "{amount}"),  # nothing in a payment is a name
    ],
)
def test_a_field_is_shown_as_it_was_sent_with_numbers_of_accounts_masked(
    name: str, fields: dict[str, Any], text: str
) -> None:
    assert shown(name, **fields) == (text, text, text)


@pytest.mark.parametrize(
    ("name", "fields", "text"),
    [
        ("purpose", {"purpose": "用" * 200}, "用" * 200),
        ("purpose", {"purpose": "用" * 201}, "用" * 199 + "…"),
        ("attributes.x", {"attributes": {"x": "x" * 60_000}}, "x" * 199 + "…"),
        ("payee_account", {"payee_account": "1" * 60_000}, "*" * 199 + "…"),
    ],
)
def test_of_a_long_text_the_beginning_is_shown(name: str, fields: dict[str, Any], text: str) -> None:
    assert shown(name, **fields) == (text, text, text)


@pytest.mark.parametrize(
    ("name", "fields", "texts"),
    [
        ("unit_level", {"unit_level": "county"}, ("县级", "county", "county")),
        ("settlement", {"settlement": "official_card"}, ("公务卡", "official_card", "official_card")),
        ("green_channel", {}, ("否", "no", "false")),
        ("green_channel", {"green_channel": True}, ("是", "yes", "true")),
        ("attributes.x", {"attributes": {"x": True}}, ("是", "yes", "true")),
    ],
)
def test_words_and_truth_values_are_in_the_language_of_the_reason(
    name: str, fields: dict[str, Any], texts: tuple[str, str, str]
) -> None:
    assert shown(name, **fields) == texts


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("amount", {"currency": "USD"}),
        ("project", {}),
        ("unit_level", {}),
        ("voucher_date", {}),
        ("card_no", {}),
        ("attributes.x", {}),
    ],
)
def test_what_is_missing_is_said_to_be_missing_and_is_no_evidence(name: str, fields: dict[str, Any]) -> None:
    assert shown(name, **fields) == ("（缺失）", "(missing)", None)


# --- features and params ---


def column(name: str) -> Lookup:
    return Lookup("cards", ("card_no",), name)


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        (column("limit"), "50000.00"),
        (column("holder"), "张 敏"),
        (column("spare"), "************2222"),
        (column("until"), "2026-01-31"),
        (column("share"), "0.3334"),  # 0.33335: to the even digit
        (aggregate("sum", "amount", window_us=HOUR), "1234.50"),
        (aggregate("count", "amount", window_us=HOUR), "1"),
        (aggregate("avg", "amount", window_us=HOUR), "1234.50"),
        (Arithmetic("div", (FieldRef("amount"), column("limit"))), "0.0247"),  # 0.02469
        (Arithmetic("div", (FieldRef("amount"), 1000)), "1.23"),  # 1.2345 yuan
        (Arithmetic("mul", (FieldRef("line_no"), Decimal("0.5"))), "1.5000"),
        (Arithmetic("mul", (FieldRef("line_no"), 2)), "6"),
    ],
)
def test_a_feature_is_shown_by_what_it_is(feature: Feature, text: str) -> None:
    assert shown("f", {"f": feature}, card_no="6222 01", line_no=3) == (text, text, text)


def test_a_truth_value_of_a_table_is_in_the_language_of_the_reason() -> None:
    assert shown("f", {"f": column("open")}, card_no="6222-01") == ("是", "yes", "true")


def test_a_feature_that_is_missing_is_said_to_be_missing() -> None:
    assert shown("f", {"f": column("limit")}, card_no="none") == ("（缺失）", "(missing)", None)


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (yuan("500000.00"), ("500000.00",) * 3),
        (Decimal("1000000000000000.00"), ("1000000000000000.00",) * 3),
        (Decimal("0.5"), ("0.5",) * 3),
        (3, ("3",) * 3),
        ("P1", ("P1",) * 3),
        (date(2025, 1, 31), ("2025-01-31",) * 3),
        (True, ("是", "yes", "true")),
    ],
)
def test_a_param_is_shown_as_it_is_written(value: Any, texts: tuple[str, str, str]) -> None:
    assert shown("p", params={"p": always(value)}) == texts


def test_a_param_is_shown_as_it_is_on_the_day_and_in_the_segment() -> None:
    param = Param(
        "limit",
        {None: (Dated(None, 1), Dated(date(2025, 3, 5), 2)), "county": (Dated(date(2025, 3, 6), 3),)},
        "unit_level",
    )
    assert shown("limit", params={"limit": param})[0] == "2"
    assert shown("limit", params={"limit": param}, event_time="2025-03-04T15:00:00+00:00")[0] == "1"
    assert shown("limit", params={"limit": param}, unit_level="county") == ("（缺失）", "(missing)", None)


def test_evidence_has_every_feature_and_param_and_every_name_of_either_reason_once() -> None:
    hit = hit_of(
        ALWAYS,
        reason=Text(zh="{amount}{amount}", en="{payee_name} {purpose}{project}"),
        features={"f": aggregate("count", "amount", window_us=HOUR)},
        params={"p": always(7)},
    )
    assert hit.evidence == {
        "amount": "1234.50",
        "payee_name": "江汉办公用品有限公司",
        "purpose": "办公用品采购",
        "f": "1",
        "p": "7",
    }
    assert hit.reason == Text(zh="1234.501234.50", en="江汉办公用品有限公司 办公用品采购(missing)")


# --- what was missing ---

GONE = leaf("project", "eq", "P")  # a field that is missing
THERE = leaf("budget_unit", "eq", "101001")
ABSENT = leaf("budget_unit", "eq", "999")
EMPTY = ref(aggregate("max", "line_no", window_us=HOUR), "largest")
NO_KEY = ref(aggregate("count", "amount", "project", "budget_unit", window_us=HOUR), "same")
LIMIT = ref(column("limit"), "limit")
ZERO = ref(Arithmetic("div", (FieldRef("amount"), ref(aggregate("count", "project", window_us=HOUR)))), "share")
CASES: list[tuple[Condition, tuple[str, ...]]] = [
    (GONE, ("project",)),
    (leaf("amount", "gt", FieldRef("line_no")), ("line_no",)),
    (leaf("voucher_no", "same_as", FieldRef("project")), ("voucher_no", "project")),
    (leaf("amount", "between", (1, LIMIT)), ("card_no",)),
    (leaf("voucher_no", "in", ("A", FieldRef("project"))), ("voucher_no", "project")),
    (leaf("amount", "in", (1, Lookup("cards", ("payee_account",), "limit"))), ("cards.limit",)),
    (leaf("purpose", "length", (("gt", 1), ("lt", FieldRef("line_no")))), ("line_no",)),
    (leaf("purpose", "length", (("gt", FieldRef("attributes.n")),)), ("attributes.n",)),
    (leaf("attributes.x", "eq", 1), ("attributes.x",)),
    (leaf("amount", "gt", Param("limit", {None: (Dated(date(2026, 1, 1), 1),)})), ("limit",)),
    (leaf(EMPTY, "gt", 1), ("largest",)),
    (leaf(NO_KEY, "gt", 1), ("project",)),
    (leaf(LIMIT, "gt", 1), ("card_no",)),
    (leaf(ref(Lookup("cards", ("payee_account",), "limit"), "limit"), "gt", 1), ("cards.limit",)),
    (leaf(ZERO, "gt", 1), ("share",)),
    (leaf(ref(Arithmetic("add", (LIMIT, NO_KEY, 1)), "total"), "gt", 1), ("card_no", "project")),
    (All((GONE, THERE, leaf("voucher_no", "eq", "A"))), ("project", "voucher_no")),
    (All((GONE, Not(GONE), leaf("project", "is_missing", True))), ("project",)),  # each is named once
    (Any_((GONE, ABSENT)), ("project",)),
    (None_((GONE, ABSENT)), ("project",)),
    (
        Not(Any_((All((GONE, leaf("line_no", "gt", 1))), All((ABSENT, leaf("voucher_no", "eq", "A")))))),
        ("project", "line_no"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "missing"), CASES)
def test_a_hit_names_what_its_condition_was_missing(condition: Condition, missing: tuple[str, ...]) -> None:
    instruction = make_instruction(attributes={"n": "one"})
    hit = hit_of(condition, instruction)
    assert hit.missing == missing
    assert hit.action == "warn"


def test_a_length_that_is_a_number_is_not_said_to_be_missing() -> None:
    condition = leaf("project", "length", (("gt", FieldRef("attributes.n")),))
    assert hit_of(condition, make_instruction(attributes={"n": 1})).missing == ("project",)


def test_a_hit_for_want_of_something_says_so_in_both_languages() -> None:
    condition = All((GONE, leaf(EMPTY, "gt", 1), leaf("attributes.x", "eq", 1)))
    hit = hit_of(
        condition,
        title=Text(zh="项目支出", en="Project spending"),
        on_missing="intercept",
        action="warn",
        features={"largest": EMPTY.feature},
    )
    assert hit.reason == Text(
        zh="无法判断“项目支出”：缺少项目、largest、x",
        en='Cannot judge "Project spending": project, largest, attributes.x missing',
    )
    assert hit.action == "intercept"


def test_a_certain_hit_is_missing_nothing() -> None:
    hit = hit_of(Any_((GONE, THERE)))
    assert (hit.missing, hit.action) == ((), "intercept")


def test_a_hit_says_which_rule_in_which_revision() -> None:
    hit = hit_of(THERE, id="CARD-001", revision=7, level="yellow", risk_point="RP-12", mode="shadow", action="prohibit")
    assert (hit.rule, hit.revision, hit.level, hit.risk_point) == ("CARD-001", 7, "yellow", "RP-12")
    assert (hit.mode, hit.action, hit.excepted) == ("shadow", "prohibit", None)
