"""The anomaly model (异常分模型) of a rule set: which detector judges, and which one is only recorded beside it.

The table of detectors says their parameters as river has them: what is a number here, with the range that one worker
can bear. `tests/rules/test_model.py` holds it against river, which this module does not import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from treasury_watch.rules import scalars
from treasury_watch.rules.diagnostics import did_you_mean
from treasury_watch.rules.schema import ModelBlock, Parameters, Shadow
from treasury_watch.rules.shapes import JsonSchema, Key, Raw, Record, Share, Whole
from treasury_watch.rules.source import MappingNode, Node, Report, ScalarNode


@dataclass(frozen=True, slots=True)
class Real:
    """A number above zero, read as the float that is nearest to it."""

    high: int

    def read(self, node: Node, report: Report) -> float | None:
        value = scalars.number(node, report)
        if value is not None and not 0 < value <= self.high:
            report.error(node.span, "TW108", f"`{value}`", f"expected a number above 0, at most {self.high:,}")
            return None
        return None if value is None else float(value)

    def schema(self) -> JsonSchema:
        return {"type": "number", "exclusiveMinimum": 0, "maximum": self.high}


_SEED = Key("seed", Whole(0, 2**31 - 1), "where its random numbers start; without it, 1", "随机数种子；不写则为 1")


def _parameters(detector: str, *keys: Key) -> tuple[str, Record]:
    return detector, Record(f"set of parameters of {detector}", keys)


JUDGES = ("TailSurprise",)
DETECTORS: Mapping[str, Record] = dict(
    (
        _parameters("TailSurprise"),
        _parameters(
            "HalfSpaceTrees",
            Key("n_trees", Whole(1, 200), "how many trees", "树的棵数"),
            Key("height", Whole(1, 15), "the height of each tree, of 2^(height + 1) nodes", "每棵树的高度"),
            Key("window_size", Whole(1, 100_000), "payments between two updates", "每次更新间隔的支付指令笔数"),
            _SEED,
        ),
        _parameters(
            "LODA",
            Key("n_bins", Whole(2, 1_000), "the most bins of each histogram", "每个直方图的最多分箱数"),
            Key("n_random_cuts", Whole(1, 1_000), "how many histograms", "直方图（随机投影）个数"),
            _SEED,
        ),
        _parameters("LocalOutlierFactor", Key("n_neighbors", Whole(1, 1_000), "how many neighbours", "近邻个数")),
        _parameters(
            "OneClassSVM",
            Key("nu", Real(1), "about which share is odd", "异常所占比例的估计"),
            Key("intercept_lr", Real(1), "how fast the intercept is learned", "截距的学习率"),
            Key("clip_gradient", Real(10**12), "the largest gradient", "梯度上限"),
        ),
    )
)
SHADOWS = tuple(name for name in DETECTORS if name not in JUDGES)


@dataclass(frozen=True, slots=True)
class Detector:
    """The name of a detector. `role`: what `allowed` ones do, as in "does not judge"."""

    what: str  # the key
    allowed: tuple[str, ...]
    role: str
    instead: str  # the hint for a detector that is known and not allowed

    def read(self, node: Node, report: Report) -> str | None:
        found = scalars.scalar(node, report, "the name of a detector")
        if found is None or found.text in self.allowed:
            return None if found is None else found.text
        if found.text in DETECTORS:
            report.error(found.span, "TW103", f"`{found.text}` does not {self.role}", self.instead)
        else:
            report.error(
                found.span, "TW103", f"`{self.what}` is `{found.text}`", did_you_mean(found.text, self.allowed)
            )
        return None

    def schema(self) -> JsonSchema:
        return {"enum": list(self.allowed)}


_PARAMETERS = ("its parameters; without them, its usual ones", "参数；不写则用其默认值")
SHADOW = Record(
    "shadow of a model",
    (
        Key(
            "detector",
            Detector("detector", SHADOWS, "run in shadow", "it judges already: leave `shadow` out, or name another"),
            "the detector that is only recorded",
            "仅作记录的检测器",
            True,
        ),
        Key("parameters", Raw("detector_parameters"), *_PARAMETERS),
    ),
)
MODEL_FILE = Record(
    "model",
    (
        Key(
            "model",
            Detector("model", JUDGES, "judge", "it may run beside `model: TailSurprise`, as `shadow: {detector: …}`"),
            "the detector that judges",
            "参与判定的检测器",
            True,
        ),
        Key(
            "target",
            Share(),
            "the share of payments that are to alert, above 0%, at most 50%; without it, 1%",
            "预警支付指令的目标比例，大于 0%，不超过 50%；不写则为 1%",
        ),
        Key("parameters", Raw("judge_parameters"), *_PARAMETERS),
        Key("shadow", SHADOW, "a second detector, which is only recorded", "另一个检测器，只作记录，不影响判定"),
    ),
)
_TARGET = Decimal("0.01")


def read_model(root: MappingNode, report: Report) -> ModelBlock | None:
    """The model of a rule set, or `None` after telling its author what is wrong."""
    before = len(report.diagnostics)
    read = MODEL_FILE.read(root, report) or {}
    target, target_node = Fraction(read.get("target", _TARGET)), root.get("target")
    if not 0 < target <= Fraction(1, 2) and isinstance(target_node, ScalarNode):
        message = f"`target` is `{target_node.text}`"
        report.error(target_node.span, "TW108", message, "expected more than 0%, at most 50%, as in 1%")
    parameters = _read_parameters(read.get("model"), read, root, report)
    shadow, shadow_node = None, root.get("shadow")
    if "shadow" in read and isinstance(shadow_node, MappingNode):
        detector = read["shadow"].get("detector")
        own = _read_parameters(detector, read["shadow"], shadow_node, report)
        shadow = Shadow(str(detector), own)
    if len(report.diagnostics) > before:
        return None
    return ModelBlock(read["model"], target, parameters, shadow, root.span)


def _read_parameters(detector: str | None, read: Mapping[str, Any], node: MappingNode, report: Report) -> Parameters:
    """The parameters that `node` gives the detector, in the order of their names; none of a detector that is none."""
    if detector is None:
        return ()
    record = DETECTORS[detector]
    given = record.read(read.get("parameters", MappingNode((), node.span)), report) or {}
    if _SEED in record.keys:
        given = {"seed": 1} | given
    return tuple(sorted(given.items()))
