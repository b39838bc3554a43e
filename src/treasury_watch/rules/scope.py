"""What the names in a rule stand for: fields of the contract, its params and features, lists, tables and columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from treasury_watch.domain.payment import FIELDS, field_of
from treasury_watch.rules import limits, scalars
from treasury_watch.rules.diagnostics import did_you_mean
from treasury_watch.rules.schema import Calendar, Feature, FeatureRef, NamedList, Param, Span, Table
from treasury_watch.rules.source import Node, Report, ScalarNode, SequenceNode

MOST_PARTS = limits.FEATURE_STEPS.most  # operands of a feature and of those that it builds on


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference data of a rule set. `whole`: all of it could be read, so that an unknown name is the author's."""

    lists: Mapping[str, NamedList] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    whole: bool = True


class Scope:
    """The names that one rule can use. Features are read when first named, so that their order does not matter."""

    def __init__(self, reference: Reference, report: Report, params: Mapping[str, Param]) -> None:
        self.reference = reference
        self.report = report
        self.params = params
        self.features: dict[str, Feature | None] = {}  # None: read, and wrong
        self._unread: dict[str, tuple[ScalarNode, Node]] = {}
        self._reading: list[str] = []
        self._sizes: dict[str, int] = {}
        self._depths: dict[str, int] = {}
        self._read_feature: Callable[[Node, Scope], Feature | None] = lambda node, scope: None
        self.money_params: set[str] = set()  # params that were used as amounts
        self.broken: set[str] = set()  # names of what could not be read: its author knows already

    def read_features(
        self, nodes: Mapping[str, tuple[ScalarNode, Node]], read: Callable[[Node, Scope], Feature | None]
    ) -> None:
        """Reads all features of a rule, each once, whatever names whatever."""
        self._unread = dict(nodes)
        self._read_feature = read
        for name, (key, _) in nodes.items():
            self.feature(name, key.span)

    def feature(self, name: str, span: Span) -> FeatureRef | None:
        """The feature of that name, or `None` after telling the author (now, or where it is defined) what is wrong."""
        if name in self._reading:
            chain = " → ".join(f"${each}" for each in [*self._reading[self._reading.index(name) :], name])
            self.report.error(
                span, "TW206", f"features need each other: {chain}", "one of them must do without the next"
            )
            return None
        if name in self._unread:
            _, node = self._unread.pop(name)
            self._reading.append(name)
            found = self._read_feature(node, self)
            self._reading.pop()
            self.features[name] = found if found is None or self._fits(name, found, node.span) else None
        found = self.features.get(name)
        return None if found is None else FeatureRef(name, found, span)

    def _fits(self, name: str, feature: Feature, span: Span) -> bool:
        """Whether a feature, with what it builds on spelled out each time, is small enough to be reviewed, and run."""
        self._sizes[name] = 1 + sum(
            self._sizes.get(part.name, 1) if isinstance(part, FeatureRef) else 1 for part in feature.parts()
        )
        depths = [self._depths.get(part.name, 1) for part in feature.parts() if isinstance(part, FeatureRef)]
        self._depths[name] = 1 + max(depths, default=0)
        if self._depths[name] > limits.FEATURE_DEPTH.most:
            message = f"`{name}` stands on more than {limits.FEATURE_DEPTH.most - 1} features, one on the other"
            self.report.error(span, "TW112", message, "calculate with fewer steps")
            return False
        if self._sizes[name] <= MOST_PARTS:
            return True
        message = f"`{name}` stands for more than {MOST_PARTS} steps, with what it builds on"
        self.report.error(span, "TW112", message, "a feature that is used twice counts twice: build on fewer")
        return False

    def knows_feature(self, name: str) -> bool:
        return name in self.features or name in self._unread or name in self._reading or name in self.broken

    def known_names(self) -> list[str]:
        return [*self.params, *self.features, *self._unread, *self._reading]


def field_name(node: Node, report: Report) -> str | None:
    """The name of a field that instructions have."""
    found = scalars.scalar(node, report, "the name of a field")
    if found is None:
        return None
    if field_of(found.text) is None:
        hint = did_you_mean(found.text, FIELDS, otherwise="local fields are written `attributes.name`")
        report.error(found.span, "TW201", f"no instruction has the field `{found.text}`", hint)
        return None
    return found.text


def field_names(node: Node, report: Report, *, at_least: int = 0) -> tuple[str, ...] | None:
    """A list of different fields; one alone may stand without brackets."""
    nodes = node.items if isinstance(node, SequenceNode) else (node,)
    if not report.within(nodes, limits.BY):
        return None
    names: list[str] = []
    for each in nodes:
        name = field_name(each, report)
        if name is None:
            return None
        if name in names:
            report.error(each.span, "TW110", f"`{name}` stands twice", "name each field once")
            return None
        names.append(name)
    if len(names) < at_least:
        report.error(node.span, "TW104", "an empty list", "expected the name of a field")
        return None
    return tuple(names)


def list_name(node: Node, scope: Scope) -> str | None:
    """The name of a list of the rule set."""
    found = scalars.scalar(node, scope.report, "the name of a list")
    if found is None:
        return None
    if found.text not in scope.reference.lists:
        if scope.reference.whole:
            hint = did_you_mean(found.text, scope.reference.lists)
            scope.report.error(found.span, "TW203", f"there is no list `{found.text}`", hint)
        return None
    return found.text
