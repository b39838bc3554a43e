"""Diagnostics for machines: JSON, SARIF 2.1.0 and the workflow commands of GitHub Actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from treasury_watch.rules.diagnostics import CODES, Diagnostic

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_json(found: Sequence[Diagnostic]) -> list[dict[str, Any]]:
    """One object for each diagnostic. Lines and columns count from 1, columns in characters."""
    return [
        {
            "file": each.span.file,
            "line": each.span.line,
            "column": each.span.column,
            "length": each.span.length,
            "severity": each.severity,
            "code": each.code,
            "message": each.message,
            "hint": each.hint,
            "replacement": each.replacement,
        }
        for each in found
    ]


def as_sarif(found: Sequence[Diagnostic], version: str) -> dict[str, Any]:
    """A SARIF log of one run. Source: OASIS, Static Analysis Results Interchange Format 2.1.0."""
    codes = sorted({each.code for each in found})
    driver = {
        "name": "treasury-watch",
        "version": version,
        "rules": [{"id": code, "shortDescription": {"text": CODES[code]}} for code in codes],
    }
    results = [_result(each, codes.index(each.code)) for each in found]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(each: Diagnostic, index: int) -> dict[str, Any]:
    location = {"artifactLocation": {"uri": _uri(each.span.file)}, "region": _region(each)}
    result: dict[str, Any] = {
        "ruleId": each.code,
        "ruleIndex": index,
        "level": each.severity,
        "message": {"text": f"{each.message}: {each.hint}"},
        "locations": [{"physicalLocation": location}],
    }
    if each.replacement is not None:
        replaced = {"deletedRegion": _region(each), "insertedContent": {"text": each.replacement}}
        change = {"artifactLocation": location["artifactLocation"], "replacements": [replaced]}
        result["fixes"] = [{"description": {"text": each.hint}, "artifactChanges": [change]}]
    return result


def _region(each: Diagnostic) -> dict[str, int]:
    span = each.span
    return {"startLine": span.line, "startColumn": span.column, "endColumn": span.column + span.length}  # exclusive


def _uri(path: str) -> str:
    return ("file://" if path.startswith("/") else "") + quote(path)


def as_github(found: Sequence[Diagnostic]) -> str:
    """Workflow commands, one a line, which GitHub shows at their place in a pull request; `endColumn` is inclusive."""
    return "\n".join(
        f"::{each.severity} file={_property(each.span.file)},line={each.span.line},col={each.span.column},"
        f"endColumn={each.span.column + each.span.length - 1},title={_property(f'{each.code}: {CODES[each.code]}')}"
        f"::{_data(f'{each.message}: {each.hint}')}"
        for each in found
    )


def _data(text: str) -> str:
    """What the runner's own toolkit escapes in messages."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """In properties, colons and commas are escaped as well."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
