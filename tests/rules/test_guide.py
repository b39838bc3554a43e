"""The rule guide says what is there."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from treasury_watch.engine.ruletest import run_tests
from treasury_watch.rules import CODES, check, read
from treasury_watch.rules.features import FORMS as FEATURES
from treasury_watch.rules.operators import OPERATORS
from treasury_watch.rules.reader import EXCEPTION, RULE, RULE_FILE
from treasury_watch.rules.types import COLUMN_TYPES

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "rule-guide.md").read_text("utf-8")


def test_the_first_example_is_a_rule_file_whose_tests_pass() -> None:
    example = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)[0].encode()
    ruleset, diagnostics = read({"cash.yaml": example})
    assert diagnostics == []
    assert ruleset is not None
    assert run_tests(ruleset) == []
    findings = check(ruleset, {"cash.yaml": example}, date(2025, 6, 1))
    assert {each.code for each in findings} == {"TW605", "TW607"}  # the files beside it are not part of the example


def test_every_code_is_in_the_table_with_its_meaning() -> None:
    assert dict(re.findall(r"^\| (TW\d{3}) \| (.*) \|$", GUIDE, re.MULTILINE)) == dict(CODES)


def test_every_word_of_the_language_is_explained() -> None:
    words = {*OPERATORS, *FEATURES, *COLUMN_TYPES}
    words |= {key.name for record in (RULE_FILE, RULE, EXCEPTION) for key in record.keys}
    assert [word for word in sorted(words) if not re.search(rf"`[^`\n]*\b{word}\b[^`\n]*`", GUIDE)] == []
