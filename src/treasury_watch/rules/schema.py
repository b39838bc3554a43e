"""The rule set as typed, frozen objects: what rule files mean once they are read. Source: rule guide.

Equality is by meaning: spans do not take part, so two features that say the same are equal and are computed once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from treasury_watch.domain.verdict import Action, Level, Mode, Text

Scalar = str | int | Decimal | bool | date  # numbers of YAML are exact: int, or Decimal as the source text has it
Operator = Literal[
    "eq", "ne", "gt", "gte", "lt", "lte", "between", "in", "not_in", "in_list", "contains", "contains_any",
    "starts_with", "ends_with", "matches", "multiple_of", "length", "same_as", "is_missing",
]  # fmt: skip
AggregateKind = Literal["sum", "count", "min", "max", "avg", "distinct"]
Period = Literal["day", "week", "month", "quarter", "fiscal_year"]
Population = Literal["executed", "attempted"]
OnMissing = Literal["pass", "warn", "intercept"]
ArithmeticKind = Literal["add", "sub", "mul", "div"]


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


@dataclass(frozen=True, slots=True)
class Lookup:
    """`{lookup: table, key: field(s), column: c}`: a value of reference data; a missing row or cell is missing."""

    table: str
    key: tuple[str, ...]  # field names, in the order of the table's key columns
    column: str
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`{sum: amount, by: […], where: …, window: 72h | period: day, population: …}` over earlier instructions and this
    one.

    Exactly one of `window_us` (microseconds, event time in (t − w, t]) and `period` is set.
    """

    kind: AggregateKind
    field: str
    by: tuple[str, ...]
    where: Condition | None = None
    window_us: int | None = None
    period: Period | None = None
    population: Population = "executed"
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`{div: [$a, $b]}`: exact; division by zero is missing. `add` and `mul` take two or more, `sub` and `div` two."""

    kind: ArithmeticKind
    operands: tuple[Operand, ...]
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)


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


Feature = Aggregate | Lookup | Arithmetic
Operand = Scalar | FieldRef | Param | FeatureRef | Lookup

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
    """One subject, one operator, and its right-hand side.

    `operand` by operator: `between`, `in`, `not_in` and `contains_any` with literal words: a tuple of operands;
    `in_list`, and `contains_any` with a list: a WordList; `is_missing`: a bool; `length`: a tuple of pairs of operator
    and operand, as in `length: {gte: 2, lt: 10}`; `same_as`: the FieldRef or FeatureRef it equals; others: one operand.
    """

    subject: FieldRef | FeatureRef
    operator: Operator
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
    at_us: int  # microseconds after the start of the test
    pay: Mapping[str, Any]  # field → value over `test_base`; `None` removes the field
    expect: Expectation
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RuleTest:
    name: str
    start: str  # RFC 3339
    steps: tuple[Step, ...]
    span: Span | None = dataclass_field(default=None, compare=False, repr=False)


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
    hash: str = "sha256:" + "0" * 64
    reference: str = "sha256:" + "0" * 64

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(rule for file in self.files for rule in file.rules)
