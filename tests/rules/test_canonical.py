"""Hashes: of the meaning, and of nothing else."""

from __future__ import annotations

import pytest

from tests.rules.texts import CARDS, HEAD, LISTS, REASON, RULE
from treasury_watch.rules import read
from treasury_watch.rules.canonical import logic_hash
from treasury_watch.rules.schema import Dated, FieldRef, Leaf, RuleSet

BODY = """\
  effective: {from: 2025-01-01}
  params: {limit: [{from: 2025-01-01, value: 5.00}]}
  features: {paid: {sum: amount, by: [budget_unit], where: {field: settlement, eq: cash}, window: 72h}}
  when:
    all:
    - {field: amount, gte: $limit}
    - {feature: paid, gt: 10.00}
  exceptions:
  - {match: {field: budget_unit, eq: "101"}, owner: li, basis: b, expires: 2025-06-30}
"""
TEXT = HEAD + RULE + BODY + REASON
FILES = {**CARDS, **LISTS}


def read_text(text: str, files: dict[str, bytes] | None = None, path: str = "office.yaml") -> RuleSet:
    ruleset, diagnostics = read({path: text.encode(), **(FILES if files is None else files)})
    assert diagnostics == []
    assert ruleset is not None
    return ruleset


def test_hashes_are_the_same_on_every_machine() -> None:
    """These change only with the canonical form, and then every stored decision names an unknown rule set."""
    ruleset = read_text(TEXT)
    assert ruleset.hash == "sha256:e5e3721906dea88d199c4e6b2f4ca2bdd0aaf90a6f792b88594329ef1b010db1"
    assert ruleset.reference == "sha256:3734115c8c93b37eccc9b63589e7d99c840df76affc46180288df9c44965f16f"
    assert logic_hash(ruleset.rules[0]) == "sha256:b99093fcadd39716b56a7595208b0a393966ac045966443ffd87a576c50b3a09"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rules:", "# a comment\nrules:  # another"),
        ("{field: amount, gte: $limit}", "field: amount\n      gte: $limit"),
        ("value: 5.00", "value: 5"),
        ("gt: 10.00", "gt: 10"),
        ("72h", "3d"),
        ("owner: treasury", "owner: other"),
        ("ruleset: office", "ruleset: bureau"),
        ("when:", "basis: {zh: 办法, en: Regulation}\n  when:"),
        ("mode: live, action: warn", "action: warn, mode: live, on_missing: warn"),
    ],
)
def test_what_means_the_same_has_the_same_hash(old: str, new: str) -> None:
    assert old in TEXT
    assert read_text(TEXT.replace(old, new)).hash == read_text(TEXT).hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value: 5.00", "value: 5.01"),
        ("gt: 10.00", "gte: 10.00"),
        ("72h", "73h"),
        ("[budget_unit]", "[payee_account]"),
        ("eq: cash", "eq: cheque"),
        ("sum: amount", "max: amount"),
        ("2025-06-30", "2025-07-01"),
        ("owner: li", "owner: wang"),
        ("effective: {from: 2025-01-01}", "effective: {from: 2025-01-02}"),
        ("mode: live", "mode: shadow"),
        ("action: warn", "action: record"),
        ("action: warn", "action: warn, on_missing: pass"),
        ("revision: 1", "revision: 2"),
        ("CNY", "RMB"),
        ("en: Rule", "en: A rule"),
        ("Asia/Shanghai", "Asia/Urumqi"),
        ("jurisdiction", "budget_unit"),
        ("paid", "total"),
    ],
)
def test_what_verdicts_or_their_texts_depend_on_changes_the_hash(old: str, new: str) -> None:
    assert old in TEXT
    assert read_text(TEXT.replace(old, new)).hash != read_text(TEXT).hash


def test_where_a_file_stands_is_no_meaning() -> None:
    assert read_text(TEXT, path="/srv/rules/office.yaml").hash == read_text(TEXT).hash


def test_tests_are_no_meaning() -> None:
    tested = TEXT + "tests:\n- {name: a, start: 2025-03-03T09:00:00+08:00, steps: [{at: 0h, pay: {}, expect: pass}]}\n"
    assert read_text(tested).hash == read_text(TEXT).hash


def test_lists_and_tables_are_part_of_the_set_and_tables_have_a_hash_of_their_own() -> None:
    plain = read_text(TEXT)
    other_list = FILES | {"lists/debarred.yaml": FILES["lists/debarred.yaml"].replace(b"6283", b"6284")}
    assert read_text(TEXT, other_list).hash != plain.hash
    assert read_text(TEXT, other_list).reference == plain.reference
    csv = FILES["tables/official_cards.csv"]
    other_table = FILES | {"tables/official_cards.csv": csv.replace(b"50000.00", b"50000.01")}
    assert read_text(TEXT, other_table).hash != plain.hash
    assert read_text(TEXT, other_table).reference != plain.reference


def test_the_order_and_layout_of_reference_data_is_no_meaning() -> None:
    csv = FILES["tables/official_cards.csv"].decode().splitlines()
    shuffled = "\r\n".join([csv[0], csv[2], "", csv[1]]).replace("20000", '"20000.00"')
    entries = 'entries: ["6283", "7000"]', "entries:\n- {value: '7000', note: b}\n- '6283'"
    one, other = (
        FILES | {"lists/debarred.yaml": f"list: debarred\nowner: a\nbasis: b\n{each}\n".encode()} for each in entries
    )
    assert read_text(TEXT, other | {"tables/official_cards.csv": shuffled.encode()}).hash == read_text(TEXT, one).hash


def test_a_dated_table_has_its_dates_in_its_hash() -> None:
    declaration = b"table: t\nowner: a\nbasis: b\nkey: [k]\ncolumns: {k: text, since: date, v: money}\ndated: since\n"
    one, other = (
        {"t.yaml": declaration, "t.csv": f"k,since,v\na,{day},1\n".encode()} for day in ("2025-01-01", "2025-01-02")
    )
    assert read_text(TEXT, one).reference != read_text(TEXT, other).reference


def test_the_logic_of_a_rule_is_the_same_under_other_names() -> None:
    renamed = TEXT.replace("paid", "total").replace("limit", "threshold")
    assert logic_hash(read_text(renamed).rules[0]) == logic_hash(read_text(TEXT).rules[0])
    assert logic_hash(read_text(TEXT.replace("5.00", "5.01")).rules[0]) != logic_hash(read_text(TEXT).rules[0])


def test_one_and_true_are_two_conditions_though_python_calls_them_equal() -> None:
    one, true = (Leaf(FieldRef("attributes.x"), "eq", operand) for operand in (1, True))
    assert one != true
    assert len({one, true}) == 2
    assert Dated(None, 1) != Dated(None, True)
