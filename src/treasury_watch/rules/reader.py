"""One rule file: nodes become rules, with every name resolved and every type known."""

from __future__ import annotations

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
from treasury_watch.rules.scalars import money
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
    Share,
    Whole,
    Word,
    Zone,
)
from treasury_watch.rules.source import MappingNode, Node, Report, ScalarNode
from treasury_watch.rules.types import Sort, Type

EXPECT = Record(
    "expectation",
    (
        Key(
            "max_share",
            Share(),
            "a back-test fails if the rule hits more of the payments than this",
            "回测命中支付指令的比例超过该值即为不通过",
            True,
        ),
    ),
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
        Key("on", Day(), "the day on which the rule went from shadow to live", "规则由试运行转正之日", True),
        Key("revision", Whole(1, 10**6), "its revision then", "当时的版本", True),
        Key(
            "payments",
            Whole(0, 10**12),
            "payments that the back-test judged with it",
            "回测中用该规则判定的支付指令笔数",
            True,
        ),
        Key("hits", Whole(0, 10**12), "how many of them it hit", "其中命中的笔数", True),
        Key("share", Share(), "hits per payment", "命中占支付指令的比例", True),
        Key(
            "held",
            Whole(0, 10**12),
            "payments that it would have held and no live rule did",
            "该规则会拦下而正式生效规则均未拦下的支付指令笔数",
            True,
        ),
        Key("held_amount", Yuan(), "their amount", "上述支付指令的金额", True),
        Key("first_day", Day(), "the first local day of those payments", "回测所用支付指令的第一个当地日", True),
        Key("last_day", Day(), "the last one", "回测所用支付指令的最后一个当地日", True),
        Key(
            "file",
            Name("sha256:[0-9a-f]{64}", "sha256: and 64 hexadecimal digits"),
            "the payments' file",
            "支付指令文件的摘要",
            True,
        ),
    ),
)
EFFECTIVE = Record(
    "period of effect",
    (
        Key("from", Day(), "the first local day; without it, always", "第一个生效的当地日；不写则一直生效"),
        Key(
            "until",
            Day(),
            "the first local day on which it no longer holds; without it, for ever",
            "不再生效的第一个当地日；不写则长期有效",
        ),
    ),
)
EXCEPTION = Record(
    "exception",
    (
        Key(
            "match",
            Raw("condition"),
            "where it is true, the rule's hit is withheld",
            "条件为真时，该规则的命中不生效",
            True,
        ),
        Key("owner", Line(), "who answers for it", "负责人", True),
        Key("basis", Line(), "the document that allows it", "准许该例外的文件", True),
        Key("expires", Day(), "the last local day on which it holds", "有效的最后一个当地日", True),
    ),
)
_SHARED = (
    Key(
        "mode",
        Word("mode", ("draft", "shadow", "live", "retired")),
        "draft: only checked; shadow: recorded; live: in force",
        "draft 草案：只检查；shadow 试运行：只记录；live 正式生效；retired 停用",
    ),
    Key(
        "action",
        Word("action", ("record", "warn", "intercept", "prohibit")),
        "the verdict that a hit asks for",
        "命中时要求的判定",
    ),
    Key(
        "level",
        Word("level", ("grey", "red", "orange", "yellow", "blue")),
        "for display; without it, by the action",
        "展示用的预警级别；不写则由 action 决定",
    ),
    Key("evidence_required", Flag(), "the unit must file evidence with the case", "预算单位须随案提交佐证"),
    Key(
        "risk_point",
        Line(),
        "the risk point of risk-points.yaml that it answers",
        "所应对的风险点，见 risk-points.yaml",
    ),
    Key("basis", Bilingual(), "the regulation that it carries out", "所执行的制度依据"),
    Key("effective", EFFECTIVE, "the local days on which it holds", "生效的当地日期区间"),
    Key(
        "on_missing",
        Word("on_missing", ("pass", "warn", "intercept")),
        "what follows if the condition is missing (default: warn)",
        "条件结果缺失时如何判定（默认 warn 预警）",
    ),
    Key("expect", EXPECT, "what `rules backtest` holds it to", "`rules backtest` 对该规则的要求"),
)
DEFAULTS = Record("defaults block", _SHARED)
RULE = Record(
    "rule",
    (
        Key("id", RULE_ID, "its name for ever", "规则编号，永不更改", True),
        Key("revision", Whole(1, 10**6), "rises when the logic changes", "版本；逻辑变更时递增", True),
        Key("title", Bilingual(), "its name for people", "规则名称", True),
        *_SHARED,
        Key(
            "promoted",
            PROMOTED,
            "what was measured when it went live; `rules promote` writes it",
            "转正时测得的结果；由 `rules promote` 写入",
        ),
        Key("params", Raw("params"), "values by name, dated and segmented", "参数：按名称取值，可按日期和分档取值"),
        Key("features", Raw("features"), "computed values by name", "特征：按名称计算的值"),
        Key("when", Raw("condition"), "the condition of a hit", "命中的条件", True),
        Key(
            "exceptions",
            ListOf(Raw("exception"), limit=limits.EXCEPTIONS),
            "hits that are withheld",
            "例外：不生效的命中",
        ),
        Key(
            "reason",
            Bilingual(),
            "what a hit says; {name} is a field, feature or param",
            "命中时给出的理由；{name} 为字段、特征或参数",
            True,
        ),
    ),
)
RULE_FILE = Record(
    "rule file",
    (
        Key("ruleset", IDENTIFIER, "the name of this file's rules", "本文件规则组的名称", True),
        Key("owner", Line(), "who answers for every rule in this file", "本文件全部规则的负责人", True),
        Key(
            "timezone",
            Zone(),
            "the zone of calendars, days and effective dates",
            "日历、当地日和生效日期所用的时区",
            True,
        ),
        Key(
            "partition_by",
            Name(r"[a-z_]+", "a field that every instruction has"),
            "the Kafka key",
            "分区键，即 Kafka 消息键",
            True,
        ),
        Key(
            "defaults",
            DEFAULTS,
            "what the rules of this file have unless they say otherwise",
            "本文件规则的默认值，规则中另写的优先",
        ),
        Key("rules", ListOf(Raw("rule"), at_least=1), "the rules", "规则", True),
        Key("test_base", Raw("pay"), "the instruction that tests start from", "测试用支付指令的基础字段"),
        Key(
            "tests",
            ListOf(Raw("test"), limit=limits.TESTS),
            "instructions and the verdicts expected of them",
            "测试：支付指令及其预期判定",
        ),
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
