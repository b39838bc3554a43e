"""Risk points (风险点): what can go wrong at a step of centralised payment, what answers it, and who.

They are no part of the rule set's hash: verdicts carry their ids alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from types import MappingProxyType

from treasury_watch.domain.verdict import Text
from treasury_watch.rules.schema import Span
from treasury_watch.rules.shapes import Bilingual, Key, Line, ListOf, Raw, Record, Word
from treasury_watch.rules.source import MappingNode, Report

STEPS: Mapping[str, Text] = MappingProxyType(
    {
        "allotment": Text("预算指标", "Budget allotment"),
        "application": Text("支付申请", "Payment application"),
        "review": Text("支付审核", "Review"),
        "payment": Text("资金支付", "Payment"),
        "reconciliation": Text("对账核查", "Reconciliation"),
        "card": Text("公务卡", "Official card"),
        "cash": Text("现金", "Cash"),
        "correction": Text("更正退款", "Correction and refund"),
    }
)

RISK_POINT = Record(
    "risk point",
    (
        Key("id", Line(), "its number, as rules give it", "风险点编号，供规则引用", True),
        Key(
            "step",
            Word("step", tuple(STEPS)),
            "the step of centralised payment at which it goes wrong",
            "风险所在的集中支付环节",
        ),
        Key("title", Bilingual(), "what can go wrong", "可能出现的问题", True),
        Key("measure", Bilingual(), "what answers it", "防控措施", True),
        Key("basis", Bilingual(), "the regulation that asks for the measure", "要求采取该措施的制度依据"),
        Key("answers", Bilingual(), "the role that takes the measure", "落实措施的岗位"),
    ),
)
RISK_POINTS_FILE = Record(
    "list of risk points", (Key("risk_points", ListOf(Raw("risk_point")), "the risk points", "风险点", True),)
)


@dataclass(frozen=True, slots=True)
class RiskPoint:
    id: str
    title: Text
    measure: Text
    step: str | None = None  # one of STEPS
    basis: Text | None = None
    answers: Text | None = None
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)


def read_risk_points(root: MappingNode, report: Report) -> tuple[RiskPoint, ...]:
    """The risk points that could be read, in the order of the file."""
    read = RISK_POINTS_FILE.read(root, report) or {}
    points: dict[str, RiskPoint] = {}
    for node in read.get("risk_points", ()):
        before = len(report.diagnostics)
        own = RISK_POINT.read(node, report)
        if own is None or not isinstance(node, MappingNode) or len(report.diagnostics) > before:
            continue
        span = (node.get("id") or node).span
        if own["id"] in points:
            first = points[own["id"]].span
            hint = f"the first is in line {first.line}" if first else "number it anew"
            report.error(span, "TW110", f"a second risk point `{own['id']}`", hint)
        else:
            points[own["id"]] = RiskPoint(**own, span=span)
    return tuple(points.values())
