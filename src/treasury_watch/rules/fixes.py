"""What can be put right without knowing the rule: quotes, revisions, rules.lock. The rest is left to its author."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from treasury_watch.rules.canonical import logic_hash
from treasury_watch.rules.edits import Edit, edited
from treasury_watch.rules.lock import FILE_NAME, Locked, lock_text, locked_rules, read_lock
from treasury_watch.rules.schema import Rule, RuleSet, Span
from treasury_watch.rules.sets import check, read
from treasury_watch.rules.source import MappingNode, Node, Report, ScalarNode, SequenceNode, compose

_ROUNDS = 32  # each quotes what the one before let be read: nesting is no deeper


@dataclass(frozen=True, slots=True)
class Fix:
    """One thing that was put right, and where it stands."""

    span: Span
    message: str


def fixed(files: Mapping[str, bytes], lock_path: str) -> tuple[dict[str, bytes], list[Fix]]:
    """The files as they should be, and what was done to them. `lock_path`: where rules.lock stands, or is to stand.

    Doing it twice is doing it once. A set that cannot be read for another reason gets its quotes, and no more.
    """
    now, done = dict(files), []
    for _ in range(_ROUNDS):
        ruleset, found = read(now)
        quotes = [each for each in found if each.replacement is not None]
        if not quotes:
            break
        done += [Fix(each.span, f"quoted {each.replacement}") for each in quotes]
        for path in sorted({each.span.file for each in quotes}):
            edits = [Edit(each.span, str(each.replacement)) for each in quotes if each.span.file == path]
            now[path] = edited(now[path], edits)
    if ruleset is None:
        return now, done
    lock = read_lock(lock_path, now[lock_path], Report()) if lock_path in now else {}
    bumps = [*_bumps(ruleset, now, lock)]
    for path in sorted({edit.span.file for edit, _ in bumps}):
        now[path] = edited(now[path], [edit for edit, _ in bumps if edit.span.file == path])
    done += [fix for _, fix in bumps]
    ruleset, _ = read(now)
    assert ruleset is not None
    text = kept_lock(ruleset, lock).encode()
    stale = {each.code for each in check(ruleset, now, date.min)} & {"TW605"}
    if stale and (lock_path not in now or text != now[lock_path]):
        now[lock_path] = text
        done.append(Fix(Span(lock_path, 1, 1), f"wrote {FILE_NAME}"))
    return now, done


def kept_lock(ruleset: RuleSet, lock: Mapping[str, Locked]) -> str:
    """rules.lock as the rules are, but for what only their author can say: a rule that is gone, whose revision went
    back, or whose logic changed under its revision stays listed as it was."""
    rules = {rule.id: rule for rule in locked_rules(ruleset)}
    open_ = {
        name: locked
        for name, locked in lock.items()
        if name not in rules
        or rules[name].revision < locked.revision
        or (rules[name].revision == locked.revision and logic_hash(rules[name]) != locked.logic)
    }
    return lock_text(ruleset, open_)


def _bumps(ruleset: RuleSet, files: Mapping[str, bytes], lock: Mapping[str, Locked]) -> Iterator[tuple[Edit, Fix]]:
    """A new revision for each rule whose logic is not the lock's under a revision that the lock knows."""
    for rule in locked_rules(ruleset):
        locked = lock.get(rule.id)
        if locked is None or locked.logic == logic_hash(rule) or rule.revision > locked.revision:
            continue
        node = rule_node(files, rule)
        revision = None if node is None else node.get("revision")
        if isinstance(revision, ScalarNode):
            message = f"revision {rule.revision} → {locked.revision + 1} of `{rule.id}`, whose logic changed"
            yield Edit(revision.span, str(locked.revision + 1)), Fix(revision.span, message)


def rule_node(files: Mapping[str, bytes], rule: Rule) -> MappingNode | None:
    """The mapping in which a rule stands."""
    if rule.span is None or rule.span.file not in files:
        return None
    root = compose(rule.span.file, files[rule.span.file], Report())
    rules = root.get("rules") if isinstance(root, MappingNode) else None
    for node in rules.items if isinstance(rules, SequenceNode) else ():
        if isinstance(node, MappingNode) and _says(node.get("id"), rule.id):
            return node
    return None


def _says(node: Node | None, text: str) -> bool:
    return isinstance(node, ScalarNode) and node.text == text
