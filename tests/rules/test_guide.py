"""The guides and the reference of rules say what is there, and their examples do what the page says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pytest

from tests.rules.examples import COLUMNS, Block, agree, apply, blocks_of
from treasury_watch.adapters.rulefiles import files_of
from treasury_watch.cli.rules import COMMANDS
from treasury_watch.engine.ruletest import run_tests
from treasury_watch.rules import CODES, check, read
from treasury_watch.rules.features import FORMS as FEATURES
from treasury_watch.rules.operators import OPERATORS
from treasury_watch.rules.reader import EXCEPTION, RULE, RULE_FILE
from treasury_watch.rules.types import COLUMN_TYPES

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "rule-reference.md").read_text("utf-8")
GUIDES = ("rule-guide.md", "rule-guide.zh-CN.md")
PARAMS = "params of a rule"


def test_every_code_is_in_the_table_with_its_meaning() -> None:
    assert dict(re.findall(r"^\| (TW\d{3}) \| (.*) \|$", REFERENCE, re.MULTILINE)) == dict(CODES)


def test_every_word_of_the_language_is_explained() -> None:
    words = {*OPERATORS, *FEATURES, *COLUMN_TYPES}
    words |= {key.name for record in (RULE_FILE, RULE, EXCEPTION) for key in record.keys}
    assert [word for word in sorted(words) if not re.search(rf"`[^`\n]*\b{word}\b[^`\n]*`", REFERENCE)] == []


def test_every_command_is_in_the_table() -> None:
    assert set(re.findall(r"^\| `rules (\w+)", REFERENCE, re.MULTILINE)) == set(COMMANDS)


def test_the_examples_of_the_reference_are_a_rule_set_whose_tests_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    carried_out(block for block in examples(REFERENCE) if block.mark != PARAMS)
    files = files_of(Path("rules"))
    ruleset, diagnostics = read(files)
    assert diagnostics == []
    assert ruleset is not None
    assert run_tests(ruleset) == []
    assert {each.code for each in check(ruleset, files, date(2025, 6, 1))} == {"TW605"}  # no rules.lock on a page


def test_the_params_of_the_reference_are_those_of_a_rule() -> None:
    (params,) = (block.text for block in examples(REFERENCE) if block.mark == PARAMS)
    rule = "\n".join(
        [
            "ruleset: r\nowner: o\ntimezone: Asia/Shanghai\npartition_by: jurisdiction\nrules:",
            "- id: AMT-901\n  revision: 1\n  title: {zh: 大额, en: Large}\n  mode: draft\n  action: warn",
            "  effective: {from: 2025-01-01}\n  when: {field: amount, gte: $notice}\n  reason: {zh: 大额, en: Large}",
            *(f"  {line}" for line in params.splitlines()),
        ]
    )
    ruleset, diagnostics = read({"rules.yaml": f"{rule}\n".encode()})
    assert diagnostics == []
    assert ruleset is not None
    assert {*ruleset.rules[0].params} == {"limit", "cap", "notice"}


@pytest.mark.no_cover
@pytest.mark.parametrize("name", GUIDES)
def test_the_guide_is_a_story_that_can_be_followed_to_the_letter(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", COLUMNS)
    carried_out(examples((DOCS / name).read_text("utf-8")))


def test_the_guides_tell_the_same_story_in_both_languages() -> None:
    english, chinese = (examples((DOCS / name).read_text("utf-8")) for name in GUIDES)
    assert [each.mark for each in chinese] == [each.mark for each in english]


@pytest.mark.parametrize("name", [*GUIDES, "rule-reference.md"])
def test_links_lead_somewhere(name: str) -> None:
    page = (DOCS / name).read_text("utf-8")
    links = [link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", page)]
    assert [path for path, _, _ in links if path and not (DOCS / path).exists()] == []
    assert [
        f"{path}#{anchor}"
        for path, _, anchor in links
        if anchor and anchor not in anchors((DOCS / path if path else DOCS / name).read_text("utf-8"))
    ] == []


def anchors(page: str) -> set[str]:
    """The fragments by which headings are linked to."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def examples(page: str) -> list[Block]:
    """The code blocks of a page, but for those that only show something."""
    return [block for block in blocks_of(page) if block.language != "text"]


def carried_out(blocks: Iterable[Block]) -> None:
    """Does what the blocks say; what a command prints is what stands below it."""
    for block in blocks:
        for ran in apply(block):
            assert agree(ran), f"line {block.line}: {ran.command}\ntold:\n{ran.told}\nprinted:\n{ran.printed}"
