"""One rule file: nodes become rules, with every name resolved and every type known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from treasury_watch.domain.payment import FIELDS, field_of
from treasury_watch.rules import limits
from treasury_watch.rules.conditions import read_condition
from treasury_watch.rules.diagnostics import did_you_mean
from treasury_watch.rules.features import read_feature, read_param
from treasury_watch.rules.operands import fitted_param
from treasury_watch.rules.plan import condition_count
from treasury_watch.rules.reasons import pieces
from treasury_watch.rules.ruletests import read_test_base, read_tests
from treasury_watch.rules.scalars import money, scalar
from treasury_watch.rules.schema import Exception_, Param, Rule, RuleFile, Span
from treasury_watch.rules.scope import Reference, Scope
from treasury_watch.rules.shapes import (
    IDENTIFIER,
    RULE_ID,
    Bilingual,
    Day,
    Flag,
    JsonSchema,
    Key,
    Line,
    ListOf,
    Name,
    Raw,
    Record,
    Whole,
    Word,
    Zone,
)
from treasury_watch.rules.source import MappingNode, Node, Report, ScalarNode
from treasury_watch.rules.types import Sort, Type

_SHARE = re.compile(r"(?:100(?:\.0{1,4})?|[1-9]?[0-9](?:\.[0-9]{1,4})?)%")


@dataclass(frozen=True, slots=True)
class Share:
    """A share written in percent, read as the exact part of one: 0.5% is 0.005."""

    def read(self, node: Node, report: Report) -> Decimal | None:
        found = scalar(node, report, "a share as in 0.5%")
        if found is None:
            return None
        if not _SHARE.fullmatch(found.text):
            report.error(found.span, "TW108", f"`{found.text}` is not a share", "expected 0% to 100%, as in 0.5%")
            return None
        return Decimal(found.text[:-1]) / 100

    def schema(self) -> JsonSchema:
        return {"type": "string", "pattern": f"^{_SHARE.pattern}$"}


EXPECT = Record(
    "expectation",
    (Key("max_share", Share(), "a back-test fails if the rule hits more of the payments than this", True),),
)


@dataclass(frozen=True, slots=True)
class Yuan:
    """An amount, read as exact yuan with two places."""

    def read(self, node: Node, report: Report) -> Decimal | None:
        return money(node, report)

    def schema(self) -> JsonSchema:
        return {"type": "number"}


PROMOTED = Record(
    "record of a promotion",
    (
        Key("on", Day(), "the day on which the rule went from shadow to live", True),
        Key("revision", Whole(1, 10**6), "its revision then", True),
        Key("payments", Whole(0, 10**12), "payments that the back-test judged with it", True),
        Key("hits", Whole(0, 10**12), "how many of them it hit", True),
        Key("share", Share(), "hits per payment", True),
        Key("held", Whole(0, 10**12), "payments that it would have held and no live rule did", True),
        Key("held_amount", Yuan(), "their amount", True),
        Key("first_day", Day(), "the first local day of those payments", True),
        Key("last_day", Day(), "the last one", True),
        Key("file", Name("sha256:[0-9a-f]{64}", "sha256: and 64 hexadecimal digits"), "the payments' file", True),
    ),
)
EFFECTIVE = Record(
    "period of effect",
    (
        Key("from", Day(), "the first local day; without it, always"),
        Key("until", Day(), "the first local day on which it no longer holds; without it, for ever"),
    ),
)
EXCEPTION = Record(
    "exception",
    (
        Key("match", Raw("condition"), "where it is true, the rule's hit is withheld", True),
        Key("owner", Line(), "who answers for it", True),
        Key("basis", Line(), "the document that allows it", True),
        Key("expires", Day(), "the last local day on which it holds", True),
    ),
)
_SHARED = (
    Key(
        "mode",
        Word("mode", ("draft", "shadow", "live", "retired")),
        "draft: only checked; shadow: recorded; live: in force",
    ),
    Key("action", Word("action", ("record", "warn", "intercept", "prohibit")), "the verdict that a hit asks for"),
    Key("level", Word("level", ("grey", "red", "orange", "yellow", "blue")), "for display; without it, by the action"),
    Key("evidence_required", Flag(), "the unit must file evidence with the case"),
    Key("risk_point", Line(), "the risk point of risk-points.yaml that it answers"),
    Key("basis", Bilingual(), "the regulation that it carries out"),
    Key("effective", EFFECTIVE, "the local days on which it holds"),
    Key(
        "on_missing",
        Word("on_missing", ("pass", "warn", "intercept")),
        "what follows if the condition is missing (default: warn)",
    ),
    Key("expect", EXPECT, "what `rules backtest` holds it to"),
)
DEFAULTS = Record("defaults block", _SHARED)
RULE = Record(
    "rule",
    (
        Key("id", RULE_ID, "its name for ever", True),
        Key("revision", Whole(1, 10**6), "rises when the logic changes", True),
        Key("title", Bilingual(), "its name for people", True),
        *_SHARED,
        Key("promoted", PROMOTED, "what was measured when it went live; `rules promote` writes it"),
        Key("params", Raw("params"), "values by name, dated and segmented"),
        Key("features", Raw("features"), "computed values by name"),
        Key("when", Raw("condition"), "the condition of a hit", True),
        Key("exceptions", ListOf(Raw("exception"), limit=limits.EXCEPTIONS), "hits that are withheld"),
        Key("reason", Bilingual(), "what a hit says; {name} is a field, feature or param", True),
    ),
)
RULE_FILE = Record(
    "rule file",
    (
        Key("ruleset", IDENTIFIER, "the name of this file's rules", True),
        Key("owner", Line(), "who answers for every rule in this file", True),
        Key("timezone", Zone(), "the zone of calendars, days and effective dates", True),
        Key("partition_by", Name(r"[a-z_]+", "a field that every instruction has"), "the Kafka key", True),
        Key("defaults", DEFAULTS, "what the rules of this file have unless they say otherwise"),
        Key("rules", ListOf(Raw("rule"), at_least=1), "the rules", True),
        Key("test_base", Raw("pay"), "the instruction that tests start from"),
        Key("tests", ListOf(Raw("test"), limit=limits.TESTS), "instructions and the verdicts expected of them"),
    ),
)
_LEVELS = {"prohibit": "grey", "intercept": "red", "record": "blue"}  # warn: orange with evidence, else yellow


@dataclass(frozen=True, slots=True)
class FileRead:
    """A rule file and what it says for the whole set."""

    file: RuleFile
    timezone: str
    partition_by: str


def read_rule_file(path: str, root: MappingNode, reference: Reference, report: Report) -> FileRead | None:
    """The file, with those of its rules that could be read; `None` if not even its head could."""
    read = RULE_FILE.read(root, report) or {}
    partition_node = root.get("partition_by")
    if "partition_by" in read and partition_node is not None:
        _check_partition(read["partition_by"], partition_node, report)
    defaults = read.get("defaults", {})
    rules = [_read_rule(node, defaults, reference, report) for node in read.get("rules", ())]
    known = [str(rule.id) for rule in rules if rule is not None]
    ids = known if len(known) == len(rules) else None
    base = read_test_base(read["test_base"], report) if "test_base" in read else {}
    tests = read_tests(read.get("tests", ()), ids, report)
    if not {"ruleset", "owner", "timezone", "partition_by"} <= read.keys():
        return None
    file = RuleFile(
        path, read["ruleset"], read["owner"], tuple(rule for rule in rules if rule is not None), tests, base
    )
    return FileRead(file, read["timezone"], read["partition_by"])


def _check_partition(name: str, node: Node, report: Report) -> None:
    field = field_of(name)
    usable = [each.name for each in FIELDS.values() if each.required and each.kind.value in ("text", "enum")]
    if field is None or name not in usable:
        hint = did_you_mean(name, usable, otherwise="such as `jurisdiction`")
        report.error(node.span, "TW201", f"`{name}` is not a field that every instruction has", hint)


def _read_rule(node: Node, defaults: Mapping[str, Any], reference: Reference, report: Report) -> Rule | None:
    before = len(report.diagnostics)
    own = RULE.read(node, report)
    if own is None or not isinstance(node, MappingNode):
        return None
    read = {**defaults, **own}
    for name in ("mode", "action"):
        if name not in read and node.get(name) is None:
            report.error(node.span, "TW102", f"this rule has no `{name}`", "add it here or under `defaults`")
    scope = _read_names(own, reference, report)
    when = read_condition(own["when"], scope) if "when" in own else None
    exceptions = [_read_exception(each, scope) for each in own.get("exceptions", ())]
    reason_node = node.get("reason")
    if isinstance(reason_node, MappingNode):
        _check_reason(reason_node, scope)
    effective_from, effective_until = _effect(read.get("effective", {}), node, report)
    if len(report.diagnostics) > before or when is None:
        return None
    action, evidence = read["action"], read.get("evidence_required", False)
    id_node = node.get("id")
    rule = Rule(
        id=own["id"],
        revision=own["revision"],
        title=own["title"],
        mode=read["mode"],
        action=action,
        level=read.get("level", _LEVELS.get(action, "orange" if evidence else "yellow")),
        evidence_required=evidence,
        risk_point=read.get("risk_point"),
        basis=read.get("basis"),
        effective_from=effective_from,
        effective_until=effective_until,
        on_missing=read.get("on_missing", "warn"),
        params={name: _as_used(param, scope) for name, param in sorted(scope.params.items())},
        features={name: feature for name, feature in sorted(scope.features.items()) if feature is not None},
        when=when,
        exceptions=tuple(each for each in exceptions if each is not None),
        reason=own["reason"],
        span=id_node.span if id_node is not None else node.span,
        max_share=read.get("expect", {}).get("max_share"),
    )
    if condition_count(rule) > limits.CONDITIONS.most:
        report.over(limits.CONDITIONS, rule.span or node.span)
        return None
    return rule


def _read_names(own: Mapping[str, Any], reference: Reference, report: Report) -> Scope:
    """The scope of a rule: its params, then its features, which may use them."""
    params: dict[str, Param] = {}
    scope = Scope(reference, report, params)
    for key, value in _named(own, "params", scope):
        param = read_param(key.text, value, report)
        if param is None:
            scope.broken.add(key.text)
        else:
            params[key.text] = param
    scope.read_features({key.text: (key, value) for key, value in _named(own, "features", scope)}, read_feature)
    return scope


def _named(own: Mapping[str, Any], what: str, scope: Scope) -> list[tuple[ScalarNode, Node]]:
    node, report = own.get(what), scope.report
    limit = limits.PARAMS if what == "params" else limits.FEATURES
    if node is not None and not isinstance(node, MappingNode):
        report.error(node.span, "TW104", "not a mapping", f"`{what}` are `name: value`")
    named = []
    entries = node.entries if isinstance(node, MappingNode) else ()
    report.within([key for key, _ in entries], limit)
    scope.broken.update(key.text for key, _ in entries[limit.most :])
    for key, value in entries[: limit.most]:
        if key.text in FIELDS or key.text in scope.params:
            holder = "field of the instruction" if key.text in FIELDS else "param"
            report.error(key.span, "TW207", f"`{key.text}` is already a {holder}", "choose another name")
        elif IDENTIFIER.read(key, report) is None:
            scope.broken.add(key.text)
        else:
            named.append((key, value))
    return named


def _as_used(param: Param, scope: Scope) -> Param:
    """The param as the rule uses it: with two places where it is an amount, so that reasons show it as one."""
    if param.name not in scope.money_params:
        return param
    return fitted_param(param, Type(Sort.MONEY), scope) or param


def _read_exception(node: Node, scope: Scope) -> Exception_ | None:
    read = EXCEPTION.read(node, scope.report) or {}
    match = read_condition(read["match"], scope) if "match" in read else None
    if match is None or len(read) != len(EXCEPTION.keys) or not isinstance(node, MappingNode):
        return None
    expires = node.get("expires")
    return Exception_(match, read["owner"], read["basis"], read["expires"], expires.span if expires else node.span)


def _check_reason(node: MappingNode, scope: Scope) -> None:
    for language, text in node.entries:
        if not isinstance(text, ScalarNode):
            continue
        try:
            found = list(pieces(text.text))
        except ValueError as error:
            hint = "braces hold the name of a field, feature or param"
            scope.report.error(
                _within(text, error.args[0]), "TW208", f"a brace in `{language.text}` without its partner", hint
            )
            continue
        for offset, _, name in found:
            if name is None or field_of(name) is not None or name in scope.params or scope.knows_feature(name):
                continue
            hint = did_you_mean(name, (*scope.known_names(), *FIELDS), otherwise="name a field, feature or param")
            scope.report.error(
                _within(text, offset), "TW208", f"the reason names `{name}`, which is nothing here", hint
            )


def _within(text: ScalarNode, offset: int) -> Span:
    """The place of a character of a scalar, as far as it stands in the file as it was read."""
    opening = 0 if text.plain else 1
    if text.span.length != len(text.text) + 2 * opening:  # escapes or several lines: the scalar as a whole
        return text.span
    return replace(text.span, column=text.span.column + opening + offset, length=1)


def _effect(read: Mapping[str, date], node: MappingNode, report: Report) -> tuple[date | None, date | None]:
    since, until = read.get("from"), read.get("until")
    if since is not None and until is not None and until <= since:
        span = (node.get("effective") or node).span
        report.error(span, "TW404", f"it ends on {until} and starts on {since}", "`until` is the first day after it")
    elif until == date.min:
        span = (node.get("effective") or node).span
        report.error(span, "TW404", f"it ends on {until}, the first day that there is", "leave `until` out")
    return since, until
