"""The rule set as typed, frozen objects: what rule files mean once they are read. Source: rule guide.

Equality is by meaning: spans do not take part, so two features that say the same are equal and are computed once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from treasury_watch.domain.payment import Kind
from treasury_watch.domain.verdict import Action, Level, Mode, Text

if TYPE_CHECKING:
    from treasury_watch.rules.evaluation import Coder, Expression, Judging
    from treasury_watch.rules.types import Type

Scalar = str | int | Decimal | bool | date  # numbers of YAML are exact: int, or Decimal as the source text has it
Population = Literal["executed", "attempted"]
OnMissing = Literal["pass", "warn", "intercept"]
Disposed = Literal["release", "return", "confirm"]
Parameters = tuple[tuple[str, int | float | str | bool], ...]  # of a detector, by name, in the order of names


@dataclass(frozen=True, slots=True)
class Span:
    """Where something stands: 1-based line and column of its first character, in characters, and how long it is."""

    file: str
    line: int
    column: int
    length: int = 1


# --- operands: what stands on the right-hand side of an operator, in `by`, in arithmetic ---


@dataclass(frozen=True, slots=True)
class FieldRef:
    """`{field: amount}`; `attributes.x` for a local field."""

    name: str
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Dated:
    """A value from a local day on (`None`: always)."""

    since: date | None
    value: Scalar
    truth: bool = dataclass_field(init=False, repr=False)  # whether the value is one: 1 == True

    def __post_init__(self) -> None:
        object.__setattr__(self, "truth", isinstance(self.value, bool))


@dataclass(frozen=True, slots=True)
class Param:
    """A value that depends on the local day of the event time and, with `segment_by`, on an enumerated field.

    `segments` maps a value of the segment field to its dated values, oldest first; the key `None` is the default
    segment.
    """

    name: str
    segments: Mapping[str | None, tuple[Dated, ...]]
    segment_by: str | None = None
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)

    def __hash__(self) -> int:
        return hash((self.name, self.segment_by, tuple(sorted(self.segments, key=str))))


class Feature(ABC):
    """A value that a rule computes of an instruction and of what came before it: each form is one of `rules.forms`.

    A form is a frozen dataclass whose equality is that of what it computes.
    """

    __slots__ = ()

    @abstractmethod
    def type(self, tables: Mapping[str, Table]) -> Type:
        """What its value is. Its fields, tables and columns must exist; raises TypeError if it mixes sorts."""

    def parts(self) -> Iterator[Condition | Operand]:
        """The conditions and operands that it is made of."""
        return iter(())

    @abstractmethod
    def code(self, coder: Coder) -> Expression:
        """Generated code that gives its value."""

    @abstractmethod
    def value(self, judged: Judging) -> tuple[Any, Kind]:
        """Its run-time value (`None`: missing) and kind, by the plain reading of the rule guide."""

    def absent(self, judged: Judging) -> Iterator[str]:
        """The names of what is missing, where its value is."""
        return iter(())


@dataclass(frozen=True, slots=True)
class FeatureRef:
    """A named feature, resolved: equality is that of what it computes, not of its name."""

    name: str = dataclass_field(compare=False)
    feature: Feature
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class WordList:
    """The right-hand side of `in_list` and `contains_any: {list: …, except: […]}`: a named list and the excepted
    words.
    """

    name: str
    excepted: tuple[str, ...] = ()
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)


Operand = Scalar | FieldRef | Param | FeatureRef | Feature

# --- conditions ---


@dataclass(frozen=True, slots=True)
class All:
    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any_:
    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class None_:
    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    item: Condition


@dataclass(frozen=True, slots=True)
class Leaf:
    """One subject, one operator of `rules.operators`, and its right-hand side as that operator reads it."""

    subject: FieldRef | FeatureRef
    operator: str
    operand: Any
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)
    truths: tuple[bool, ...] = dataclass_field(init=False, repr=False)  # which literals are truth values: 1 == True

    def __post_init__(self) -> None:
        literals = self.operand if isinstance(self.operand, tuple) else (self.operand,)
        object.__setattr__(self, "truths", tuple(isinstance(each, bool) for each in literals))


Condition = All | Any_ | None_ | Not | Leaf

# --- rules ---


@dataclass(frozen=True, slots=True)
class Exception_:
    """A hit that is withheld where `match` is true, up to and including the local day `expires`."""

    match: Condition
    owner: str
    basis: str
    expires: date
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    revision: int
    title: Text
    mode: Mode
    action: Action
    level: Level
    evidence_required: bool
    risk_point: str | None
    basis: Text | None
    effective_from: date | None
    effective_until: date | None  # exclusive
    on_missing: OnMissing
    params: Mapping[str, Param]
    features: Mapping[str, Feature]
    when: Condition
    exceptions: tuple[Exception_, ...]
    reason: Text  # templates: {name} of a field, feature or param
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)
    max_share: Decimal | None = dataclass_field(default=None, compare=False)  # of payments, expected of a back-test


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a step expects: a verdict, the ids of exactly the live hits (`None`: not said), and the texts of reasons.

    `verdict: record` expects the verdict pass with at least one record hit.
    """

    verdict: str
    rules: tuple[str, ...] | None = None
    reason_zh: str | None = None
    reason_en: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A step that pays."""

    at_us: int  # microseconds after the start of the test
    pay: Mapping[str, Any]  # field → value over `test_base`; `None` removes the field
    expect: Expectation
    p_value: Fraction | None = None  # what `{anomaly: p_value}` is in this step, in (0, 1]; `None`: missing
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Disposal:
    """A step in which a person disposes of the instruction of an earlier step, `of`, which pays; counted from 1."""

    at_us: int  # microseconds after the start of the test
    dispose: Disposed
    of: int
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RuleTest:
    name: str
    start: str  # RFC 3339
    steps: tuple[Step | Disposal, ...]
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)

    @property
    def payments(self) -> tuple[Step, ...]:
        """The steps that pay."""
        return tuple(step for step in self.steps if isinstance(step, Step))


@dataclass(frozen=True, slots=True)
class NamedList:
    """A list of reference data: entry → the last local day on which it counts (`None`: no end)."""

    name: str
    owner: str
    basis: str
    entries: Mapping[str, date | None]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of reference data. `rows` maps the tuple of key cells (in normal form where the column says so) to the
    cells by column.

    `types` gives each column's type: text, account, name, money (Decimal yuan), integer, number (Decimal), date,
    boolean. An empty cell is absent. A table with `dated` has rows that count from a day on: key → rows, oldest
    first, each with its first day.
    """

    name: str
    key: tuple[str, ...]
    types: Mapping[str, str]
    rows: Mapping[tuple[str, ...], tuple[tuple[date | None, Mapping[str, Scalar]], ...]]


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """The days of one year that are not as their weekday says, and the notice that says so."""

    basis: str
    holidays: frozenset[int]  # ordinals of local days off
    made_up: frozenset[int]  # ordinals of local days at weekends on which offices are open


@dataclass(frozen=True, slots=True)
class Calendar:
    """Working days (工作日): Monday to Friday, but for what the notice of each year says."""

    name: str
    owner: str
    years: Mapping[int, CalendarYear]

    def works(self, day: date) -> bool | None:
        """Whether offices are open on that day; `None` in a year that the calendar does not have."""
        year = self.years.get(day.year)
        if year is None:
            return None
        ordinal = day.toordinal()
        return ordinal in year.made_up or (day.weekday() < 5 and ordinal not in year.holidays)


@dataclass(frozen=True, slots=True)
class Shadow:
    """A detector that is recorded beside the one that judges, and has no effect."""

    detector: str
    parameters: Parameters = ()


@dataclass(frozen=True, slots=True)
class ModelBlock:
    """The anomaly model (异常分模型) of a rule set: the detector that judges, and the share of payments that are to
    alert, in (0, 1/2].
    """

    detector: str
    target: Fraction
    parameters: Parameters = ()
    shadow: Shadow | None = None
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RuleFile:
    """The rules and tests of one file. Inline tests run the rules of their own file."""

    path: str
    name: str  # `ruleset:`
    owner: str
    rules: tuple[Rule, ...]
    tests: tuple[RuleTest, ...]
    test_base: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Everything that verdicts depend on besides instructions: `hash` covers the meaning of all of it."""

    timezone: str
    partition_by: str
    files: tuple[RuleFile, ...]
    lists: Mapping[str, NamedList] = dataclass_field(default_factory=dict)
    tables: Mapping[str, Table] = dataclass_field(default_factory=dict)
    calendars: Mapping[str, Calendar] = dataclass_field(default_factory=dict)
    hash: str = "sha256:" + "0" * 64
    reference: str = "sha256:" + "0" * 64
    model: ModelBlock | None = None

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(rule for file in self.files for rule in file.rules)

    @property
    def running(self) -> tuple[Rule, ...]:
        """The rules that are judged: live and shadow. Drafts are only checked; retired rules are only kept."""
        return tuple(rule for rule in self.rules if rule.mode in ("live", "shadow"))
