"""Text in, rule set or diagnostics out: what a rule author writes, as typed, frozen objects."""

from treasury_watch.rules.diagnostics import CODES, Diagnostic, RuleErrors, render
from treasury_watch.rules.jsonschema import json_schema
from treasury_watch.rules.lock import lock_text
from treasury_watch.rules.sets import check, read

__all__ = ["CODES", "Diagnostic", "RuleErrors", "check", "json_schema", "lock_text", "read", "render"]
