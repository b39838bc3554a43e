"""The JSON Schema of rule files, for editors: made of the tables of keys and operators that the reader reads by."""

from __future__ import annotations

from typing import Any

from treasury_watch.domain.payment import FIELDS
from treasury_watch.rules.calendars import CALENDAR_FILE, CALENDAR_YEAR
from treasury_watch.rules.catalogue import CATALOGUE_FILE, ROW
from treasury_watch.rules.conditions import GROUPS, SUBJECTS
from treasury_watch.rules.features import DATED, FORMS
from treasury_watch.rules.operands import FIELD_OPERAND
from treasury_watch.rules.operators import COMPARISONS, OPERATORS, WORDS, WORKING_TIME
from treasury_watch.rules.operators.base import OPERAND, SCALAR
from treasury_watch.rules.reader import EXCEPTION, RULE, RULE_FILE
from treasury_watch.rules.reference import LIST_ENTRY, LIST_FILE, TABLE_FILE
from treasury_watch.rules.risk_points import RISK_POINT, RISK_POINTS_FILE
from treasury_watch.rules.ruletests import EXPECT, STEP, TEST, VERDICTS
from treasury_watch.rules.shapes import IDENTIFIER, JsonSchema, Line, ListOf

_FILES = (RULE_FILE, LIST_FILE, TABLE_FILE, CALENDAR_FILE, RISK_POINTS_FILE, CATALOGUE_FILE)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a rule set's files. It knows keys and words; `rules check` knows names and types."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "treasury-watch rule file",
        "oneOf": [each.schema() for each in _FILES],
        "$defs": {
            "rule": RULE.schema(),
            "condition": _condition(),
            "feature": {"oneOf": [record.schema() for record, _ in FORMS.values()]},
            "features": _named({"$ref": "#/$defs/feature"}),
            "params": _named({"$ref": "#/$defs/param"}),
            "param": {"anyOf": [{"$ref": "#/$defs/dated"}, _segments()]},
            "dated": {"anyOf": [SCALAR, ListOf(DATED, at_least=1).schema()]},
            "exception": EXCEPTION.schema(),
            "field": {"anyOf": [{"enum": list(FIELDS)}, {"type": "string", "pattern": "^attributes[.]."}]},
            "fields": {"anyOf": [{"$ref": "#/$defs/field"}, {"type": "array", "items": {"$ref": "#/$defs/field"}}]},
            "field_operand": FIELD_OPERAND.schema(),
            "lookup": FORMS["lookup"][0].schema(),
            "operands": {"type": "array", "items": OPERAND, "minItems": 2},
            "words": WORDS.schema(),
            "working_time": WORKING_TIME.schema(),
            "calendar_year": CALENDAR_YEAR.schema(),
            "length": _length(),
            "name": IDENTIFIER.schema(),
            "scalar": SCALAR,
            "catalogue_row": ROW.schema(),
            "risk_point": RISK_POINT.schema(),
            "list_entry": {"anyOf": [Line().schema(), LIST_ENTRY.schema()]},
            "test": TEST.schema(),
            "step": STEP.schema(),
            "expect": {"anyOf": [{"enum": list(VERDICTS)}, EXPECT.schema()]},
            "pay": _pay(),
        },
    }


def _condition() -> JsonSchema:
    condition = {"$ref": "#/$defs/condition"}
    groups = [_closed({name: {"type": "array", "items": condition, "minItems": 1}}, [name]) for name in GROUPS]
    said = {each.name: each.schema() | {"description": each.doc} for each in OPERATORS.values()}
    operators = {name: schema for name, schema in said.items() if OPERATORS[name].own_subject is None}
    alone = [_closed({name: said[name]}, [name]) for name in said if name not in operators]
    subjects: JsonSchema = {"field": {"$ref": "#/$defs/field"}, "feature": {"type": "string"}}
    leaves = [
        _closed({subject: subjects[subject], **operators}, [subject]) | {"minProperties": 2, "maxProperties": 2}
        for subject in SUBJECTS
    ]
    return {"oneOf": [*groups, _closed({"not": condition}, ["not"]), *alone, *leaves]}


def _segments() -> JsonSchema:
    values = sorted({value for field in FIELDS.values() for value in field.values})
    by: JsonSchema = {"enum": [field.name for field in FIELDS.values() if field.values]}
    dated = {name: {"$ref": "#/$defs/dated"} for name in ("default", *values)}
    return _closed({"segment_by": by, **dated}, ["segment_by"]) | {"minProperties": 2}


def _length() -> JsonSchema:
    return _closed({each.name: OPERAND for each in COMPARISONS}, []) | {"minProperties": 1}


def _pay() -> JsonSchema:
    value: JsonSchema = {"type": ["string", "number", "boolean", "null"]}
    fields: JsonSchema = {name: value for name in FIELDS if name != "event_time"}
    return {
        "type": "object",
        "properties": fields | {"attributes": {"type": "object", "additionalProperties": value}},
        "patternProperties": {"^attributes[.].": value},
        "additionalProperties": False,
    }


def _named(schema: JsonSchema) -> JsonSchema:
    names = IDENTIFIER.schema()["pattern"]
    return {"type": "object", "patternProperties": {names: schema}, "additionalProperties": False}


def _closed(properties: JsonSchema, required: list[str]) -> JsonSchema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
