"""How diagnostics are shown: wording is held by the golden files, one directory of rule files each."""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path

import pytest

from treasury_watch.adapters.rulefiles import files_of
from treasury_watch.rules import CODES, Diagnostic, RuleErrors, check, read, render
from treasury_watch.rules.diagnostics import any_of, did_you_mean, display_width, in_order, use_one_of
from treasury_watch.rules.schema import Span

GOLDEN = Path(__file__).parent.parent / "golden" / "diagnostics"
CASES = sorted(each for each in GOLDEN.iterdir() if each.is_dir())


def rendered(case: Path) -> str:
    files = {Path(path).relative_to(case).as_posix(): data for path, data in files_of(case).items()}
    ruleset, diagnostics = read(files)
    if ruleset is not None:
        diagnostics = check(ruleset, files, date(2025, 6, 1))
    return render(diagnostics, files) + "\n"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_diagnostics_read_as_the_golden_file_says(case: Path) -> None:
    """After a change that is meant, run once with TREASURY_WATCH_GOLDEN=write and read the difference."""
    expected = case / "expected.txt"
    if os.environ.get("TREASURY_WATCH_GOLDEN") == "write":
        expected.write_text(rendered(case), encoding="utf-8")
    assert rendered(case) == expected.read_text(encoding="utf-8")


def test_every_code_has_a_golden_example() -> None:
    shown = {
        code for case in CASES for code in re.findall(r" (TW[0-9]{3}): ", (case / "expected.txt").read_text("utf-8"))
    }
    assert set(CODES) - shown == {"TW002"}  # a file of 4 MiB: test_source


def test_the_form_is_that_of_the_rule_guide() -> None:
    files = {"rules/cash.yaml": b"ruleset: cash\n\n\n\n  action: warning\n"}
    each = Diagnostic(Span("rules/cash.yaml", 5, 11, 7), "TW103", "`action` is `warning`", "use `warn` or `intercept`")
    assert render([each], files) == (
        "rules/cash.yaml:5:11: error TW103: `action` is `warning`\n"
        "   5 |   action: warning\n"
        "     |           ^ use `warn` or `intercept`"
    )


@pytest.mark.parametrize(
    ("before", "columns"),
    [("abc", 3), ("大额", 4), ("（", 2), ("ｱ", 1), ("é", 1), ("e\u0301", 1), ("—", 1), ("😀", 2), ("", 0)],
)
def test_the_caret_stands_under_its_column_on_a_terminal(before: str, columns: int) -> None:
    each = Diagnostic(Span("f", 1, len(before) + 1), "TW103", "m", "h")
    caret_line = render([each], {"f": f"{before}x".encode()}).splitlines()[2]
    assert caret_line == "     | " + " " * columns + "^ h"
    assert display_width(before) == columns


def test_tabs_and_control_characters_take_one_column() -> None:
    each = Diagnostic(Span("f", 1, 4), "TW103", "m", "h")
    assert render([each], {"f": b"\ta\x1bb"}).splitlines()[1:] == ["   1 |  a\ufffdb", "     |    ^ h"]


def test_a_long_line_is_cut_around_the_caret() -> None:
    line = "a" * 500 + "X" + "b" * 500
    shown = render([Diagnostic(Span("f", 1, 501), "TW103", "m", "h")], {"f": line.encode()}).splitlines()
    assert len(shown[1]) < 140
    assert shown[1][shown[2].index("^")] == "X"
    assert shown[1].count("…") == 2


def test_a_line_that_is_not_there_is_shown_empty() -> None:
    assert render([Diagnostic(Span("gone", 7, 1), "TW103", "m", "h")], {}).splitlines()[1] == "   7 | "


def test_diagnostics_are_sorted_by_place_and_each_is_shown_once() -> None:
    late, early = (Diagnostic(Span("f", line, 1), "TW103", "m", "h") for line in (10, 9))
    assert in_order([late, early, late]) == [early, late]


def test_rule_errors_say_the_rendered_diagnostics() -> None:
    each = Diagnostic(Span("f", 1, 1), "TW103", "m", "h")
    assert str(RuleErrors([each], {"f": b"x"})) == render([each], {"f": b"x"})


def test_hints_name_the_nearest_word_or_all_of_a_few() -> None:
    assert did_you_mean("ammount", ["amount", "approver"]) == "did you mean `amount`?"
    assert did_you_mean("xyz", ["amount", "approver"]) == "use `amount` or `approver`"
    assert did_you_mean("xyz", ["amount"], otherwise="such as this") == "such as this"
    assert any_of(["a", "b", "c"]) == "`a`, `b` or `c`"
    assert use_one_of(["a"]) == "use `a`"
    assert use_one_of([]) == "there is none"
    assert use_one_of("abcdefghi") == "use `a`, `b`, `c`, `d`, `e`, `f`, `g`, `h` …"
