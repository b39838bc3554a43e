"""rules.lock: the revision and logic of every rule as they were last agreed, so that logic cannot change unnoticed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from treasury_watch.rules.canonical import logic_hash
from treasury_watch.rules.schema import Rule, RuleSet
from treasury_watch.rules.shapes import RULE_ID, Key, MapOf, Name, Record, Whole
from treasury_watch.rules.source import Report, compose

FILE_NAME = "rules.lock"
_LOCKED = Record(
    "locked rule",
    (
        Key("revision", Whole(1, 10**6), "the revision", "版本", True),
        Key(
            "logic",
            Name("sha256:[0-9a-f]{64}", "sha256: and 64 hexadecimal digits"),
            "the hash of its logic",
            "规则逻辑的哈希值",
            True,
        ),
    ),
)
_LOCK_FILE = MapOf(RULE_ID, _LOCKED)
_HEAD = """\
# The revision and the hash of the logic of every rule, drafts aside. `treasury-watch rules check --fix` writes it, and
# raises the revision of a rule whose logic changed. Reviewed with the rules.
"""


@dataclass(frozen=True, slots=True)
class Locked:
    revision: int
    logic: str  # "sha256:…"


def locked_rules(ruleset: RuleSet) -> Iterator[Rule]:
    """The rules that the lock is about. Drafts change freely."""
    return (rule for rule in ruleset.rules if rule.mode != "draft")


def lock_text(ruleset: RuleSet, kept: Mapping[str, Locked] = MappingProxyType({})) -> str:
    """The content of rules.lock for a rule set, in the order of rule ids. `kept`: what stays listed as it was."""
    listed = {rule.id: Locked(rule.revision, logic_hash(rule)) for rule in locked_rules(ruleset)} | dict(kept)
    return _HEAD + "".join(
        f"{name}: {{revision: {each.revision}, logic: {each.logic}}}\n" for name, each in sorted(listed.items())
    )


def read_lock(path: str, data: bytes, report: Report) -> Mapping[str, Locked]:
    """Rule id → what is locked; empty if the file says nothing, or nothing that can be read."""
    root = compose(path, data, report)
    read = (None if root is None else _LOCK_FILE.read(root, report)) or {}
    return {name: Locked(**each) for name, each in read.items() if len(each) == len(_LOCKED.keys)}
