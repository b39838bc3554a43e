"""Conditions: what the compiled rules answer, what the interpreter answers, and Kleene logic by itself, on random rules
and instructions.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import make_instruction
from tests.engine.bench import Bench
from tests.rulesets import HOUR, aggregate, leaf, ref
from treasury_watch.domain.payment import Instruction
from treasury_watch.engine.conditions import Judged, conjunction, negation
from treasury_watch.engine.reasons import hit
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.forms.anomaly import Anomaly
from treasury_watch.rules.forms.arithmetic import Arithmetic
from treasury_watch.rules.forms.first_seen import FirstSeen
from treasury_watch.rules.forms.lookup import Lookup
from treasury_watch.rules.operators import OPERATORS
from treasury_watch.rules.operators.working_time import Hours
from treasury_watch.rules.schema import All, Any_, Condition, Dated, FieldRef, Leaf, None_, Not, Param, Table, WordList

# --- Kleene's logic by itself ---

RANK = {False: 0, None: 1, True: 2}
TRUTH = {rank: truth for truth, rank in RANK.items()}


def kleene(condition: Condition, judged: Judged) -> bool | None:
    """The truth of a condition, its leaves taken from the interpreter: `all` is the least, `any` the greatest."""

    def rank(each: Condition) -> int:
        match each:
            case All(items):
                return min(map(rank, items))
            case Any_(items):
                return max(map(rank, items))
            case None_(items):
                return 2 - max(map(rank, items))
            case Not(item):
                return 2 - rank(item)
            case _:
                return RANK[judged.truth(each)]

    return TRUTH[rank(condition)]


# What stands in the textbook: rows are the left, columns the right side; T true, M missing, F false.
ORDER = (True, None, False)
AND = {True: "TMF", None: "MMF", False: "FFF"}
OR = {True: "TTT", None: "TMM", False: "TMF"}
NONE = {True: "FFF", None: "FMM", False: "FMT"}
NOT = {True: "F", None: "M", False: "T"}
LETTER = {"T": True, "M": None, "F": False}
PROBES = {
    True: leaf("line_no", "eq", 1),
    None: leaf("voucher_no", "eq", "absent"),
    False: leaf("line_no", "eq", 2),
}


@pytest.mark.parametrize(("group", "table"), [(All, AND), (Any_, OR), (None_, NONE)])
@pytest.mark.parametrize("left", ORDER)
def test_all_any_and_none_follow_the_truth_tables(group: Any, table: dict[Any, str], left: bool | None) -> None:
    for right, letter in zip(ORDER, table[left], strict=True):
        condition = group((PROBES[left], PROBES[right]))
        assert verdict_of(condition) == LETTER[letter], (left, right)


@pytest.mark.parametrize("truth", ORDER)
def test_not_turns_true_and_false_round_and_leaves_missing(truth: bool | None) -> None:
    assert verdict_of(Not(PROBES[truth])) == LETTER[NOT[truth]]
    assert negation(truth) == LETTER[NOT[truth]]


@pytest.mark.parametrize("truth", ORDER)
def test_a_group_of_one_is_that_one(truth: bool | None) -> None:
    assert verdict_of(All((PROBES[truth],))) is truth
    assert verdict_of(Any_((PROBES[truth],))) is truth
    assert verdict_of(None_((PROBES[truth],))) == LETTER[NOT[truth]]


def test_an_empty_conjunction_is_true() -> None:
    assert conjunction(iter(())) is True


def verdict_of(condition: Condition) -> bool | None:
    """The compiled answer for an instruction with `line_no` 1 and no `voucher_no`."""
    return Bench((condition,)).judge(make_instruction(line_no=1))[0]


# --- random conditions: every operator on every sort of value ---

DAYS = [date(2025, 3, 4), date(2025, 3, 5), date(2025, 3, 6)]
LISTS = {
    "accounts": {"6222 01": None, "622202": DAYS[1], "622203": date(2020, 1, 1)},
    "words": {"烟": None, "酒": DAYS[0], "办公 用品": None},
}
ROWS: dict[tuple[str, ...], Any] = {
    ("101001",): (
        (None, {"limit": Decimal("5.00"), "rank": 2, "rate": Decimal("0.5"), "holder": "张 敏", "card": "6222-01"}),
    ),
    ("101002",): (
        (DAYS[0], {"limit": Decimal("2.50"), "open": True, "since": DAYS[1], "code": "甲"}),
        (DAYS[1], {"limit": Decimal("0.00"), "rank": 0, "open": False, "since": DAYS[2]}),
    ),
}
TYPES = {
    "unit": "text", "limit": "money", "rank": "integer", "rate": "number", "holder": "name", "card": "account",
    "open": "boolean", "since": "date", "code": "text",
}  # fmt: skip
TABLES = {
    "units": Table("units", ("unit",), TYPES, ROWS),
    "pairs": Table(
        "pairs", ("account", "code"), {"account": "account", "code": "text", "limit": "money"},
        {("622201", "A"): ((None, {"limit": Decimal("1.00")}),)},
    ),
}  # fmt: skip


def lookup(column: str) -> Lookup:
    return Lookup("units", ("budget_unit",), column)


def params(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Param]:
    """Params that are plain, dated, segmented or both; some have no value on some days or in some segments."""
    dated = st.lists(st.sampled_from([None, *DAYS]), min_size=1, max_size=3, unique=True).flatmap(
        lambda days: st.tuples(
            *(st.builds(Dated, st.just(day), values) for day in sorted(days, key=lambda day: day or date.min))
        )
    )
    segmented = st.dictionaries(st.sampled_from([None, "city", "county"]), dated, min_size=1).map(
        lambda segments: Param("p", segments, "unit_level")
    )
    return st.one_of(dated.map(lambda found: Param("p", {None: found})), segmented)


MONEY = st.sampled_from([Decimal(text) for text in ("-1.00", "0.00", "0.01", "1.00", "2.50", "5.00")])
NUMBERS = st.sampled_from([-1, 0, 1, 2, 3, Decimal("0.1"), Decimal("2.50")])
TEXTS = st.sampled_from(["甲", "A", "a", "办公用品", "烟", "6222 01", "张敏", "张 敏", ""])
SEGMENTS = st.sampled_from(["city", "county", "province"])
BOOLEANS = st.booleans()
DATES = st.sampled_from(DAYS)

wheres = st.one_of(st.none(), st.deferred(lambda: plain_conditions))
spans = st.sampled_from(
    [{"window_us": HOUR}, {"window_us": 40 * 24 * HOUR}, {"period": "day"}, {"period": "fiscal_year"}]
)
bys = st.sampled_from(
    [(), ("budget_unit",), ("payee_account", "unit_level"), ("attributes.x",), ("voucher_date", "line_no")]
)


def aggregates(kinds: list[str], over: list[str]) -> st.SearchStrategy[Aggregate]:
    return st.builds(
        lambda kind, field, by, where, span, population: aggregate(
            kind, field, *by, where=where, population=population, **span
        ),
        st.sampled_from(kinds),
        st.sampled_from(over),
        bys,
        wheres,
        spans,
        st.sampled_from(["executed", "attempted"]),
    )


money_aggregates = aggregates(["sum", "min", "max", "avg"], ["amount"])
counts = aggregates(["count", "distinct"], ["instruction_id", "payee_name", "card_no", "attributes.x", "green_channel"])
number_aggregates = aggregates(["sum", "min", "max", "avg"], ["line_no", "fiscal_year", "attributes.x"])


def arithmetic(kinds: list[str], left: st.SearchStrategy[Any], right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda kind, a, b: Arithmetic(kind, (a, b)), st.sampled_from(kinds), left, right)


number_operands = st.one_of(
    NUMBERS, params(NUMBERS), st.just(FieldRef("line_no")), st.just(FieldRef("attributes.x")), st.just(lookup("rank")),
    counts.map(ref), number_aggregates.map(ref),
)  # fmt: skip
money_fields = st.one_of(
    st.just(FieldRef("amount")), st.just(lookup("limit")),
    st.just(Lookup("pairs", ("payee_account", "voucher_no"), "limit")),
    money_aggregates.map(ref),
)  # fmt: skip
money_values = st.one_of(
    money_aggregates,
    st.just(lookup("limit")),
    arithmetic(["add", "sub"], money_fields, st.one_of(money_fields, MONEY, params(MONEY))),
    arithmetic(["mul", "div"], money_fields, number_operands),
)
number_values = st.one_of(
    counts,
    number_aggregates,
    st.sampled_from([lookup("rank"), lookup("rate")]),
    arithmetic(["div"], money_fields, money_fields),
    arithmetic(["add", "sub", "mul", "div"], number_operands, number_operands),
)
new_values = st.builds(
    FirstSeen,
    st.sampled_from(["payee_account", "attributes.x", "green_channel"]),
    bys,
    st.sampled_from([HOUR, 40 * 24 * HOUR]),
    wheres,
    st.sampled_from(["executed", "attempted"]),
)

X, Y = FieldRef("attributes.x"), FieldRef("attributes.y")
TRIED: set[str] = set()
ORDERINGS = ["eq", "ne", "gt", "gte", "lt", "lte"]


def leaves_of(
    subjects: st.SearchStrategy[Any], operands: st.SearchStrategy[Any], others: st.SearchStrategy[Any], *kinds: str
) -> st.SearchStrategy[Leaf]:
    """Leaves of these subjects with the operators of one sort. `others`: fields and features to be the same as."""
    by_operator: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("eq", "ne"), st.one_of(operands, others)),
        **dict.fromkeys(("in", "not_in"), st.lists(st.one_of(operands, others), min_size=1, max_size=3).map(tuple)),
        "same_as": others,
        "is_missing": st.booleans(),
    }  # fmt: skip
    if "ordered" in kinds:
        by_operator |= dict.fromkeys(("gt", "gte", "lt", "lte"), st.one_of(operands, others))
        by_operator["between"] = st.tuples(operands, operands)
    if "numeric" in kinds:
        by_operator["multiple_of"] = st.sampled_from([1, 2, Decimal("0.5"), Decimal("100.00")])
    if "text" in kinds:
        length_bounds = st.one_of(
            st.integers(0, 5), params(st.integers(0, 5)), st.sampled_from([Y, FieldRef("line_no")])
        )
        lengths = st.tuples(st.sampled_from(ORDERINGS), length_bounds)
        by_operator |= {
            **dict.fromkeys(("contains", "starts_with", "ends_with"), st.one_of(operands, others)),
            "in_list": st.just(WordList("accounts")),
            "contains_any": st.one_of(
                st.just(WordList("words")), st.just(WordList("words", ("烟台", "香烟"))), st.just(("烟", "A"))
            ),
            "matches": st.sampled_from(["^A", "[烟酒]", "^$", r"\d{4}"]),
            "length": st.lists(lengths, min_size=1, max_size=2).map(tuple),
        }
    TRIED.update(by_operator)
    return st.sampled_from(sorted(by_operator)).flatmap(
        lambda operator: st.builds(leaf, subjects, st.just(operator), by_operator[operator])
    )


def names(*of: str) -> st.SearchStrategy[FieldRef]:
    return st.sampled_from([FieldRef(name) for name in of])


texts = st.one_of(TEXTS, params(TEXTS), st.sampled_from([lookup("code"), lookup("holder"), lookup("card")]))


def working(hours: Hours) -> Leaf:
    TRIED.add("working_time")
    return leaf("event_time", "working_time", hours)


plain_leaves = st.one_of(
    leaves_of(
        names("amount"), st.one_of(MONEY, params(MONEY), st.just(lookup("limit"))), st.just(X), "ordered", "numeric"
    ),
    leaves_of(
        names("line_no", "fiscal_year", "schema_version"), st.one_of(NUMBERS, params(NUMBERS), st.just(lookup("rate"))),
        st.sampled_from([X, FieldRef("line_no")]), "ordered", "numeric",
    ),
    leaves_of(
        names("voucher_no", "budget_unit", "payee_name", "payee_account", "purpose", "currency"), texts,
        st.sampled_from([X, FieldRef("card_no"), FieldRef("payee_name")]), "text",
    ),
    leaves_of(names("unit_level"), st.one_of(SEGMENTS, params(SEGMENTS)), names("payment_mode")),
    leaves_of(names("green_channel"), st.one_of(BOOLEANS, params(BOOLEANS), st.just(lookup("open"))), st.just(X)),
    leaves_of(
        names("voucher_date", "event_time"), st.one_of(DATES, params(DATES), st.just(lookup("since"))),
        names("voucher_date", "event_time"), "ordered",
    ),
    # local fields: read as what they are compared with, so each with operands of one sort
    leaves_of(st.just(X), st.one_of(TEXTS, params(TEXTS)), st.sampled_from([Y, FieldRef("payee_name")]), "text"),
    leaves_of(st.just(X), st.one_of(NUMBERS, params(NUMBERS)), st.just(FieldRef("line_no")), "ordered", "numeric"),
    leaves_of(st.just(X), MONEY.map(lambda _: FieldRef("amount")), st.just(FieldRef("amount")), "ordered"),
    leaves_of(st.just(X), BOOLEANS, st.just(FieldRef("green_channel"))),
    st.sampled_from([Hours("cn", 0, 24 * 60), Hours("cn", 510, 1080)]).map(working),
)  # fmt: skip
feature_leaves = st.one_of(
    leaves_of(money_values.map(ref), st.one_of(MONEY, params(MONEY)), money_fields, "ordered", "numeric"),
    leaves_of(
        number_values.map(ref), st.one_of(NUMBERS, params(NUMBERS)), st.one_of(number_values.map(ref), st.just(Y)),
        "ordered", "numeric",
    ),
    leaves_of(new_values.map(ref), BOOLEANS, st.just(FieldRef("green_channel"))),
    leaves_of(st.just(ref(Anomaly("p_value"))), NUMBERS, st.just(FieldRef("line_no")), "ordered"),
    leaves_of(st.sampled_from([lookup("holder"), lookup("card"), lookup("code")]).map(ref), TEXTS, st.just(X), "text"),
)  # fmt: skip


def nested(leaves: st.SearchStrategy[Leaf], depth: int) -> st.SearchStrategy[Condition]:
    """Conditions of at most that many groups inside one another."""
    if not depth:
        return leaves
    inner = nested(leaves, depth - 1)
    groups = st.builds(
        lambda group, items: group(tuple(items)),
        st.sampled_from([All, Any_, None_]),
        st.lists(inner, min_size=1, max_size=3),
    )
    return st.one_of(leaves, groups, inner.map(Not))


plain_conditions = nested(plain_leaves, 2)
conditions = nested(st.one_of(plain_leaves, feature_leaves), 4)

instructions = st.builds(
    make_instruction,
    instruction_id=st.sampled_from(["1", "2"]),
    event_time=st.builds(
        lambda hours, us: datetime(2025, 3, 5, tzinfo=UTC) + timedelta(hours=hours, microseconds=us),
        st.sampled_from([0, 0, 0, -32, -8, 8, 16, 24 * 365]),
        st.sampled_from([0, 0, -1]),
    ),
    amount=st.sampled_from(["-1.00", "0.00", "0.01", "1.00", "2.50", "5.00"]),
    currency=st.sampled_from([None, None, "CNY", "USD"]),
    budget_unit=st.sampled_from(["101001", "101002", "101003"]),
    unit_level=st.sampled_from([None, "city", "county", "province"]),
    line_no=st.sampled_from([None, 0, 1, 2]),
    fiscal_year=st.sampled_from([None, 2024, 2025, 2030]),
    voucher_no=st.sampled_from([None, "A", "甲", ""]),
    voucher_date=st.sampled_from([None, *DAYS]),
    payee_name=st.sampled_from([None, "张敏", "张 　敏", "香烟店"]),
    payee_account=st.sampled_from([None, "622201", "6222-02", "６２２２03"]),
    card_no=st.sampled_from([None, "6222 01"]),
    purpose=st.sampled_from([None, "办公　用品", "烟酒", "烟台"]),
    green_channel=st.booleans(),
    attributes=st.one_of(
        st.none(),
        st.dictionaries(
            st.sampled_from(["x", "y"]), st.sampled_from(["A", "张敏", "622201", 0, 1, 2, 0.1, 2.5, 1e300, True, False])
        ),
    ),
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(condition=conditions, arriving=st.lists(st.tuples(instructions, st.booleans()), min_size=1, max_size=5))
def test_compiled_rules_interpreted_rules_and_kleene_logic_agree(
    condition: Condition, arriving: list[tuple[Instruction, bool]]
) -> None:
    bench = Bench((condition,), LISTS, TABLES)
    for instruction, executed in arriving:
        judged = bench.judged(instruction)
        truth = judged.truth(condition)
        assert kleene(condition, judged) is truth
        if truth is not False:  # a hit can be written of whatever fires, and says what was missing
            assert bool(hit(bench.rules[0], judged, truth is True).missing) is (truth is None)
        assert bench.judge(instruction, executed) == [truth]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    several=st.lists(nested(st.one_of(plain_leaves, feature_leaves), 2), min_size=2, max_size=4),
    arriving=st.lists(st.tuples(instructions, st.booleans()), min_size=1, max_size=4),
)
def test_rules_that_share_features_answer_as_each_does_alone(
    several: list[Condition], arriving: list[tuple[Instruction, bool]]
) -> None:
    together = Bench(tuple(several), LISTS, TABLES)
    for instruction, executed in arriving:
        judged = together.judged(instruction)
        expected = [judged.truth(condition) for condition in several]
        assert together.judge(instruction, executed) == expected


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(condition=nested(plain_leaves, 3), instruction=instructions)
def test_a_missing_condition_that_passes_does_not_fire(condition: Condition, instruction: Instruction) -> None:
    bench = Bench((condition,), LISTS, TABLES, on_missing="pass")
    truth = bench.judged(instruction).truth(condition)
    assert bench.judge(instruction) == [truth is True]


def test_every_operator_is_among_the_random_leaves() -> None:
    assert set(OPERATORS) == TRIED
