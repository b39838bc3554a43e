"""The JSON Schema for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from treasury_watch.rules import json_schema
from treasury_watch.rules.operators import OPERATORS
from treasury_watch.rules.reader import RULE, RULE_FILE

PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas" / "rules.schema.json"


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


def test_every_key_and_operator_of_the_reader_is_in_the_schema() -> None:
    schema = json_schema()
    assert list(schema["oneOf"][0]["properties"]) == [key.name for key in RULE_FILE.keys]
    assert list(schema["$defs"]["rule"]["properties"]) == [key.name for key in RULE.keys]
    leaf = next(each for each in schema["$defs"]["condition"]["oneOf"] if "field" in each["properties"])
    assert set(leaf["properties"]) == {"field", *(each.name for each in OPERATORS.values() if not each.own_subject)}
    assert any(list(each["properties"]) == ["working_time"] for each in schema["$defs"]["condition"]["oneOf"])
    assert leaf["properties"]["is_missing"]["description"]
