"""`rules test` as its users meet it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from treasury_watch.adapters import watching
from treasury_watch.cli import run

RULES = """\
ruleset: test
owner: someone@example.org
timezone: Asia/Shanghai
partition_by: jurisdiction
defaults: {mode: live, action: warn, on_missing: pass}
rules:
- id: AMT-001
  revision: 1
  title: {zh: 大额支付, en: Large payment}
  when: {all: [{field: amount, gte: 500000.00}, {field: settlement, ne: cash}]}
  reason: {zh: "支付{amount}元", en: "Payment of CNY {amount}"}
- id: AMT-002
  revision: 1
  mode: shadow
  title: {zh: 更大额支付, en: Larger payment}
  when: {field: amount, gte: 900000.00}
  reason: {zh: "支付{amount}元", en: "Payment of CNY {amount}"}
test_base: {jurisdiction: "420100", budget_unit: "101001", amount: 1.00, payment_mode: direct, settlement: transfer}
tests:
- name: at the limit and one fen below
  start: 2025-03-05T09:00:00+08:00
  steps:
  - {at: 0h, pay: {amount: 499999.99}, expect: pass}
  - {at: 1h, pay: {amount: 500000.00}, expect: {warn: [AMT-001], reason_zh: 支付500000.00元}}
- name: the larger limit, not live yet
  start: 2025-03-05T09:00:00+08:00
  steps:
  - {at: 0h, pay: {amount: 899999.99}, expect: {warn: [AMT-001]}}
  - {at: 1h, pay: {amount: 900000.00}, expect: {warn: [AMT-001, AMT-002]}}
"""


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Test = Callable[..., Ran]


@pytest.fixture
def test(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Test:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    write(RULES)

    def call(*options: str) -> Ran:
        status = run(["rules", "test", "rules", *options])
        return Ran(status, *capsys.readouterr())

    return call


def write(text: str) -> None:
    Path("rules/test.yaml").write_text(text, encoding="utf-8")


def test_what_passes_is_one_line_and_what_no_test_turned_another(test: Test) -> None:
    assert test() == (
        0,
        "1 of 3 conditions never true or never false in tests; --coverage lists them\n2 tests in 1 file: all passed\n",
        "",
    )


def test_coverage_lists_the_conditions_and_is_no_failure(test: Test) -> None:
    status, out, _ = test("--coverage")
    assert status == 0
    assert out.splitlines()[0] == "rules/test.yaml:10:49: AMT-001: `settlement ≠ cash` is never false"


def test_a_failure_shows_expected_and_found_and_every_condition_with_its_values(test: Test) -> None:
    write(RULES.replace("gte: 500000.00", "gt: 500000.00"))
    status, out, err = test()
    assert (status, err) == (1, "")
    assert out.splitlines() == [
        "rules/test.yaml:24:5: at the limit and one fen below: step 2",
        "  - expected warn [AMT-001]",
        "  + found    pass []",
        "  AMT-001 It does not fire",
        "    ✗ false  all",
        "    ├─ ✗ false  amount 500,000.00  > 500000.00",
        "    └─ ✓ true  settlement transfer  ≠ cash",
        "    What would have changed it",
        "      amount: fires from 500,000.01; this one was 500,000.00",
        "1 of 3 conditions never true or never false in tests; --coverage lists them",
        "2 tests in 1 file: 1 failed",
    ]


def test_chinese_readers_get_chinese_words(test: Test) -> None:
    write(RULES.replace("gte: 500000.00", "gt: 500000.00"))
    status, out, _ = test("--lang", "zh", "--coverage")
    assert status == 1
    assert out.splitlines() == [
        "rules/test.yaml:24:5: at the limit and one fen below: 第2步",
        "  - 预期 warn [AMT-001]",
        "  + 实际 pass []",
        "  AMT-001 未命中",
        "    ✗ 假  all",
        "    ├─ ✗ 假  amount 500,000.00  > 500000.00",
        "    └─ ✓ 真  settlement 转账  ≠ cash",
        "    怎样会不同",
        "      支付金额达到500,000.01起命中，本笔为500,000.00",
        "rules/test.yaml:10:48: AMT-001: `settlement ≠ cash` 从未为假",
        "3个条件中有1个在测试中从未为真或从未为假",
        "1个文件共2个测试：1个未通过",
    ]
    write(RULES)
    assert test("--lang", "zh").out.endswith("从未为假；--coverage 逐项列出\n1个文件共2个测试：全部通过\n")


def test_a_disposition_that_has_nothing_to_decide_of_fails(test: Test) -> None:
    write(RULES + "  - {at: 2h, dispose: return, of: 2}\n  - {at: 2h, dispose: release, of: 1}\n")
    assert test().status == 0
    write(RULES.replace("expect: pass}", "expect: pass}\n  - {at: 0h, dispose: release, of: 1}"))
    status, out, _ = test()
    assert status == 1
    assert out.splitlines()[0] == (
        "rules/test.yaml:24:5: at the limit and one fen below: step 2: nothing to release: "
        "step 1 passed, and only what is warned of, intercepted or prohibited opens a case"
    )


def test_a_reason_that_differs_shows_both_texts(test: Test) -> None:
    write(RULES.replace('zh: "支付{amount}元"', 'zh: "付{amount}元"'))
    assert test().out.splitlines()[:3] == [
        "rules/test.yaml:24:5: at the limit and one fen below: step 2",
        '  - expected "支付500000.00元"',
        '  + found    "付500000.00元"',
    ]


def test_a_step_without_a_verdict_says_why(test: Test) -> None:
    write(RULES.replace("pay: {amount: 500000.00}", "pay: {amount: 500000.00, budget_unit: null}"))
    assert test().out.splitlines()[0] == (
        "rules/test.yaml:24:5: at the limit and one fen below: step 2: "
        "not a valid instruction: Object missing required field `budget_unit`"
    )


def test_the_tests_of_one_rule_are_listed_by_their_names(test: Test) -> None:
    status, out, err = test("--rule", "AMT-002")
    assert (status, err) == (0, "")
    assert out == "✓ the larger limit, not live yet\n1 test in 1 file: all passed\n"
    write(RULES.replace("gte: 900000.00", "gt: 900000.00"))
    status, out, _ = test("--rule", "AMT-002")
    assert status == 1
    assert out.startswith("✗ the larger limit, not live yet\n")


def test_a_rule_without_tests_is_a_finding(test: Test) -> None:
    write(RULES[: RULES.index("- name: the larger")])
    assert test("--rule", "AMT-002") == (
        1,
        "0 tests in 1 file: all passed\n",
        "no test expects AMT-002, names it or makes it hit\n",
    )


def test_an_unknown_rule_is_told_in_one_line(test: Test) -> None:
    assert test("--rule", "AMT-01") == (2, "", "error: there is no rule `AMT-01`; did you mean `AMT-001`?\n")


def test_the_result_for_machines_has_the_differences_and_the_explanations(test: Test) -> None:
    write(RULES.replace("gte: 500000.00", "gt: 500000.00"))
    status, out, _ = test("--json")
    found = json.loads(out)
    assert (status, found["tests"], found["conditions"]["count"]) == (1, 2, 3)
    ((failure,), (gap,)) = (found["failures"], found["conditions"]["gaps"])
    assert failure["differences"] == [{"what": "verdict", "expected": "warn [AMT-001]", "found": "pass []"}]
    ((explanation,),) = (failure["explanations"],)
    assert (explanation["rule"], explanation["truth"]) == ("AMT-001", "false")
    assert (gap["condition"], gap["never"]) == ("settlement ≠ cash", ["false"])


# --- again and again ---


@pytest.fixture
def edits(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What is done to the files while the command waits, one after the other; then the user ends it."""
    planned: list[Callable[[], object]] = []

    def wait(seconds: float) -> None:
        if not planned:
            raise KeyboardInterrupt
        planned.pop(0)()

    monkeypatch.setattr("treasury_watch.cli.rules.test.time.sleep", wait)
    return planned


def test_tests_run_again_after_each_change_and_the_last_run_decides(
    test: Test, edits: list[Callable[[], object]]
) -> None:
    edits += [
        lambda: None,  # nothing changes: nothing runs
        lambda: write(RULES.replace("gte: 500000.00", "gte: 5000000.00")),
        lambda: write("rules: ["),
        lambda: write(RULES),
    ]
    status, out, err = test("--watch")
    assert status == 0
    assert [line for line in out.splitlines() if " in 1 file: " in line] == [
        "2 tests in 1 file: all passed",
        "2 tests in 1 file: 2 failed",
        "2 tests in 1 file: all passed",
    ]
    assert err.count("changed: rules/test.yaml\n") == 3
    assert err.count("error TW003") == 1
    assert err.count("watching rules; Ctrl-C ends it\n") == 4


def test_ended_after_a_failure_the_status_is_that_of_a_failure(test: Test, edits: list[Callable[[], object]]) -> None:
    edits.append(lambda: write(RULES.replace("gte: 500000.00", "gte: 5000000.00")))
    assert test("--watch").status == 1


def test_changed_new_and_removed_files_of_a_set_are_seen_and_others_are_not(test: Test) -> None:
    folder = Path("rules")
    (folder / "lists").mkdir()
    (folder / "lists" / "a.yaml").write_text("list: a")
    changes = watching.changes(folder, lambda: planned.pop(0)())

    def remove_one_and_edit_another() -> None:
        (folder / "lists" / "a.yaml").unlink()
        write(RULES + "\n")

    planned: list[Callable[[], object]] = [
        lambda: (folder / "notes.txt").write_text("no part of the set"),
        lambda: (folder / "lists" / "a.yaml").write_text("list: another"),
        remove_one_and_edit_another,
        lambda: (folder / "new.yaml").write_text("ruleset: new"),
    ]
    assert next(changes) == ["rules/lists/a.yaml"]
    assert next(changes) == ["rules/lists/a.yaml", "rules/test.yaml"]
    assert next(changes) == ["rules/new.yaml"]


def test_a_change_between_the_first_run_and_the_first_look_is_seen(test: Test) -> None:
    changes = watching.changes(Path("rules"), lambda: None)
    write(RULES + "\n")
    assert next(changes) == ["rules/test.yaml"]
