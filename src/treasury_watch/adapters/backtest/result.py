"""The result of a back-test as one object for machines: what `--json` prints, `rules promote` reads and the report
shows. Described in docs/backtesting.md; the same file and rules give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from treasury_watch import __version__
from treasury_watch.adapters.backtest.changes import Changes, Moved, RuleChange
from treasury_watch.adapters.backtest.labels import ratio
from treasury_watch.adapters.backtest.run import BackTest, Side
from treasury_watch.rules.canonical import logic_hash
from treasury_watch.rules.schema import Rule

SCHEMA_VERSION = 1
DEFAULT_MAX_SHARE = Decimal("0.01")
SAME_JACCARD = Decimal("0.8")  # rules that hit so much the same payments are told of
SAME_PAYMENTS = 5  # where there are at least so many


@dataclass(frozen=True, slots=True)
class Source:
    """The file that was judged: its name without folders, and its SHA-256 as `sha256sum` gives it."""

    name: str
    sha256: str


def source_of(path: Path) -> Source:
    """The file of that path, read once for its hash. Raises OSError."""
    with path.open("rb") as file:
        return Source(path.name, hashlib.file_digest(file, "sha256").hexdigest())


def as_json(test: BackTest, source: Source) -> dict[str, Any]:
    new = test.new
    days = sorted(new.tally.by_day)
    rules = [_rule(rule, new) for rule in new.judged]
    result = {
        "schema_version": SCHEMA_VERSION,
        "engine": __version__,
        "file": {
            "name": source.name,
            "sha256": f"sha256:{source.sha256}",
            "lines": test.lines,
            "first_day": _day(days[0]) if days else None,
            "last_day": _day(days[-1]) if days else None,
        },
        "max_lateness_days": new.tally.program.max_lateness_us // 86_400_000_000,
        **_side(new),
        "rules": rules,
        **_findings(rules, new),
        "against": None if test.old is None else _against(test.old, new, test.changes),
        "labels": None if new.scores is None else new.scores.as_json(rule.id for rule in new.judged),
    }
    return result


def _side(side: Side) -> dict[str, Any]:
    ruleset = side.ruleset
    return {
        "ruleset": {
            "hash": ruleset.hash,
            "reference": ruleset.reference,
            "timezone": ruleset.timezone,
            "partition_by": ruleset.partition_by,
        },
        "payments": side.tally.payments,
        "duplicates": side.duplicates,
        "refused": dict(sorted(side.refused.items())),
        "late": side.tally.late,
        "verdicts": side.tally.verdicts,
        "held": side.tally.held.as_json(),
        "months": side.tally.months,
        "shadow": None if side.shadow is None else side.shadow.as_json(),
    }


def _rule(rule: Rule, side: Side) -> dict[str, Any]:
    tally = side.tally.rules[rule.id]
    payments = side.tally.in_effect(rule)
    return {
        "id": rule.id,
        "revision": rule.revision,
        "logic": logic_hash(rule),
        "title": {"zh": rule.title.zh, "en": rule.title.en},
        "mode": rule.mode,
        "action": rule.action,
        "hits": tally.hits,
        "payments": payments,
        "share": ratio(tally.hits, payments),
        "max_share": None if rule.max_share is None else float(rule.max_share),
        "missing": tally.missing,
        "excepted": tally.excepted,
        "held": tally.held.as_json(),
        "held_alone": tally.held_alone.as_json(),
        "by_month": {month: tally.months[month] for month in side.tally.months},
        "examples": tally.examples.as_json(side.zone, side.modes, None),
    }


def _findings(rules: list[dict[str, Any]], side: Side) -> dict[str, Any]:
    expected = {rule.id: rule.max_share for rule in side.judged}
    noisy = [
        {"rule": each["id"]}
        | {key: each[key] for key in ("hits", "payments", "share")}
        | {"max_share": float(limit), "expected": expected[each["id"]] is not None}
        for each in rules
        if each["hits"] > (limit := _limit(expected[each["id"]])) * each["payments"]
    ]
    return {
        "noisy": noisy,
        "broken": [each["rule"] for each in noisy if each["expected"]],
        "silent": [each["id"] for each in rules if not each["hits"] and each["payments"]],
        "not_in_effect": [each["id"] for each in rules if not each["payments"]],
        "overlapping": _overlapping(side),
    }


def _limit(expected: Decimal | None) -> Decimal:
    return DEFAULT_MAX_SHARE if expected is None else expected


def _overlapping(side: Side) -> list[dict[str, Any]]:
    found = []
    for (one, other), both in side.tally.together.items():
        hits = side.tally.rules[one].hits, side.tally.rules[other].hits
        either = sum(hits) - both
        if both >= SAME_PAYMENTS and both >= SAME_JACCARD * either:
            found.append({"rules": [one, other], "both": both, "either": either, "jaccard": ratio(both, either)})
    return sorted(found, key=lambda each: (-each["jaccard"], -each["both"], each["rules"]))


def _against(old: Side, new: Side, changes: Changes) -> dict[str, Any]:
    statuses: dict[str, dict[str, int]] = {}
    for (before, after), count in sorted(changes.matrix.items()):
        statuses.setdefault(before, {})[after] = count
    return {
        "name": old.name,
        **_side(old),
        "matrix": statuses,
        "newly_held": _moved(changes.newly_held, old, new),
        "newly_let_go": _moved(changes.newly_let_go, old, new),
        "rules": _rule_changes(old, new, changes.rules),
        "labels": None if old.scores is None else old.scores.as_json(rule.id for rule in old.judged),
    }


def _moved(moved: Moved, old: Side, new: Side) -> dict[str, Any]:
    return {
        **moved.held.as_json(),
        "rules": dict(sorted(moved.rules.items())),
        "examples": moved.examples.as_json(new.zone, new.modes, old.modes),
    }


def _rule_changes(old: Side, new: Side, changed: Mapping[str, RuleChange]) -> list[dict[str, Any]]:
    """Every rule that is not the same in both sets, or hits other payments."""
    before, after = ({rule.id: rule for rule in side.judged} for side in (old, new))
    rows = []
    for rule in dict.fromkeys([*after, *before]):
        change = changed.get(rule, RuleChange())
        stages = _stage(before.get(rule), old), _stage(after.get(rule), new)
        effect = bool(change.gained or change.lost) or _with_hits(stages[0]) != _with_hits(stages[1])
        if effect or stages[0] != stages[1]:
            rows.append(
                {
                    "rule": rule,
                    "old": stages[0],
                    "new": stages[1],
                    "gained": change.gained,
                    "lost": change.lost,
                    "effect": effect,
                }
            )
    return rows


def _with_hits(stage: dict[str, Any] | None) -> Any:
    """How a rule that hits something acts."""
    return (stage["mode"], stage["action"]) if stage and stage["hits"] else None


def _stage(rule: Rule | None, side: Side) -> dict[str, Any] | None:
    if rule is None:
        return None
    return {
        "revision": rule.revision,
        "logic": logic_hash(rule),
        "mode": rule.mode,
        "action": rule.action,
        "hits": side.tally.rules[rule.id].hits,
    }


def _day(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat()
