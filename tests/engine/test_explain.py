"""Explanations: what stands beside every condition, and the values at which it would have come out otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import make_instruction
from tests.rulesets import CALENDARS, HOUR, aggregate, always, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch.domain.payment import Instruction, Kind
from treasury_watch.domain.verdict import Decision
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.explain import Explanation, Node, explain, explainable, judged_by
from treasury_watch.engine.turns import Edge, Turn, turn_text
from treasury_watch.rules.evaluation import Coder, Expression, Judging
from treasury_watch.rules.forms.arithmetic import Arithmetic
from treasury_watch.rules.forms.first_seen import FirstSeen
from treasury_watch.rules.forms.lookup import Lookup
from treasury_watch.rules.operators.working_time import Hours
from treasury_watch.rules.schema import (
    All,
    Any_,
    Condition,
    Dated,
    Exception_,
    Feature,
    None_,
    Not,
    Param,
    Rule,
    Table,
)
from treasury_watch.rules.types import Sort, Type

PAID = aggregate("sum", "amount", "budget_unit", window_us=72 * HOUR)


def explained(rule: Rule, *history: Instruction, **overrides: Any) -> Explanation:
    """A rule's explanation of an ordinary payment, after a history that counts: the rule holds nothing back."""
    rule = replace(rule, action="record")
    ruleset = replace(make_ruleset(rule), calendars=CALENDARS)
    engine = Engine(Program(explainable(ruleset, rule.id)))
    engine.assess(history)
    engine.absorb()
    return explain(rule, judged_by(engine, make_instruction(**overrides)))


def paid(number: int, day: int, amount: str = "100.00", **rest: Any) -> Instruction:
    return make_instruction(
        instruction_id=f"H-{number}", event_time=f"2025-03-0{day}T09:00:00+08:00", amount=amount, **rest
    )


def said(explanation: Explanation) -> list[str]:
    return [text.en for _, text in explanation.turns]


def shape(node: Node) -> Any:
    """Form and truth of a node and of all below it."""
    return (node.form, node.truth, *(shape(item) for item in node.items)) if node.items else (node.form, node.truth)


# --- the tree ---


def test_every_condition_has_its_truth_and_missing_is_one_of_three() -> None:
    when = All((
        leaf("settlement", "eq", "cash"),
        Not(leaf("card_no", "eq", "1")),
        Any_((leaf("amount", "gt", yuan("1.00")), leaf("cashier", "is_missing", True))),
        None_((leaf("amount", "lt", yuan("0.00")),)),
    ))  # fmt: skip
    explanation = explained(make_rule("R", when))
    assert shape(explanation.node) == (
        "all", False,
        ("leaf", False),
        ("not", None, ("leaf", None)),
        ("any", True, ("leaf", True), ("leaf", True)),
        ("none", True, ("leaf", False)),
    )  # fmt: skip
    assert explanation.outcome == "no_hit"
    assert explanation.hit is None


def test_a_leaf_shows_its_subject_its_test_and_what_the_right_hand_side_is_worth() -> None:
    limit = Param("limit", {None: (Dated(None, yuan("5000.00")),)})
    node = explained(make_rule("R", leaf("amount", "gte", limit), params={"limit": limit})).node
    assert node.subject is not None
    assert node.subject.value is not None
    assert (node.subject.phrase, node.subject.value.en, node.subject.value.plain) == ("amount", "1,234.50", "1234.50")
    assert node.test == "≥ $limit"
    assert [(term.phrase, term.value and term.value.en) for term in node.terms] == [("$limit", "5,000.00")]


def test_a_word_of_a_closed_set_has_its_label_in_chinese() -> None:
    node = explained(make_rule("R", leaf("settlement", "in", ("cash", "transfer")))).node
    assert node.subject is not None
    assert node.subject.value is not None
    assert (node.subject.value.zh, node.subject.value.en, node.test) == ("转账", "transfer", "in cash, transfer")


@pytest.mark.parametrize(
    ("level", "day", "value", "since", "segment"),
    [
        ("county", "2025-06-30", "200000.00", "2025-01-01", "县级"),
        ("county", "2025-07-01", "300000.00", "2025-07-01", "县级"),
        ("city", "2025-07-01", "500000.00", "2025-01-01", None),
        (None, "2025-07-01", "500000.00", "2025-01-01", None),
    ],
)
def test_a_param_says_since_when_and_for_which_segment_it_has_its_value(
    level: Any, day: str, value: str, since: str, segment: str | None
) -> None:
    first, second = date(2025, 1, 1), date(2025, 7, 1)
    limit = Param(
        "limit",
        {
            None: (Dated(first, yuan("500000.00")),),
            "county": (Dated(first, yuan("200000.00")), Dated(second, yuan("300000.00"))),
        },
        "unit_level",
    )
    rule = make_rule("R", leaf("amount", "gte", limit), params={"limit": limit})
    (param,) = explained(rule, unit_level=level, event_time=f"{day}T10:00:00+08:00").params
    assert param.value is not None
    assert (param.value.plain, str(param.since)) == (value, since)
    assert (param.segment and param.segment.zh) == segment


def test_values_of_every_kind_are_shown_as_they_are_written() -> None:
    params = {
        "day": always(date(2025, 3, 5)),
        "flag": always(True),
        "word": always("办公"),
        "share": always(Decimal("0.50")),
        "large": always(20000),
        "unused": always(date(2025, 1, 1)),
    }
    when = All((
        leaf("voucher_date", "gte", params["day"]),
        leaf("green_channel", "eq", params["flag"]),
        leaf("purpose", "contains", params["word"]),
        leaf("attributes.share", "gt", params["share"]),
        leaf("fiscal_year", "lt", params["large"]),
    ))  # fmt: skip
    explanation = explained(
        make_rule("R", when, params=params), voucher_date=date(2025, 3, 4), attributes={"share": 0.25}
    )
    subjects = [item.subject and item.subject.value and item.subject.value.en for item in explanation.node.items]
    assert subjects == ["2025-03-04", "no", "办公用品采购", "0.2500", "2025"]
    assert [term.value and term.value.en for term in explanation.params] == [
        "2025-03-05", "yes", "办公", "0.50", "20,000", "2025-01-01",
    ]  # fmt: skip


def test_a_window_says_how_many_count_from_when_to_when_and_under_which_keys() -> None:
    rule = make_rule("R", leaf(ref(PAID, "paid"), "gt", yuan("1.00")), features={"paid": PAID})
    # The judged payment is of 2025-03-05 10:15: what is 72 hours old no longer counts.
    history = (paid(1, 2), paid(2, 3), paid(3, 4), paid(4, 4, budget_unit="other"))
    (feature,) = explained(rule, *history).features
    assert feature.value is not None
    assert feature.entries is not None
    entries = feature.entries
    assert (feature.value.plain, entries.count, entries.own) == ("1434.50", 3, True)
    assert (str(entries.first), str(entries.last)) == ("2025-03-03 09:00:00+08:00", "2025-03-05 10:15:00+08:00")
    assert [(name, shown.plain) for name, shown in entries.by] == [("budget_unit", "101001")]
    assert feature.formula == "sum of amount by budget_unit, 3d"


def test_a_local_field_that_is_a_key_is_shown_as_it_was_sent() -> None:
    count = aggregate("count", "instruction_id", "attributes.rate", "attributes.street", period="day")
    rule = make_rule("R", leaf(ref(count, "n"), "gt", 1), features={"n": count})
    (feature,) = explained(rule, attributes={"rate": 0.1, "street": "江岸"}).features
    assert feature.entries is not None
    assert [shown.plain for _, shown in feature.entries.by] == ["0.1", "江岸"]


def test_a_window_that_does_not_count_the_payment_itself_says_so() -> None:
    cash = replace(PAID, where=leaf("settlement", "eq", "cash"))
    rule = make_rule("R", leaf(ref(cash, "cash"), "gt", yuan("1.00")), features={"cash": cash})
    (feature,) = explained(rule, paid(1, 4, settlement="cash")).features
    assert feature.entries is not None
    assert (feature.entries.count, feature.entries.own) == (1, False)
    assert feature.formula == "sum of amount by budget_unit, 3d, where settlement = cash"


def test_a_window_without_one_of_its_keys_is_missing() -> None:
    by_card = aggregate("count", "instruction_id", "card_no", period="day")
    rule = make_rule("R", leaf(ref(by_card, "n"), "gt", 1), features={"n": by_card}, on_missing="warn")
    explanation = explained(rule)
    (feature,) = explanation.features
    assert (feature.value, feature.entries, explanation.outcome) == (None, None, "cannot_judge")
    assert explanation.missing == ("card_no",)
    assert explanation.hit is not None
    assert explanation.hit.action == "warn"


def test_account_and_card_numbers_are_masked_wherever_they_stand() -> None:
    account, card = "42002000000000002222", "6222000000001234"
    table = Table(
        "cards", ("card_no",), {"card_no": "account", "payee": "account"}, {(card,): ((None, {"payee": account}),)}
    )
    lookup = Lookup("cards", ("card_no",), "payee")
    known, seen = always(account), aggregate("count", "instruction_id", "payee_account", "card_no", period="day")
    when = All((
        leaf("payee_account", "eq", account),
        leaf("payee_account", "in", (account, card)),
        leaf("payee_account", "eq", known),
        leaf("payee_account", "same_as", ref(lookup, "own")),
        leaf(ref(seen, "seen"), "gt", 0),
    ))  # fmt: skip
    rule = make_rule("R", when, params={"p": known}, features={"own": lookup, "seen": seen})
    engine = Engine(Program(make_ruleset(rule, tables={"cards": table})))
    explanation = explain(rule, judged_by(engine, make_instruction(card_no=card, payee_account=account)))
    assert explanation.node.truth is True
    shown = repr((explanation.node, explanation.params, explanation.features))
    assert "2222" in shown
    assert account not in shown
    assert card not in shown


@dataclass(frozen=True, slots=True)
class Weekday(Feature):
    """A form of feature that nothing here has heard of."""

    first: int

    def type(self, tables: Mapping[str, Table]) -> Type:
        return Type(Sort.COUNT)

    def code(self, coder: Coder) -> Expression:
        return Expression("3", False, Kind.INTEGER)

    def value(self, judged: Judging) -> tuple[Any, Kind]:
        return judged.day.date.weekday() + self.first, Kind.INTEGER


def test_a_feature_of_an_unknown_form_shows_its_value() -> None:
    rule = make_rule("R", leaf(ref(Weekday(1), "weekday"), "gte", 6), features={"weekday": Weekday(1)})
    (feature,) = explained(rule).features
    assert feature.value is not None
    assert (feature.value.plain, feature.formula) == ("3", "weekday(first 1)")


def test_working_time_and_new_payees_are_shown_with_their_values() -> None:
    new = FirstSeen("payee_account", ("budget_unit",), 30 * 24 * HOUR)
    when = All((leaf("event_time", "working_time", Hours("cn", 510, 1080)), leaf(ref(new, "new"), "eq", True)))
    explanation = explained(make_rule("R", when, features={"new": new}), paid(1, 4))
    working, first = explanation.node.items
    assert working.subject is not None
    assert working.subject.value is not None
    assert (working.truth, working.test) == (True, "working time cn 08:30-18:00")
    assert working.subject.value.plain == "2025-03-05 10:15:00+08:00"
    assert first.truth is False
    (feature,) = explanation.features
    assert feature.entries is not None
    assert (feature.entries.count, feature.entries.own) == (1, False)


# --- the outcome ---


@pytest.mark.parametrize("mode", ["live", "shadow", "draft", "retired"])
def test_a_rule_of_any_mode_is_explained_with_what_it_would_say(mode: Any) -> None:
    rule = make_rule("R", leaf(ref(PAID, "paid"), "gte", yuan("1234.50")), mode=mode, features={"paid": PAID})
    explanation = explained(rule)
    assert (explanation.outcome, explanation.rule.mode) == ("hit", mode)
    assert explanation.hit is not None
    assert explanation.hit.reason.en == "CNY 1234.50"


@pytest.mark.parametrize(
    ("day", "outcome"), [("04", "not_in_effect"), ("05", "hit"), ("06", "hit"), ("07", "not_in_effect")]
)
def test_a_rule_says_on_which_days_it_is_not_in_effect(day: str, outcome: str) -> None:
    effective = {"effective_from": date(2025, 3, 5), "effective_until": date(2025, 3, 7)}
    rule = make_rule("R", leaf("amount", "gt", yuan("1.00")), **effective)
    assert explained(rule, event_time=f"2025-03-{day}T10:00:00+08:00").outcome == outcome


@pytest.mark.parametrize(
    ("expires", "purpose", "outcome", "applies"),
    [
        ("2025-03-05", "办公", "excepted", True),
        ("2025-03-04", "办公", "hit", False),
        ("2025-03-05", "差旅", "hit", False),
    ],
)
def test_an_exception_applies_while_it_has_not_expired_and_matches(
    expires: str, purpose: str, outcome: str, applies: bool
) -> None:
    exception = Exception_(leaf("purpose", "eq", "办公"), "owner", "basis", date.fromisoformat(expires))
    explanation = explained(make_rule("R", leaf("amount", "gt", 0), exceptions=(exception,)), purpose=purpose)
    assert (explanation.outcome, explanation.exceptions[0].applies) == (outcome, applies)


def test_what_is_missing_and_passes_says_what_is_missing() -> None:
    explanation = explained(make_rule("R", leaf("cashier", "eq", "张敏")))
    assert (explanation.outcome, explanation.missing, explanation.hit) == ("missing", ("cashier",), None)
    assert not explanation.turns


def test_explaining_changes_nothing_in_the_engine() -> None:
    rule = make_rule("R", leaf(ref(PAID, "paid"), "gt", yuan("1.00")), features={"paid": PAID})
    engine = Engine(Program(make_ruleset(rule)))
    engine.assess([paid(1, 4)])
    engine.absorb()
    before = engine.dump()
    explain(rule, judged_by(engine, make_instruction()))
    assert engine.dump() == before


# --- what would have changed it ---


@pytest.mark.parametrize(
    ("operator", "amount", "text"),
    [
        ("gte", "48000.00", "fires from 50,000.00; this one was 48,000.00"),
        ("gte", "50000.00", "would not fire below 50,000.00; this one was 50,000.00"),
        ("gt", "50000.00", "fires from 50,000.01; this one was 50,000.00"),
        ("gt", "50000.01", "would not fire below 50,000.01; this one was 50,000.01"),
        ("lt", "50000.00", "fires up to 49,999.99; this one was 50,000.00"),
        ("lt", "-1.00", "would not fire above 49,999.99; this one was -1.00"),
        ("lte", "50000.01", "fires up to 50,000.00; this one was 50,000.01"),
        ("lte", "50000.00", "would not fire above 50,000.00; this one was 50,000.00"),
    ],
)
def test_an_amount_says_from_where_or_up_to_where_it_fires(operator: str, amount: str, text: str) -> None:
    assert said(explained(make_rule("R", leaf("amount", operator, yuan("50000.00"))), amount=amount)) == [
        f"amount: {text}"
    ]


def test_both_ends_of_a_range_are_told_inside_and_the_nearer_one_outside() -> None:
    rule = make_rule("R", leaf("amount", "between", (yuan("100.00"), yuan("200.00"))))
    assert said(explained(rule, amount="150.00")) == [
        "amount: would not fire below 100.00; this one was 150.00",
        "amount: would not fire above 200.00; this one was 150.00",
    ]
    assert said(explained(rule, amount="99.99")) == ["amount: fires from 100.00; this one was 99.99"]
    assert said(explained(rule, amount="200.01")) == ["amount: fires up to 200.00; this one was 200.01"]


def test_a_sum_says_both_the_sum_and_the_amount_of_this_payment() -> None:
    rule = make_rule("R", leaf(ref(PAID, "paid"), "gte", yuan("50000.00")), features={"paid": PAID})
    explanation = explained(rule, paid(1, 4, "46000.00"), amount="2000.00")
    ((turn, text),) = explanation.turns
    assert (turn.value, turn.edge, turn.amount) == (4_800_000, Edge(5_000_000, "from"), Edge(400_000, "from"))
    assert text.en == (
        "paid: fires from 50,000.00; this one was 48,000.00. "
        "By its amount: fires from 4,000.00; this payment was 2,000.00"
    )
    assert text.zh == "paid达到50,000.00起命中，本笔为48,000.00；即支付金额达到4,000.00起命中，本笔金额为2,000.00"


def test_a_sum_that_does_not_count_the_payment_says_no_amount_of_it() -> None:
    cash = replace(PAID, where=leaf("settlement", "eq", "cash"))
    rule = make_rule("R", leaf(ref(cash, "cash"), "gte", yuan("50.00")), features={"cash": cash})
    ((turn, _),) = explained(rule).turns
    assert (turn.edge, turn.amount) == (Edge(5000, "from"), None)


def test_a_count_says_the_count() -> None:
    count = aggregate("count", "instruction_id", "budget_unit", window_us=72 * HOUR)
    rule = make_rule("R", leaf(ref(count, "n"), "gt", 3), features={"n": count})
    assert said(explained(rule, paid(1, 4))) == ["n: fires from 4; this one was 2"]


@pytest.mark.parametrize(
    ("operator", "text", "amount"),
    [
        ("gte", "share: fires from 0.7500", Edge(15_000, "from")),
        ("gt", "share: fires above 0.7500", Edge(15_001, "from")),
    ],
)
def test_a_ratio_has_no_next_value_but_the_amount_has(operator: str, text: str, amount: Edge) -> None:
    share = Arithmetic(
        "div", (ref(PAID, "paid"), ref(aggregate("max", "amount", "jurisdiction", period="month"), "max"))
    )
    rule = make_rule("R", leaf(ref(share, "share"), operator, Decimal("0.75")), features={"share": share})
    ((turn, told),) = explained(rule, paid(1, 4, "200.00", budget_unit="other"), amount="100.00").turns
    assert told.en.startswith(text)
    assert turn.amount == amount


def test_where_several_conditions_are_false_no_number_decides_alone() -> None:
    when = All((leaf("amount", "gte", yuan("5000.00")), leaf("settlement", "eq", "cash")))
    assert not explained(make_rule("R", when)).turns


def test_what_does_not_turn_because_of_another_condition_is_not_told() -> None:
    # From 5,000.01 on the limit is reached, but at exactly that amount it is not round.
    when = All((leaf("amount", "gt", yuan("5000.00")), leaf("amount", "multiple_of", yuan("1000.00"))))
    assert not explained(make_rule("R", when), amount="3000.00").turns
    # Of two limits the higher one is told.
    both = All((leaf("amount", "gte", yuan("5000.00")), leaf("amount", "gte", yuan("9000.00"))))
    assert said(explained(make_rule("R", both), amount="3000.00")) == [
        "amount: fires from 9,000.00; this one was 3,000.00"
    ]


def test_an_amount_in_another_currency_without_a_rate_has_no_turning_point() -> None:
    assert not explained(make_rule("R", leaf("amount", "gte", yuan("1.00"))), currency="USD").turns


def test_a_refund_that_nobody_would_make_is_not_told() -> None:
    rule = make_rule("R", leaf(ref(PAID, "paid"), "gte", yuan("50.00")), features={"paid": PAID})
    ((turn, _),) = explained(rule, paid(1, 4, "46000.00"), amount="2000.00").turns
    assert (turn.edge, turn.amount) == (Edge(5000, "from"), None)


def test_sentences_are_whole_in_both_languages() -> None:
    turn = Turn("paid", Kind.MONEY, 100, True, Edge(Fraction(100, 3), "from", inclusive=False))
    text = turn_text(turn, None)
    assert text.en == "paid: would not fire up to ≈0.33; this one was 1.00"
    assert text.zh == "paid不高于≈0.33则不命中，本笔为1.00"


# --- turning points, judged again ---

FEN = st.integers(-500, 500)
COUNT = aggregate("count", "instruction_id", "budget_unit", window_us=24 * HOUR)
SUM = aggregate("sum", "amount", "budget_unit", window_us=24 * HOUR)


def in_yuan(fen: int) -> Decimal:
    return Decimal(fen).scaleb(-2)


OPERATOR = st.sampled_from(["gt", "gte", "lt", "lte"])
LEAF = st.one_of(
    st.builds(lambda op, fen: leaf("amount", op, in_yuan(fen)), OPERATOR, FEN),
    st.builds(lambda op, fen: leaf(ref(SUM, "total"), op, in_yuan(fen)), OPERATOR, FEN),
    st.builds(lambda op, n: leaf(ref(COUNT, "n"), op, n), OPERATOR, st.integers(0, 5)),
    st.builds(lambda a, b: leaf("amount", "between", (in_yuan(a), in_yuan(a + b))), FEN, st.integers(0, 300)),
    st.builds(lambda op: leaf(ref(SUM, "total"), op, ref(Arithmetic("mul", (ref(SUM), 2)), "twice")), OPERATOR),
    st.just(leaf("cashier", "is_missing", True)),
    st.just(leaf("cashier", "eq", "x")),
)
CONDITION: st.SearchStrategy[Condition] = st.recursive(
    LEAF,
    lambda each: st.one_of(
        st.lists(each, min_size=1, max_size=3).map(lambda items: All(tuple(items))),
        st.lists(each, min_size=1, max_size=3).map(lambda items: Any_(tuple(items))),
        st.lists(each, min_size=1, max_size=2).map(lambda items: None_(tuple(items))),
        each.map(Not),
    ),
    max_leaves=5,
)


def judged(when: Condition, history: list[int], amount: int) -> tuple[Explanation, bool]:
    """The explanation of a payment of that many fen after a history of such, and whether the engine says a hit."""
    rule = make_rule("R", when, action="record")  # what is recorded passes, and counts in windows
    engine = Engine(Program(make_ruleset(rule)))
    start = make_instruction().event_time
    payments = [
        make_instruction(instruction_id=f"H-{n}", amount=f"{in_yuan(fen):f}", event_time=start + timedelta(hours=n))
        for n, fen in enumerate([*history, amount])
    ]
    engine.assess(payments[:-1])
    engine.absorb()
    explanation = explain(rule, judged_by(engine, payments[-1]))
    (outcome,) = engine.assess(payments[-1:])
    assert isinstance(outcome, Decision)
    return explanation, bool(outcome.hits)


def beyond(edge: Edge) -> int:
    return int(edge.value) + (-1 if edge.direction == "from" else 1)


@given(CONDITION, st.lists(FEN, min_size=1, max_size=4), FEN)
def test_at_the_named_value_it_fires_and_one_fen_beyond_it_does_not(
    when: Condition, history: list[int], amount: int
) -> None:
    explanation, fires = judged(when, history, amount)
    assert (explanation.node.truth is True) is fires
    for turn, _ in explanation.turns:
        assert turn.fires is fires
        paid_edge = turn.edge if turn.subject == "amount" else turn.amount
        if paid_edge is not None:
            assert judged(when, history, int(paid_edge.value))[1]
            assert not judged(when, history, beyond(paid_edge))[1]
        if turn.subject == "total":  # the sum comes to its edge by what was paid before
            before = history[0] - int(turn.value)
            assert judged(when, [before + int(turn.edge.value), *history[1:]], amount)[1]
            assert not judged(when, [before + beyond(turn.edge), *history[1:]], amount)[1]


@given(OPERATOR, FEN, FEN)
def test_a_single_limit_always_has_its_turning_point(operator: str, limit: int, amount: int) -> None:
    explanation, fires = judged(leaf("amount", operator, in_yuan(limit)), [], amount)
    ((turn, _),) = explanation.turns
    assert (turn.fires, abs(int(turn.edge.value) - limit) <= 1) == (fires, True)


@pytest.mark.parametrize("value", ["江岸", 2.5, True])
def test_a_local_field_that_is_there_is_shown_whatever_it_is(value: object) -> None:
    leaf_node = explained(make_rule("R", leaf("attributes.x", "is_missing", False)), attributes={"x": value}).node
    assert leaf_node.truth is True
    assert leaf_node.subject is not None
    assert leaf_node.subject.value is not None
