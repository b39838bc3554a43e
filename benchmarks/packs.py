"""Rule packs of other sizes, made of the default one: none, the first few rules, and ten times the whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from treasury_watch.adapters.rulefiles import PATTERNS, default_rules
from treasury_watch.domain.calendar import HOUR_US
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.forms.first_seen import FirstSeen
from treasury_watch.rules.schema import (
    All,
    Condition,
    Feature,
    FeatureRef,
    FieldRef,
    Leaf,
    Param,
    Rule,
    RuleSet,
    Span,
    WordList,
)

FIRST = frozenset(
    f"{kind}-{number:03d}"
    for kind, count in {
        "AMT": 2, "CASH": 5, "CARD": 4, "DUP": 4, "SPLIT": 1, "ROLE": 1, "PERSON": 1, "DEBAR": 2, "DATA": 3, "TEXT": 4,
    }.items()
    for number in range(1, count + 1)
)  # fmt: skip
COPIES = 10
_FEN = Decimal("0.01")
_RULE = re.compile(r"^- id: (\S+)$")


def none(ruleset: RuleSet) -> RuleSet:
    """The same reference data without a rule."""
    return replace(ruleset, files=())


def first(ruleset: RuleSet) -> RuleSet:
    """The first rules of the pack alone, as they are now."""
    kept = [replace(file, rules=tuple(rule for rule in file.rules if rule.id in FIRST)) for file in ruleset.files]
    return replace(ruleset, files=tuple(file for file in kept if file.rules))


def write_first(target: Path) -> None:
    """The same as a directory of rule files: texts of the default pack without other rules and without tests."""
    source = default_rules()
    for path in sorted({path for pattern in PATTERNS for path in source.glob(pattern)}):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.parent != source:
            shutil.copyfile(path, copy)
        elif lines := [*_of_first(path.read_text(encoding="utf-8"))]:
            copy.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _of_first(text: str) -> Iterator[str]:
    """The lines of a rule file with nothing but the first rules in it; none if it has none of them."""
    head, _, rest = text.partition("\nrules:\n")
    kept: list[str] = []
    wanted = False
    for line in rest.splitlines():
        if line and not line[0].isspace() and line[0] not in "-#":
            break  # what follows the rules: tests
        if line.startswith("- "):
            found = _RULE.match(line)
            wanted = found is not None and found[1] in FIRST
        if wanted:
            kept.append(line)
    if kept:
        yield from (*head.splitlines(), "rules:", *kept)


def tenfold(ruleset: RuleSet, sharing: bool) -> RuleSet:
    """Every rule ten times with limits of its own. `sharing`: of the same features; otherwise each copy counts other
    payments within other windows, and excepts other words, so that it needs series and word lists of its own.
    """
    return replace(
        ruleset,
        files=tuple(
            replace(file, rules=tuple(_copy(rule, number, sharing) for rule in file.rules for number in range(COPIES)))
            for file in ruleset.files
        ),
    )


def _copy(rule: Rule, number: int, sharing: bool) -> Rule:
    if not number:
        return rule

    def change(node: Any) -> Any:
        node = _with_other_limits(node, number)
        return node if sharing else _apart(node, number)

    when = _changed(rule.when, change, not sharing)
    if when == rule.when:  # no limit in it
        when = All((when, _all_but_one_amount(number)))
    return replace(
        rule,
        id=f"{rule.id}-{number}",
        when=when,
        features={name: _changed(feature, change, not sharing) for name, feature in rule.features.items()},
        params={name: _with_other_limits(param, number) for name, param in rule.params.items()},
    )


def _changed(node: Any, change: Callable[[Any], Any], features: bool) -> Any:
    """A tree of conditions and operands, each changed from the leaves up, `features` only if asked."""
    if isinstance(node, tuple):
        return tuple(_changed(each, change, features) for each in node)
    if not is_dataclass(node) or isinstance(node, Span) or (isinstance(node, (Feature, FeatureRef)) and not features):
        return node
    parts = {each.name: _changed(getattr(node, each.name), change, features) for each in fields(node) if each.init}
    return change(replace(node, **parts))  # type: ignore[type-var]


def _with_other_limits(node: Any, number: int) -> Any:
    """Params and literals that something is compared with, a little higher in each copy."""
    match node:
        case Param(segments=segments):
            return replace(
                node,
                segments={
                    name: tuple(replace(each, value=_higher(each.value, number)) for each in dated)
                    for name, dated in segments.items()
                },
            )
        case Leaf(operator="gt" | "gte" | "lt" | "lte", operand=operand):
            return replace(node, operand=_higher(operand, number))
    return node


def _higher(value: Any, number: int) -> Any:
    if isinstance(value, Decimal):
        return value + number * _FEN
    return value + number if type(value) is int else value


def _apart(node: Any, number: int) -> Any:
    """Features and word lists that no other copy asks for."""
    match node:
        case Aggregate(where=where, window_us=window_us):
            return replace(node, where=_narrowed(where, number), window_us=window_us and window_us + number * HOUR_US)
        case FirstSeen(where=where, lookback_us=lookback_us):
            return replace(node, where=_narrowed(where, number), lookback_us=lookback_us + number * HOUR_US)
        case Leaf(operator="contains_any", operand=WordList(excepted=excepted)):
            return replace(node, operand=replace(node.operand, excepted=(*excepted, f"第{number}号例外")))
    return node


def _narrowed(where: Condition | None, number: int) -> Condition:
    own = _all_but_one_amount(number)
    return own if where is None else All((where, own))


def _all_but_one_amount(number: int) -> Leaf:
    """A condition that hardly any payment fails."""
    return Leaf(FieldRef("amount"), "ne", Decimal("987654321.00") + number * _FEN)
