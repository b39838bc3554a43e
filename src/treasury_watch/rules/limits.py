"""Limits (限制): the most of each thing that a rule set may have, so that no file can stall a check or a worker.

All are far above what people write and review; `docs/limits.md` lists them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """The most of one thing. `code` is that of the error beyond it, `why` the reason for it."""

    most: int
    what: str  # completes "more than 1,000 …"
    code: str
    why: str
    instead: str = "split it"  # the hint of the error


FILE_BYTES = Limit(4 << 20, "bytes in a file", "TW002", "a file is read whole")
FILE_VALUES = Limit(
    100_000, "keys and values in a YAML file", "TW113", "100,000 take about a second", "large data stand in tables"
)
DEPTH = Limit(32, "levels of lists and mappings", "TW004", "what reads and runs conditions goes down level by level")
SET_FILES = Limit(1_000, "files in a rule set", "TW113", "each is opened and read", "split the set")
SET_BYTES = Limit(32 << 20, "bytes in a rule set", "TW113", "all of it is kept in memory", "split the set")
SET_VALUES = Limit(400_000, "keys and values in a rule set's YAML files", "TW113", "as above", "split the set")
SET_CONDITIONS = Limit(
    20_000, "conditions in a rule set, counted in the same way", "TW113", "10,000 compile in a second", "split the set"
)
SET_RULES = Limit(2_000, "rules in a rule set", "TW113", "every rule is asked of every payment", "split the set")
TEXT = Limit(1_000, "characters in a text, name, pattern, reason or cell", "TW108", "texts are shown in one piece")
DIGITS = Limit(28, "characters in a number", "TW108", "numbers are exact: each digit costs time in every calculation")
PATTERN_BYTES = Limit(
    1 << 20, "bytes of memory for a regular expression", "TW304", "`x{1000}{1000}` is short, and large when compiled"
)
CONDITIONS = Limit(
    1_000,
    "conditions in a rule, each with the steps of its features",
    "TW113",
    "all of a rule is one expression of generated code",
    "name values in a list, or split the rule",
)
FEATURES = Limit(100, "features in a rule", "TW113", "each may keep a history of its own", "split the rule")
FEATURE_STEPS = Limit(
    256, "steps of a feature, with what it builds on", "TW112", "each use of a feature stands again in its code"
)
FEATURE_DEPTH = Limit(
    16, "levels of features that build on each other", "TW112", "each level is a level of brackets in generated code"
)
FINDINGS = Limit(10_000, "findings of one check that are told", "none", "nobody reads more: the rest is found later")
BY = Limit(16, "fields in one `by` or `key`", "TW113", "a key is made of all of them for every payment", "use fewer")
PARAMS = Limit(100, "params in a rule", "TW113", "all of them stand in the evidence of a hit", "split the rule")
DATED = Limit(200, "dated values of a param", "TW113", "rules are compiled anew for each span of days", "drop old ones")
EXCEPTIONS = Limit(
    200, "exceptions of a rule", "TW113", "each is asked at every hit", "name the values in a list, and leave that out"
)
CHOICES = Limit(
    1_000,
    "values or words in a condition",
    "TW113",
    "they stand in the generated code, and in the reason",
    "put them into a list: `in_list: name`, `contains_any: {list: name}`",
)
TESTS = Limit(1_000, "tests in a file", "TW113", "each starts from an empty history", "split the file")
STEPS = Limit(500, "steps of a test", "TW113", "each is judged, and explained where it fails", "split the test")
ENTRIES = Limit(40_000, "entries of a list", "TW113", "their words are searched in every text", "put them into a table")
ROWS = Limit(100_000, "rows of a table", "TW113", "100,000 take about a second to read", "leave out what is not asked")
COLUMNS = Limit(100, "columns of a table", "TW113", "every row has all of them", "leave out what is not asked")

LIMITS = (
    FILE_BYTES, FILE_VALUES, DEPTH, SET_FILES, SET_BYTES, SET_VALUES, SET_RULES, SET_CONDITIONS, TEXT, DIGITS,
    PATTERN_BYTES, CONDITIONS, FEATURES, FEATURE_STEPS, FEATURE_DEPTH, BY, PARAMS, DATED, EXCEPTIONS, CHOICES, TESTS,
    STEPS, ENTRIES, ROWS, COLUMNS, FINDINGS,
)  # fmt: skip
