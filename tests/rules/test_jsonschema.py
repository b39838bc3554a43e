"""The JSON Schema for editors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from treasury_watch.rules import json_schema
from treasury_watch.rules.conditions import GROUPS, SUBJECTS
from treasury_watch.rules.features import DATED, FORMS
from treasury_watch.rules.operators import OPERATORS
from treasury_watch.rules.reader import RULE, RULE_FILE
from treasury_watch.rules.sets import KINDS
from treasury_watch.rules.source import Report, compose

PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas" / "rules.schema.json"
HAN = re.compile("[\u4e00-\u9fff]")


def test_the_published_schema_is_the_current_one() -> None:
    """To publish a change: `treasury-watch rules schema > docs/schemas/rules.schema.json`."""
    assert json.loads(PUBLISHED.read_text("utf-8")) == json_schema()


def test_every_reference_leads_somewhere() -> None:
    schema = json_schema()

    def references(part: Any) -> set[str]:
        if isinstance(part, dict):
            own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
            return own.union(*map(references, part.values()))
        return set().union(*map(references, part)) if isinstance(part, list) else set()

    assert {each.removeprefix("#/$defs/") for each in references(schema)} == set(schema["$defs"])


def _branches(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the key that a mapping has chooses; under "" what holds without any of them."""
    branches = {}
    while "if" in schema:
        branches[schema["if"]["required"][0]] = schema["then"]
        schema = schema["else"]
    return branches | {"": schema}


def _properties(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property that the schema has anywhere, with the way to it."""
    if isinstance(part, list):
        for each in part:
            yield from _properties(each, path)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name == "properties":
                for key, schema in value.items():
                    yield f"{path}.{key}", schema
                    yield from _properties(schema, f"{path}.{key}")
            else:
                yield from _properties(value, f"{path}/{name}")


def test_every_key_and_operator_of_the_reader_is_in_the_schema() -> None:
    schema = json_schema()
    files = _branches(schema)
    assert set(files) == {"" if kind == "ruleset" else kind for kind in KINDS}
    assert list(files[""]["properties"]) == [key.name for key in RULE_FILE.keys]
    assert list(schema["$defs"]["rule"]["properties"]) == [key.name for key in RULE.keys]
    assert set(schema["$defs"]["condition"]["properties"]) == {*GROUPS, "not", *SUBJECTS, *OPERATORS}
    features = _branches(schema["$defs"]["feature"])
    for form, (record, _) in FORMS.items():
        assert list(features[form]["properties"]) == [key.name for key in record.keys]


def test_what_stands_alone_in_a_condition_has_no_other_key_beside_it() -> None:
    branches = _branches(json_schema()["$defs"]["condition"])
    assert {name for name, each in branches.items() if each == {"maxProperties": 1}} == {*GROUPS, "not", "working_time"}


def test_every_property_is_described_in_english_and_then_in_chinese() -> None:
    described = dict(_properties(json_schema()))
    assert len(described) > 200
    for path, schema in described.items():
        english, _, chinese = schema.get("description", "").partition("\n\n")
        assert english, path
        assert not HAN.search(english), path
        assert HAN.search(chinese), path


def test_a_missing_key_is_told_in_english_alone_as_all_messages_are() -> None:
    report = Report()
    node = compose("x.yaml", b"{from: 2026-01-01}", report)
    assert node is not None
    DATED.read(node, report)
    assert [each.hint for each in report.diagnostics] == ["add `value:` (the value)"]
