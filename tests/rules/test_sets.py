"""Whole rule sets: files by kind, and the promise that any text is accepted or explained."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.texts import CARDS, HEAD, LISTS, REASON, RULE, read_set, rule_file
from treasury_watch.adapters.rulefiles import default_rules, files_of
from treasury_watch.rules import CODES, check, read, render
from treasury_watch.rules.diagnostics import lines_of

WHEN = "  when: {field: amount, gt: 1.00}\n"
PACK = files_of(default_rules())
RULE_FILES = sorted(path for path in PACK if b"\nruleset: " in PACK[path])
REFERENCE = {path: data for path, data in PACK.items() if "/lists/" in path or "/tables/" in path}


def codes(files: dict[str, bytes]) -> list[str]:
    ruleset, diagnostics = read(files)
    assert (ruleset is None) == bool(diagnostics)
    return [each.code for each in diagnostics]


def test_a_set_is_the_rules_of_all_its_files_in_the_order_of_their_paths() -> None:
    one, other = rule_file(WHEN), rule_file(WHEN).replace(b"RULE-001", b"RULE-002")
    ruleset, _ = read({"b.yaml": one, "a.yaml": other})
    assert ruleset is not None
    assert [(file.path, file.name, file.owner) for file in ruleset.files] == [
        ("a.yaml", "office", "treasury-monitoring@example.gov"),
        ("b.yaml", "office", "treasury-monitoring@example.gov"),
    ]
    assert [rule.id for rule in ruleset.rules] == ["RULE-002", "RULE-001"]
    assert (ruleset.timezone, ruleset.partition_by) == ("Asia/Shanghai", "jurisdiction")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ["TW009"]),
        ({"README.md": b"# rules"}, ["TW009"]),
        ({"a.yaml": b""}, ["TW009"]),
        ({"a.yaml": b"- a\n"}, ["TW009"]),
        ({"a.yaml": b"rule: a\n"}, ["TW009"]),
        ({"a.yml": rule_file(WHEN)}, ["TW009"]),
        ({"a.yaml": rule_file(WHEN), "b.yml": b"x"}, ["TW009"]),
        ({"a.yaml": rule_file(WHEN), "b.yaml": b"# later\n"}, ["TW009"]),
        ({**LISTS, **CARDS}, ["TW009"]),
        ({"a.yaml": rule_file(WHEN), "README.md": b"\xff"}, []),
        ({"a.yaml": rule_file(WHEN), "risk.yaml": b"risk_points: [{id: RP-1}]\n"}, ["TW102", "TW102"]),
    ],
)
def test_files_are_known_by_their_first_key(files: dict[str, bytes], expected: list[str]) -> None:
    assert codes(files) == expected


@pytest.mark.parametrize("key", ["timezone: Asia/Shanghai", "partition_by: jurisdiction"])
def test_files_of_one_set_agree(key: str) -> None:
    other = rule_file(WHEN).replace(b"RULE-001", b"RULE-002")
    changed = other.replace(
        key.encode(), key.split()[0].encode() + (b" Asia/Tokyo" if "zone" in key else b" budget_unit")
    )
    assert codes({"a.yaml": rule_file(WHEN), "b.yaml": other}) == []
    assert codes({"a.yaml": rule_file(WHEN), "b.yaml": changed}) == ["TW109"]


def test_a_file_without_its_head_does_not_hide_what_is_wrong_with_its_rules() -> None:
    text = rule_file("  when: {field: amuont, gt: 1}\n").replace(b"timezone: Asia/Shanghai\n", b"")
    assert codes({"a.yaml": text}) == ["TW102", "TW201"]


def test_a_broken_list_makes_no_unknown_names() -> None:
    text = rule_file("  when: {field: payee_account, in_list: debarred}\n")
    assert codes({"a.yaml": text}) == ["TW203"]
    assert codes({"a.yaml": text, "lists/debarred.yaml": b"list: debarred\n"}) == ["TW102"] * 3
    lookup = rule_file("  when: {field: amount, gt: {lookup: cards, key: card_no, column: x}}\n")
    assert codes({"a.yaml": lookup, "tables/cards.yaml": b"table: cards\n"}) == ["TW102"] * 4


def test_rules_in_order_are_not_hidden_by_others_that_are_not() -> None:
    """The checks of loading run over what could be read, so all errors come at once."""
    bad = RULE.replace("001", "002") + "  when: {field: amuont, gt: 1}\n" + REASON
    text = (
        HEAD + RULE + "  params: {x: [{from: 2025-01-01, value: 5}]}\n  when: {field: amount, gt: $x}\n" + REASON + bad
    )
    assert codes({"a.yaml": text.encode()}) == ["TW401", "TW201"]


def test_every_code_that_is_given_is_documented() -> None:
    assert all(len(code) == 5 and code.startswith("TW") for code in CODES)
    assert sorted(CODES) == list(CODES)


def test_twenty_thousand_rows_are_read() -> None:
    csv = "card_no,credit_limit\n" + "".join(f"6283{number:012d},50000.00\n" for number in range(20_000))
    declaration = (
        b"table: cards\nowner: a\nbasis: b\nkey: [card_no]\ncolumns: {card_no: account, credit_limit: money}\n"
    )
    ruleset = read_set(WHEN, files={"tables/cards.yaml": declaration, "tables/cards.csv": csv.encode()})
    assert len(ruleset.tables["cards"].rows) == 20_000


SPOILERS = st.sampled_from(
    ["", " ", "\n", "\t", ":", "- ", "{", "}", "[", "]", "#", "&a ", "*a", "!!str ", "'", '"', "|", ">", "?", ",", "$",
     "no", "010", "1e9", "16:30", "null", "~", "all", "not", "field", "amount", "：", "“", "0.001", "-",
     "{field: amount}", "[]", "{}", "\u200b", "\x85", "\r", "$limit", "2025-02-30", "99999999999999999999999999999999",
     "attributes.x", "\\", "%", "@", "`", "1h", "大额"]
)  # fmt: skip


@pytest.mark.no_cover
@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_spoilt_rule_file_is_accepted_or_explained_inside_the_file(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(RULE_FILES))
    text = PACK[path].decode()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.integers(0, 12))
        text = text[:start] + data.draw(SPOILERS) + text[end:]
    files = REFERENCE | {path: text.encode()}
    ruleset, diagnostics = read(files)
    assert (ruleset is None) == bool(diagnostics)
    if ruleset is not None:
        diagnostics = check(ruleset, files, date(2025, 6, 1))
    for each in diagnostics:
        lines = lines_of(files.get(each.span.file, b""))
        assert each.code in CODES
        assert each.span.file in files
        assert each.span.line <= len(lines)
        assert each.span.column <= len(lines[each.span.line - 1]) + 1
        assert each.message
        assert each.hint
    render(diagnostics, files)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_spoilt_table_is_accepted_or_explained_inside_the_file(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(CARDS)))
    text = CARDS[path].decode()
    start = data.draw(st.integers(0, len(text)))
    text = text[:start] + data.draw(SPOILERS) + text[start + data.draw(st.integers(0, 8)) :]
    files = {"office.yaml": rule_file(WHEN)} | CARDS | {path: text.encode()}
    ruleset, diagnostics = read(files)
    assert (ruleset is None) == bool(diagnostics)
    for each in diagnostics:
        lines = lines_of(files[each.span.file])
        assert each.span.column <= len(lines[each.span.line - 1]) + 1
