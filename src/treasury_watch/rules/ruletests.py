"""Inline tests: instructions at offsets from a start, the verdicts expected of them, and what people decide of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, get_args

from treasury_watch.domain.payment import Kind, field_of
from treasury_watch.rules import limits, scalars
from treasury_watch.rules.diagnostics import any_of, did_you_mean, use_one_of
from treasury_watch.rules.schema import Disposal, Disposed, Expectation, RuleTest, Step
from treasury_watch.rules.scope import field_name
from treasury_watch.rules.shapes import Duration, JsonSchema, Key, Line, ListOf, Moment, Raw, Record, Whole, Word
from treasury_watch.rules.source import MappingNode, Node, Report, ScalarNode, SequenceNode
from treasury_watch.rules.types import field_type

VERDICTS = {"pass": "放行", "record": "仅记录", "warn": "预警", "intercept": "拦截", "prohibit": "禁止"}


@dataclass(frozen=True, slots=True)
class PValue:
    """A p-value, read exactly."""

    def read(self, node: Node, report: Report) -> Fraction | None:
        value = scalars.number(node, report)
        if value is not None and not 0 < value <= 1:
            report.error(node.span, "TW108", f"`{value}` is no p-value", "expected a number above 0, at most 1")
            return None
        return None if value is None else Fraction(value)

    def schema(self) -> JsonSchema:
        return {"type": "number", "exclusiveMinimum": 0, "maximum": 1}


GIVEN = Record(
    "result of the model",
    (Key("p_value", PValue(), "the value of `{anomaly: p_value}`", "`{anomaly: p_value}` 的值", True),),
)
STEP = Record(
    "step",
    (
        Key("at", Duration(zero=True), "how long after the start", "距开始时间多久", True),
        Key(
            "pay",
            Raw("pay"),
            "the fields in which the instruction differs from `test_base`",
            "支付指令中与 `test_base` 不同的字段",
        ),
        Key(
            "expect",
            Raw("expect"),
            "the verdict, or the verdict with the ids of all live hits",
            "预期判定，或判定加全部正式生效的命中规则编号",
        ),
        Key(
            "anomaly",
            GIVEN,
            "what the anomaly model says of this instruction; without it, the p-value is missing",
            "异常分模型对本笔支付指令给出的结果；不写则 p 值缺失",
        ),
        Key(
            "dispose",
            Word("dispose", get_args(Disposed)),
            "what a person decides of an earlier step's instruction, instead of `pay`",
            "人工对前面某一步骤的支付指令作出的处置（放行、退回、认定），与 `pay` 二选一",
        ),
        Key(
            "of",
            Whole(1, limits.STEPS.most),
            "the number of the step that paid it, from 1",
            "所处置的支付指令在第几步骤（从 1 起）",
        ),
    ),
)
PAYS = ("pay", "expect")
DISPOSES = ("dispose", "of")
TEST = Record(
    "test",
    (
        Key("name", Line(), "what it shows, as a sentence", "用一句话说明测试什么", True),
        Key("start", Moment(), "the time that steps are offsets from", "各步骤时间的起点", True),
        Key(
            "steps",
            ListOf(Raw("step"), 1, limits.STEPS),
            "instructions and dispositions, in the order in which they arrive",
            "按到达顺序排列的支付指令与人工处置",
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
        steps = _read_steps(read.get("steps", ()), ids, report)
        whole = tuple(step for step in steps if step is not None)
        if len(read) == len(TEST.keys) and len(whole) == len(steps):
            tests.append(RuleTest(read["name"], read["start"], whole, node.span))
    return tuple(tests)


def _read_steps(nodes: Sequence[Node], ids: Sequence[str] | None, report: Report) -> list[Step | Disposal | None]:
    paid: dict[int, Step | None] = {}  # steps that pay, by number
    steps: list[Step | Disposal | None] = []
    for number, node in enumerate(nodes, 1):
        if isinstance(node, MappingNode) and _disposes(node):
            steps.append(_read_disposal(node, number, len(nodes), paid, report))
        else:
            paid[number] = _read_payment(node, ids, report)
            steps.append(paid[number])
    return steps


def _disposes(node: MappingNode) -> bool:
    """Whether a step is meant to dispose, and not to pay."""
    names = {key.text for key, _ in node.entries}
    return "dispose" in names or ("of" in names and names.isdisjoint(PAYS))


def _read_disposal(
    node: MappingNode, number: int, steps: int, paid: Mapping[int, Step | None], report: Report
) -> Disposal | None:
    """A step that disposes, number so-and-so of so many; `paid`: the steps before it that pay, `None` where one could
    not be read.
    """
    before = len(report.diagnostics)
    read = STEP.read(node, report) or {}
    STEP.require(node, DISPOSES, report)
    beside = [key for key, _ in node.entries if key.text in (*PAYS, "anomaly")]
    if beside:
        found = " and ".join(f"`{key.text}`" for key in beside)
        report.error(beside[0].span, "TW109", f"{found} beside `dispose`", "a step pays or disposes: make two of it")
    of, of_node, at_node = read.get("of"), node.get("of"), node.get("at")
    if of is not None and of_node is not None:
        if of not in paid:
            hint = f"of an earlier step that pays: {any_of(map(str, paid))}" if paid else "first comes a step that pays"
            report.error(of_node.span, "TW108", _why_not(of, number, steps), hint)
        elif (step := paid[of]) is not None and at_node is not None and read.get("at", step.at_us) < step.at_us:
            report.error(
                at_node.span, "TW108", f"this is before step {of} is paid", f"expected the `at` of step {of}, or later"
            )
    if of is None or len(report.diagnostics) > before:
        return None
    return Disposal(read["at"], read["dispose"], of, node.span)


def _why_not(of: int, number: int, steps: int) -> str:
    """Why step `of` is none that step `number` can dispose of."""
    if of > steps:
        return f"the test has no step {of}"
    if of == number:
        return f"step {of} is this one"
    return f"step {of} comes after this one, step {number}" if of > number else f"step {of} pays nothing"


def _read_payment(node: Node, ids: Sequence[str] | None, report: Report) -> Step | None:
    read = STEP.read(node, report) or {}
    if isinstance(node, MappingNode):
        STEP.require(node, PAYS, report)
        for key, _ in node.entries:
            if key.text == "of":
                hint = f"add `dispose:` ({', '.join(get_args(Disposed))}), or leave it out"
                report.error(key.span, "TW109", "`of` without `dispose`", hint)
    pay = _read_pay(read["pay"], report) if "pay" in read else None
    expect = _read_expect(read["expect"], ids, report) if "expect" in read else None
    if pay is None or expect is None or "at" not in read:
        return None
    return Step(read["at"], pay, expect, read.get("anomaly", {}).get("p_value"), node.span)


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
