"""The JSON Schema of rule files, for editors: made of the tables of keys and operators that the reader reads by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from treasury_watch.domain.payment import FIELDS
from treasury_watch.rules.calendars import CALENDAR_FILE, CALENDAR_YEAR
from treasury_watch.rules.catalogue import CATALOGUE_FILE, ROW
from treasury_watch.rules.conditions import GROUPS, SUBJECTS
from treasury_watch.rules.features import DATED, FORMS
from treasury_watch.rules.model import DETECTORS, JUDGES, MODEL_FILE, SHADOWS
from treasury_watch.rules.operands import FIELD_OPERAND
from treasury_watch.rules.operators import COMPARISONS, OPERATORS, WORDS, WORKING_TIME
from treasury_watch.rules.operators.base import OPERAND, SCALAR
from treasury_watch.rules.reader import EXCEPTION, RULE, RULE_FILE
from treasury_watch.rules.reference import LIST_ENTRY, LIST_FILE, TABLE_FILE
from treasury_watch.rules.risk_points import RISK_POINT, RISK_POINTS_FILE
from treasury_watch.rules.ruletests import DISPOSES, EXPECT, PAYS, STEP, TEST, VERDICTS
from treasury_watch.rules.shapes import IDENTIFIER, JsonSchema, Line, ListOf, described

_FILES = {
    each.keys[0].name: each
    for each in (LIST_FILE, TABLE_FILE, CALENDAR_FILE, RISK_POINTS_FILE, CATALOGUE_FILE, MODEL_FILE)
}
_GROUPS = {
    "all": ("all of these are true", "全部为真"),
    "any": ("at least one of these is true", "至少一个为真"),
    "none": ("none of these is true", "全部不为真"),
}
_SUBJECTS = {
    "field": ("the field of the instruction that is asked about", "所判断的支付指令字段"),
    "feature": ("the feature of this rule that is asked about", "所判断的本规则特征"),
}
_NOT = ("this is not true", "其不为真")
_SEGMENT_BY = ("the field whose values have a value each", "按哪个字段分档取值")
_DEFAULT = ("the value where no other is given", "未另行给出时的值")
_SEGMENT = ("the value of this segment", "该档的值")
_ATTRIBUTES = ("fields of one's own", "自定义字段")


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a rule set's files. It knows keys and words; `rules check` knows names and types."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_by_key({name: each.schema() for name, each in _FILES.items()}, RULE_FILE.schema()),
        "$defs": {
            "rule": RULE.schema(),
            "condition": _condition(),
            "feature": _feature(),
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
            "judge_parameters": _parameters(JUDGES),
            "detector_parameters": _parameters(SHADOWS),
            "list_entry": {"anyOf": [Line().schema(), LIST_ENTRY.schema()]},
            "test": TEST.schema(),
            "step": _step(),
            "expect": {"anyOf": [{"enum": list(VERDICTS)}, EXPECT.schema()]},
            "pay": _pay(),
        },
    }


def _by_key(schemas: Mapping[str, JsonSchema], otherwise: JsonSchema) -> JsonSchema:
    """The schema of whichever key is there: an editor then speaks of that one only, where `oneOf` speaks of all."""
    chosen = otherwise
    for name, schema in reversed(list(schemas.items())):
        chosen = {"if": {"type": "object", "required": [name]}, "then": schema, "else": chosen}
    return chosen


def _feature() -> JsonSchema:
    records = {name: record.schema() for name, (record, _) in FORMS.items()}
    keys = {name: schema for record in records.values() for name, schema in record["properties"].items()}
    return _by_key(records, _closed(keys, []) | {"anyOf": [{"required": [name]} for name in records]})


def _condition() -> JsonSchema:
    """One mapping with every key, so that an editor offers all of them; what may stand together is said by counts."""
    condition = {"$ref": "#/$defs/condition"}
    conditions = {"type": "array", "items": condition, "minItems": 1}
    groups = {name: conditions | described(*_GROUPS[name]) for name in GROUPS} | {"not": condition | described(*_NOT)}
    shapes: JsonSchema = {"field": {"$ref": "#/$defs/field"}, "feature": {"type": "string"}}
    subjects = {name: shapes[name] | described(*_SUBJECTS[name]) for name in SUBJECTS}
    operators = {each.name: each.schema() | described(each.doc, each.zh) for each in OPERATORS.values()}
    alone = [*groups, *(each.name for each in OPERATORS.values() if each.own_subject)]
    one_subject = _by_key({"field": {"not": {"required": ["feature"]}}}, {"required": ["feature"]})
    leaf = {"minProperties": 2, "maxProperties": 2} | one_subject
    return _closed(groups | subjects | operators, []) | _by_key({name: {"maxProperties": 1} for name in alone}, leaf)


def _segments() -> JsonSchema:
    values = sorted({value for field in FIELDS.values() for value in field.values})
    by: JsonSchema = {"enum": [field.name for field in FIELDS.values() if field.values]}
    dated = {"$ref": "#/$defs/dated"}
    segments = {value: dated | described(*_SEGMENT) for value in values}
    properties = {"segment_by": by | described(*_SEGMENT_BY), "default": dated | described(*_DEFAULT)} | segments
    return _closed(properties, ["segment_by"]) | {"minProperties": 2}


def _length() -> JsonSchema:
    comparisons = {each.name: OPERAND | described(each.doc, each.zh) for each in COMPARISONS}
    return _closed(comparisons, []) | {"minProperties": 1}


def _step() -> JsonSchema:
    """One mapping with every key, as for conditions; what pays has no `of`, what disposes nothing else."""
    pays = {"required": ["at", *PAYS], "not": {"required": ["of"]}}
    disposes = {"required": ["at", *DISPOSES], "maxProperties": 1 + len(DISPOSES)}
    return STEP.schema() | _by_key({"dispose": disposes}, pays)


def _pay() -> JsonSchema:
    value: JsonSchema = {"type": ["string", "number", "boolean", "null"]}
    fields = {
        name: value | described(name.replace("_", " "), field.zh)
        for name, field in FIELDS.items()
        if name != "event_time"
    }
    attributes: JsonSchema = {"type": "object", "additionalProperties": value} | described(*_ATTRIBUTES)
    return {
        "type": "object",
        "properties": fields | {"attributes": attributes},
        "patternProperties": {"^attributes[.].": value},
        "additionalProperties": False,
    }


def _parameters(detectors: Iterable[str]) -> JsonSchema:
    """One mapping with the parameters of all these detectors."""
    return _closed({key.name: key.schema() for name in detectors for key in DETECTORS[name].keys}, [])


def _named(schema: JsonSchema) -> JsonSchema:
    names = IDENTIFIER.schema()["pattern"]
    return {"type": "object", "patternProperties": {names: schema}, "additionalProperties": False}


def _closed(properties: JsonSchema, required: list[str]) -> JsonSchema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
