"""rules.lock: the revision and logic of every rule as they were last agreed, so that logic cannot change unnoticed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from treasury_watch.rules.canonical import logic_hash
from treasury_watch.rules.schema import Rule, RuleSet
from treasury_watch.rules.shapes import RULE_ID, Key, MapOf, Name, Record, Whole
from treasury_watch.rules.source import Report, compose

FILE_NAME = "rules.lock"
_LOCKED = Record(
    "locked rule",
    (
        Key("revision", Whole(1, 10**6), "the revision", True),
        Key("logic", Name("sha256:[0-9a-f]{64}", "sha256: and 64 hexadecimal digits"), "the hash of its logic", True),
    ),
)
_LOCK_FILE = MapOf(RULE_ID, _LOCKED)
_HEAD = """\
# The revision and the hash of the logic of every rule, drafts aside. `treasury-watch rules check --write-lock` writes
# it, and refuses while the logic of a rule has changed and its revision has not. Reviewed with the rules.
"""


@dataclass(frozen=True, slots=True)
class Locked:
    revision: int
    logic: str  # "sha256:…"


def locked_rules(ruleset: RuleSet) -> Iterator[Rule]:
    """The rules that the lock is about. Drafts change freely."""
    return (rule for rule in ruleset.rules if rule.mode != "draft")


def lock_text(ruleset: RuleSet) -> str:
    """The content of rules.lock for a rule set, in the order of rule ids."""
    lines = [
        f"{rule.id}: {{revision: {rule.revision}, logic: {logic_hash(rule)}}}\n"
        for rule in sorted(locked_rules(ruleset), key=lambda each: each.id)
    ]
    return _HEAD + "".join(lines)


def read_lock(path: str, data: bytes, report: Report) -> Mapping[str, Locked]:
    """Rule id → what is locked; empty if the file says nothing, or nothing that can be read."""
    root = compose(path, data, report)
    read = (None if root is None else _LOCK_FILE.read(root, report)) or {}
    return {name: Locked(**each) for name, each in read.items() if len(each) == len(_LOCKED.keys)}
