"""What differs between two rule sets, as its reader is told."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.rules.texts import CARDS, HEAD, LISTS, REASON, RULE
from treasury_watch.rules import read
from treasury_watch.rules.datadiff import Set, data_diffs
from treasury_watch.rules.diff import Part, rule_diffs, set_parts
from treasury_watch.rules.schema import Span

LIMIT = """\
  effective: {from: 2025-01-01}
  params:
    limit:
      segment_by: unit_level
      default: [{from: 2025-01-01, value: 500000.00}]
      county: [{from: 2025-01-01, value: 200000.00}]
  when: {field: amount, gte: $limit}
"""
PLAIN = "  when: {all: [{field: amount, gte: 2.00}, {field: settlement, eq: cash}]}\n"


def the_set(*bodies: str, files: Mapping[str, bytes] | None = None, head: str = HEAD, tail: str = "") -> Set:
    rules = "".join(RULE.replace("001", f"{number:03d}") + body + REASON for number, body in enumerate(bodies, 1))
    everything = {"office.yaml": (head + rules + tail).encode(), **CARDS, **LISTS, **(files or {})}
    ruleset, found = read(everything)
    assert found == []
    assert ruleset is not None
    return Set(ruleset, everything)


def changes(old: Set, new: Set) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.id, each.changes) for each in rule_diffs(old.ruleset, new.ruleset)]


def parts(old: str, new: str) -> list[tuple[str, str | None, str | None, str | None]]:
    (found,) = rule_diffs(the_set(old).ruleset, the_set(new).ruleset)
    return [(each.part, each.name, each.old, each.new) for each in found.parts]


def steps(old: str, new: str) -> list[str]:
    (found,) = rule_diffs(the_set(old).ruleset, the_set(new).ruleset)
    return [f"{each.name}: {each.old} → {each.new} [{each.since}, {each.until})" for each in found.parts]


def test_a_set_does_not_differ_from_itself_nor_by_comments_tests_and_layout() -> None:
    test = "tests:\n- name: a\n  start: 2025-03-03T09:00:00+08:00\n  steps: [{at: 0h, pay: {}, expect: pass}]\n"
    one, other = the_set(PLAIN), the_set(PLAIN.replace("{all:", "{ all:   ") + "  # why\n", tail=test)
    assert changes(one, other) == []
    assert set_parts(one.ruleset, other.ruleset) == []
    assert data_diffs(one, other) == []


def test_rules_come_go_and_move_through_their_life() -> None:
    shadow, retired = ("  mode: shadow\n" + PLAIN), ("  mode: retired\n" + PLAIN)
    assert changes(the_set(PLAIN), the_set(PLAIN, LIMIT)) == [("RULE-002", ("added",))]
    assert changes(the_set(PLAIN, LIMIT), the_set(PLAIN)) == [("RULE-002", ("removed",))]
    assert changes(the_set(shadow), the_set(PLAIN)) == [("RULE-001", ("promoted",))]
    assert changes(the_set(PLAIN), the_set(shadow)) == [("RULE-001", ("demoted",))]
    assert changes(the_set(PLAIN), the_set(retired)) == [("RULE-001", ("retired",))]
    assert changes(the_set(shadow), the_set(PLAIN.replace("2.00", "3.00"))) == [("RULE-001", ("promoted", "logic"))]


def test_conditions_under_one_all_are_compared_one_by_one() -> None:
    assert parts(PLAIN, PLAIN.replace("2.00", "3.00")) == [
        ("condition", None, "amount ≥ 2.00", None),
        ("condition", None, None, "amount ≥ 3.00"),
    ]
    reversed_ = "  when: {all: [{field: settlement, eq: cash}, {field: amount, gte: 2.00}]}\n"
    assert [each[0] for each in parts(PLAIN, reversed_)] == ["condition"]


def test_a_long_list_of_choices_shows_the_ones_that_came_and_went() -> None:
    old = "  when: {field: purpose, in: [a, b, c, d, e, f, g, h, i, j]}\n"
    assert parts(old, old.replace(", j]", ", k]")) == [
        ("condition", None, "purpose: j", None),
        ("condition", None, None, "purpose: k"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("  when", "  action: intercept\n  when", ("action", None, "warn", "intercept")),
        ("  when", "  on_missing: pass\n  when", ("on_missing", None, "warn", "pass")),
        ("  when", "  evidence_required: true\n  when", ("evidence_required", None, "false", "true")),
        ("  when", "  effective: {from: 2025-01-01, until: 2026-01-01}\n  when",
         ("effective", None, "always", "from 2025-01-01 until 2026-01-01")),
    ],
)  # fmt: skip
def test_what_a_hit_does_is_logic(before: str, after: str, expected: tuple[str, ...]) -> None:
    new = PLAIN.replace(before, after)
    assert expected in parts(PLAIN, new)
    assert changes(the_set(PLAIN), the_set(new))[0][1][0] == "logic"


def test_wording_level_and_other_names_are_text_only() -> None:
    named = "  params: {limit: 5.00}\n  when: {field: amount, gte: $limit}\n"
    assert changes(the_set(named), the_set(named.replace("limit", "cap"))) == [("RULE-001", ("text",))]
    assert changes(the_set(PLAIN), the_set("  level: red\n" + PLAIN)) == [("RULE-001", ("text",))]


def test_a_feature_says_what_it_computed_and_computes() -> None:
    old = "  features: {paid: {sum: amount, by: [budget_unit], window: 72h}}\n  when: {feature: paid, gt: 5.00}\n"
    assert parts(old, old.replace("72h", "7d"))[-1] == (
        "feature",
        "paid",
        "sum of amount by budget_unit, 3d",
        "sum of amount by budget_unit, 7d",
    )


def test_an_exception_is_known_by_its_match_and_basis() -> None:
    old = PLAIN + "  exceptions: [{match: {field: budget_unit, eq: a}, owner: li, basis: b, expires: 2025-06-30}]\n"
    assert parts(old, old.replace("2025-06-30", "2025-12-31")) == [
        ("exception", "budget_unit = a", "until the end of 2025-06-30, b, li", "until the end of 2025-12-31, b, li")
    ]
    assert parts(PLAIN, old) == [("exception", "budget_unit = a", None, "until the end of 2025-06-30, b, li")]


# --- params ---


def test_an_appended_value_differs_from_its_day_on() -> None:
    new = LIMIT.replace("value: 200000.00}]", "value: 200000.00}, {from: 2026-07-01, value: 300000.00}]")
    assert steps(LIMIT, new) == ["limit for county: 200,000.00 → 300,000.00 [2026-07-01, None)"]
    assert changes(the_set(LIMIT), the_set(new)) == [("RULE-001", ("params",))]


def test_a_value_that_holds_for_a_while_differs_until_it_ends() -> None:
    later = "{from: 2026-01-01, value: 300000.00}, {from: 2027-01-01, value: 200000.00}]"
    new = LIMIT.replace("value: 200000.00}]", "value: 200000.00}, " + later)
    assert steps(LIMIT, new) == ["limit for county: 200,000.00 → 300,000.00 [2026-01-01, 2027-01-01)"]


def test_a_segment_that_is_new_is_compared_with_the_default_that_held_for_it() -> None:
    assert steps(LIMIT, LIMIT.replace("      county", "      town: 100000.00\n      county")) == [
        "limit for town: None → 100,000.00 [None, 2025-01-01)",
        "limit for town: 500,000.00 → 100,000.00 [2025-01-01, None)",
    ]


def test_the_default_and_a_segment_are_told_apart() -> None:
    assert steps(LIMIT, LIMIT.replace("500000.00", "600000.00")) == [
        "limit: 500,000.00 → 600,000.00 [2025-01-01, None)"
    ]


# --- reference data ---


def data_parts(files: Mapping[str, bytes]) -> list[Part]:
    (found,) = data_diffs(the_set(PLAIN), the_set(PLAIN, files=files))
    return list(found.parts)


def told(files: Mapping[str, bytes]) -> list[tuple[str | None, str | None, str | None]]:
    return [(each.name, each.old, each.new) for each in data_parts(files)]


def test_entries_of_a_list_come_go_and_get_an_end() -> None:
    name, text = next(iter(LISTS.items()))
    assert told({name: text.replace(b'"6283"', b'{value: "6283", expires: 2026-12-31}, "7000"')}) == [
        ("6283", "listed", "expires 2026-12-31"),
        ("7000", None, "listed"),
    ]
    (gone, come) = data_parts({name: b'list: debarred\nowner: a\nbasis: b\nentries:\n- "622202000000001234"\n'})
    assert (gone.name, gone.old_span and gone.old_span.line, gone.new_span) == ("6283", 4, None)
    assert (come.name, come.new_span and come.new_span.line) == ("**************1234", 5)


def test_rows_of_a_table_are_known_by_their_key_and_cards_are_masked() -> None:
    name = "tables/official_cards.csv"
    text = CARDS[name].replace(b"50000.00", b"60000.00") + b"6283-0003,,1.00,,,,false\n"
    found = data_parts({name: text})
    assert [(each.name, each.old, each.new) for each in found] == [
        ("****0001", "credit_limit 50,000.00", "credit_limit 60,000.00"),
        (
            "****0003",
            None,
            "credit_limit 1.00, holder (empty), issued (empty), open false, share (empty), uses (empty)",
        ),
    ]
    assert [(each.old_span and each.old_span.line, each.new_span and each.new_span.line) for each in found] == [
        (2, 2),
        (None, 4),
    ]


def test_a_list_that_is_new_is_told_with_its_entries() -> None:
    (found,) = data_diffs(
        the_set(PLAIN), the_set(PLAIN, files={"lists/b.yaml": LISTS["lists/debarred.yaml"].replace(b"debarred", b"b")})
    )
    assert (found.kind, found.name, found.old, len(found.parts)) == ("list", "b", None, 1)


# --- the set ---


def test_a_model_that_comes_goes_or_changes_is_told_with_its_place() -> None:
    plain, other = (
        the_set(PLAIN, files={"model.yaml": text})
        for text in (
            b"model: TailSurprise\n",
            b"model: TailSurprise\ntarget: 0.25%\nshadow: {detector: LODA, parameters: {n_bins: 20}}\n",
        )
    )
    none = the_set(PLAIN)
    place = Span("model.yaml", 1, 1)
    came = [Part("model", None, None, "TailSurprise", None, place), Part("model.target", None, None, "1%", None, place)]
    assert set_parts(none.ruleset, plain.ruleset) == came
    assert [(each.part, each.new) for each in set_parts(plain.ruleset, none.ruleset)] == [
        ("model", None),
        ("model.target", None),
    ]
    assert [(each.part, each.old, each.new) for each in set_parts(plain.ruleset, other.ruleset)] == [
        ("model.target", "1%", "0.25%"),
        ("model.shadow", None, "LODA, n_bins 20, seed 1"),
    ]
    assert set_parts(other.ruleset, other.ruleset) == []


def test_zone_partition_key_and_order_are_told() -> None:
    one = the_set(PLAIN, LIMIT)
    moved = the_set(
        PLAIN, LIMIT, head=HEAD.replace("Asia/Shanghai", "Asia/Urumqi").replace("jurisdiction", "budget_unit")
    )
    assert [each.part for each in set_parts(one.ruleset, moved.ruleset)] == ["timezone", "partition_by"]
    first, second = (
        RULE.replace("001", each) + PLAIN.replace("2.00", f"{each}.00".lstrip("0")) + REASON for each in ("001", "002")
    )
    orders = [read({"a.yaml": (HEAD + text).encode()})[0] for text in (first + second, second + first)]
    assert orders[0] is not None
    assert orders[1] is not None
    assert [each.part for each in set_parts(orders[0], orders[1])] == ["order"]
