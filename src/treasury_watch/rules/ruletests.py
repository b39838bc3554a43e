"""Inline tests: instructions at offsets from a start, and the verdicts expected of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from treasury_watch.domain.payment import Kind, field_of
from treasury_watch.rules import limits, scalars
from treasury_watch.rules.diagnostics import did_you_mean, use_one_of
from treasury_watch.rules.schema import Expectation, RuleTest, Step
from treasury_watch.rules.scope import field_name
from treasury_watch.rules.shapes import Duration, Key, Line, ListOf, Moment, Raw, Record
from treasury_watch.rules.source import MappingNode, Node, Report, ScalarNode, SequenceNode
from treasury_watch.rules.types import field_type

VERDICTS = {"pass": "放行", "record": "仅记录", "warn": "预警", "intercept": "拦截", "prohibit": "禁止"}
STEP = Record(
    "step",
    (
        Key("at", Duration(zero=True), "how long after the start", "距开始时间多久", True),
        Key(
            "pay",
            Raw("pay"),
            "the fields in which the instruction differs from `test_base`",
            "支付指令中与 `test_base` 不同的字段",
            True,
        ),
        Key(
            "expect",
            Raw("expect"),
            "the verdict, or the verdict with the ids of all live hits",
            "预期判定，或判定加全部正式生效的命中规则编号",
            True,
        ),
    ),
    later={"dispose": "disposition"},
)
TEST = Record(
    "test",
    (
        Key("name", Line(), "what it shows, as a sentence", "用一句话说明测试什么", True),
        Key("start", Moment(), "the time that steps are offsets from", "各步骤时间的起点", True),
        Key(
            "steps",
            ListOf(Raw("step"), 1, limits.STEPS),
            "instructions, in the order in which they arrive",
            "按到达顺序排列的支付指令",
            True,
        ),
    ),
)
REASONS = ("reason_zh", "reason_en")
EXPECT = Record(
    "expectation",
    (
        *(
            Key(
                verdict,
                ListOf(Line()),
                f"verdict {verdict}, and the ids of all live hits",
                f"{zh}，及全部正式生效的命中规则编号",
            )
            for verdict, zh in VERDICTS.items()
        ),
        *(Key(reason, Line(), "the text of one hit's reason", "其中一个命中的理由全文") for reason in REASONS),
    ),
)


def read_tests(nodes: Iterable[Node], ids: Sequence[str] | None, report: Report) -> tuple[RuleTest, ...]:
    """The tests that could be read. `ids`: the rules of the file, or `None` if not all of those are known."""
    tests = []
    for node in nodes:
        read = TEST.read(node, report) or {}
        steps = [_read_step(each, ids, report) for each in read.get("steps", ())]
        whole = tuple(step for step in steps if step is not None)
        if len(read) == len(TEST.keys) and len(whole) == len(steps):
            tests.append(RuleTest(read["name"], read["start"], whole, node.span))
    return tuple(tests)


def _read_step(node: Node, ids: Sequence[str] | None, report: Report) -> Step | None:
    read = STEP.read(node, report) or {}
    pay = _read_pay(read["pay"], report) if "pay" in read else None
    expect = _read_expect(read["expect"], ids, report) if "expect" in read else None
    if pay is None or expect is None or "at" not in read:
        return None
    return Step(read["at"], pay, expect, node.span)


def _read_expect(node: Node, ids: Sequence[str] | None, report: Report) -> Expectation | None:
    if isinstance(node, ScalarNode):
        verdict = scalars.word(node, report, VERDICTS, "expect")
        return None if verdict is None else Expectation(verdict)
    read = EXPECT.read(node, report)
    if read is None or not isinstance(node, MappingNode):
        return None
    verdicts = [name for name in VERDICTS if node.get(name) is not None]
    if len(verdicts) != 1:
        found = f"{len(verdicts)} verdicts" if verdicts else "an expectation without verdict"
        report.error(node.span, "TW109" if verdicts else "TW102", found, use_one_of(VERDICTS))
        return None
    ids_node = node.get(verdicts[0])
    if ids is not None and isinstance(ids_node, SequenceNode):
        for each in ids_node.items:
            if isinstance(each, ScalarNode) and each.text not in ids:
                report.error(each.span, "TW210", f"this file has no rule `{each.text}`", did_you_mean(each.text, ids))
    return Expectation(verdicts[0], read.get(verdicts[0]), *(read.get(reason) for reason in REASONS))


def read_test_base(node: Node, report: Report) -> dict[str, Any]:
    """The instruction that tests start from: field → value."""
    return _read_pay(node, report) or {}


def _read_pay(node: Node, report: Report) -> dict[str, Any] | None:
    """Field → value as messages carry it: amounts as decimal text with two places; `None` removes the field."""
    if not isinstance(node, MappingNode):
        report.error(node.span, "TW104", "not an instruction", "expected {field: value, …}")
        return None
    before = len(report.diagnostics)
    pay: dict[str, Any] = {}
    for key, value in node.entries:
        if key.text == "event_time":
            report.error(key.span, "TW101", "the event time of a step is its `at`", "leave it out")
        elif key.text == "attributes":
            pay |= _read_attributes(value, report)
        elif (name := field_name(key, report)) is not None:
            pay[name] = _read_value(name, value, report)
    return pay if len(report.diagnostics) == before else None


def _read_attributes(node: Node, report: Report) -> dict[str, Any]:
    if not isinstance(node, MappingNode):
        report.error(node.span, "TW104", "not a mapping", "expected {local_name: value, …}")
        return {}
    pay = {}
    for key, value in node.entries:
        name = field_name(replace(key, text=f"attributes.{key.text}"), report)
        if name is not None:
            pay[name] = _read_value(name, value, report)
    return pay


def _read_value(name: str, node: Node, report: Report) -> Any:
    if isinstance(node, ScalarNode) and node.is_null:
        return None
    field = field_of(name)
    assert field is not None
    match field.kind:
        case Kind.MONEY:
            amount = scalars.money(node, report)
            return None if amount is None else str(amount)
        case Kind.INTEGER:
            return scalars.whole(node, report, -(2**63), 2**63 - 1)
        case Kind.BOOLEAN:
            return scalars.flag(node, report)
        case Kind.DATE:
            return scalars.day(node, report)
        case Kind.ENUM:
            return scalars.word(node, report, field_type(name).values, name)
        case Kind.ATTRIBUTE:
            return scalars.literal(node, report)
    return scalars.text(node, report)
