"""Diagnostics for machines: what SARIF 2.1.0 and GitHub ask for, said here by hand."""

from __future__ import annotations

from typing import Any

from tests.rules.texts import rule_file
from treasury_watch.rules import CODES, Diagnostic, read
from treasury_watch.rules.formats import as_github, as_json, as_sarif
from treasury_watch.rules.schema import Span

BODY = "  mode: shadow\n  when: {all: [{field: budget_unit, eq: 101001}, {field: amuont, gte: 1.00}]}\n"


def found() -> list[Diagnostic]:
    return read({"rules/公务 卡.yaml": rule_file(BODY)})[1]


def test_sarif_has_what_its_schema_requires() -> None:
    """Section numbers are those of the SARIF 2.1.0 standard."""
    log = as_sarif(found(), "1.2.3")
    assert log.keys() == {"$schema", "version", "runs"}  # 3.13
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run.keys() == {"tool", "columnKind", "results"}  # 3.14: tool is required
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    driver = run["tool"]["driver"]
    assert driver.keys() == {"name", "version", "rules"}  # 3.19: name is required
    ids = [each["id"] for each in driver["rules"]]
    assert len(set(ids)) == len(ids)  # 3.19.23
    assert all(each["shortDescription"]["text"] for each in driver["rules"])  # 3.49
    assert len(run["results"]) == 2
    for each in run["results"]:
        _check_result(each, ids)


def _check_result(each: dict[str, Any], ids: list[str]) -> None:
    assert each["level"] in ("none", "note", "warning", "error")  # 3.27.10
    assert ids[each["ruleIndex"]] == each["ruleId"]  # 3.27.6
    assert each["message"]["text"]  # 3.11
    (location,) = each["locations"]
    physical = location["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": "rules/%E5%85%AC%E5%8A%A1%20%E5%8D%A1.yaml"}  # 3.4.3: RFC 3986
    region = physical["region"]
    assert region["startLine"] >= 1  # 3.30.5
    assert 1 <= region["startColumn"] < region["endColumn"]
    for fix in each.get("fixes", ()):
        (change,) = fix["artifactChanges"]  # 3.55.3
        (replacement,) = change["replacements"]  # 3.56.3
        assert replacement["deletedRegion"] == region  # 3.57.3


def test_sarif_carries_the_fix_where_there_is_one() -> None:
    results = as_sarif(found(), "1")["runs"][0]["results"]
    fixes = {each["ruleId"]: each.get("fixes") for each in results}
    assert fixes["TW201"] is None
    assert fixes["TW007"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"] == {"text": '"101001"'}


def test_sarif_of_nothing_is_a_run_without_results() -> None:
    (run,) = as_sarif([], "1")["runs"]
    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])


def test_github_is_told_place_title_and_message() -> None:
    lines = as_github(found()).splitlines()
    assert lines[0] == (
        "::error file=rules/公务 卡.yaml,line=11,col=41,endColumn=46,"
        "title=TW007%3A YAML would read this as something else than it looks like%3A quote it"
        '::YAML reads `101001` as a number: quote it: "101001"'
    )
    assert len(lines) == 2


def test_github_commands_cannot_be_broken_by_what_they_say() -> None:
    each = Diagnostic(Span("a,b:c%.yaml", 1, 2, 3), "TW605", "100%\r\n::error::x", "h: a, b", "warning")
    assert as_github([each]) == (
        f"::warning file=a%2Cb%3Ac%25.yaml,line=1,col=2,endColumn=4,title=TW605%3A {CODES['TW605']}"
        "::100%25%0D%0A::error::x: h: a, b"
    )
    assert as_github([]) == ""


def test_json_names_the_replacement() -> None:
    assert as_json(found())[0] == {
        "file": "rules/公务 卡.yaml",
        "line": 11,
        "column": 41,
        "length": 6,
        "severity": "error",
        "code": "TW007",
        "message": "YAML reads `101001` as a number",
        "hint": 'quote it: "101001"',
        "replacement": '"101001"',
    }
