"""Fixes: what is mechanical is put right, once; every other byte stays."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.texts import HEAD, REASON, RULE, rule_file
from treasury_watch.rules import check, read
from treasury_watch.rules.fixes import fixed

WHEN = "  mode: shadow\n  when: {field: amount, gte: 2.00}\n"
LOCK = "rules.lock"


def fix(text: bytes, lock: bytes | None = None) -> tuple[dict[str, bytes], list[str]]:
    files = {"office.yaml": text} | ({LOCK: lock} if lock is not None else {})
    now, done = fixed(files, LOCK)
    return now, [each.message for each in done]


def locked(text: bytes) -> bytes:
    return fix(text)[0][LOCK]


def codes(files: dict[str, bytes]) -> list[str]:
    ruleset, found = read(files)
    return [each.code for each in (found if ruleset is None else check(ruleset, files, date(2025, 6, 1)))]


@pytest.mark.parametrize("written", ["101001", "010101", "16:30", "no", "2025-01-01", "6.2E+17", "0x1F"])
def test_a_text_is_quoted_as_it_is_written(written: str) -> None:
    before = rule_file(f"  mode: shadow\n  when: {{field: budget_unit, in: [a, {written}]}}  # kept: {written}\n")
    now, done = fix(before)
    assert now["office.yaml"] == before.replace(f"a, {written}]".encode(), f'a, "{written}"]'.encode())
    assert done == [f'quoted "{written}"', "wrote rules.lock"]
    assert codes(now) == []


def test_a_key_and_a_text_on_one_line_are_both_quoted() -> None:
    now, done = fix(rule_file("  mode: shadow\n  params: {no: 101001}\n  when: {field: amount, gte: 1.00}\n"))
    assert done == ['quoted "no"', "wrote rules.lock"]
    assert b'{"no": 101001}' in now["office.yaml"]


@pytest.mark.parametrize(
    "condition", ["{field: attributes.urgent, eq: no}", "{field: amount, gte: 010101}", "{field: line_no, eq: 0x1F}"]
)
def test_what_only_the_author_knows_is_left(condition: str) -> None:
    before = rule_file(f"  mode: shadow\n  when: {condition}\n")
    now, done = fix(before)
    assert (now, done) == ({"office.yaml": before}, [])
    assert codes(now) in (["TW007"], ["TW105"])


def test_quotes_are_put_right_beside_errors_that_stay() -> None:
    now, done = fix(
        rule_file("  mode: shadow\n  when: {all: [{field: amuont, gt: 1}, {field: budget_unit, eq: 101001}]}\n")
    )
    assert done == ['quoted "101001"']
    assert codes(now) == ["TW201"]
    assert LOCK not in now


def test_the_revision_rises_above_that_of_the_lock() -> None:
    old = rule_file(WHEN).replace(b"revision: 1", b"revision: 7")
    changed = rule_file(WHEN.replace("2.00", "3.00")).replace(b"revision: 1", b"revision: 3  # reverted")
    now, done = fix(changed, locked(old))
    assert done == ["revision 3 → 8 of `RULE-001`, whose logic changed", "wrote rules.lock"]
    assert now["office.yaml"] == changed.replace(b"revision: 3", b"revision: 8")
    assert codes(now) == []


def test_a_revision_that_rose_already_is_only_locked() -> None:
    old = rule_file(WHEN)
    changed = rule_file(WHEN.replace("2.00", "3.00")).replace(b"revision: 1", b"revision: 2")
    assert fix(changed, locked(old))[1] == ["wrote rules.lock"]


def test_another_wording_is_no_other_logic() -> None:
    assert fix(rule_file(WHEN).replace(b"zh: \xe8", b"zh: \xe5\xa4\xa7\xe8"), locked(rule_file(WHEN)))[1] == []


def test_a_revision_that_went_back_and_a_rule_that_is_gone_stay_in_the_lock() -> None:
    gone = RULE.replace("001", "002") + WHEN.replace("2.00", "3.00") + REASON
    old = rule_file(WHEN).replace(b"revision: 1", b"revision: 4") + gone.encode()
    new = RULE.replace("001", "003") + WHEN.replace("2.00", "4.00") + REASON
    now, done = fix(rule_file(WHEN) + new.encode(), locked(old))
    assert done == ["wrote rules.lock"]
    assert [line[:22] for line in now[LOCK].decode().splitlines()[2:]] == [
        "RULE-001: {revision: 4",
        "RULE-002: {revision: 1",
        "RULE-003: {revision: 1",
    ]
    assert codes(now) == ["TW605", "TW605"]
    assert fixed(now, LOCK) == (now, [])


def test_flow_style_and_windows_line_ends_and_a_byte_order_mark_are_kept() -> None:
    text = HEAD.replace("rules:\n", "") + (
        "rules: [{id: RULE-001, revision: 1, title: {zh: 规则, en: Rule}, mode: shadow,\n"
        '  when: {field: budget_unit, eq: 101001}, reason: {zh: "{amount}", en: "{amount}"}}]\n'
    )
    before = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    now, _ = fix(before)
    assert now["office.yaml"] == before.replace(b"eq: 101001", b'eq: "101001"')
    assert codes(now) == []


TRAPS = st.sampled_from(["101001", "no", "010101", "16:30", "x", '"9"', "1.5", "true", "[a, 07]", "甲", "1_0", "null"])


@settings(max_examples=150, deadline=None)
@given(st.lists(TRAPS, min_size=1, max_size=4), st.sampled_from(["budget_unit", "attributes.a", "amount"]))
def test_fixing_twice_is_fixing_once_and_no_quote_is_left_to_put(values: list[str], field: str) -> None:
    text = rule_file(f"  mode: shadow\n  when: {{field: {field}, in: [{', '.join(values)}]}}\n")
    once, _ = fixed({"office.yaml": text}, LOCK)
    assert fixed(once, LOCK) == (once, [])
    assert all(each.replacement is None for each in read(once)[1])
