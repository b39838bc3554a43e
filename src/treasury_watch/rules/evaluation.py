"""Evaluation (求值): the two ways in which a rule is evaluated, as operators and forms of features see them.

Compiled rules decide; interpreted ones say why. Each operator and each form of feature says itself in both, side by
side, and `tests/properties/test_conditions.py` holds the two to the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

from treasury_watch.domain.calendar import LocalDay
from treasury_watch.domain.payment import Kind
from treasury_watch.rules.schema import Condition, Operand, Param, RuleSet

if TYPE_CHECKING:
    from treasury_watch.rules.forms.aggregate import Aggregate

Truth = bool | None  # None: missing


@dataclass(frozen=True, slots=True)
class Expression:
    """A piece of generated code, whether its value may be `None` (missing), and what kind of value it is."""

    code: str
    may_miss: bool
    kind: Kind


@dataclass(frozen=True, slots=True)
class CutCode:
    """Generated code for what a feature is cut from: the entries under the judged instruction's key.

    `entries` is `None` at run time if there are none; `part` are those in the window; `counted` asks whether the
    instruction itself belongs to them, `own` is its value of the field. `absent` are tests of which one is true where
    the feature is missing.
    """

    entries: str
    part: str
    counted: str
    own: str
    symbolic: bool
    absent: tuple[str, ...]


class Coder(Protocol):
    """What generates code. The names `p` (instruction), `t` (event time, microseconds), `day` and `scope` are there.

    `scope.p_value` is the anomaly model's p-value of the instruction: a Fraction or an int, or None if it is missing.
    """

    @property
    def ruleset(self) -> RuleSet: ...

    @property
    def remembers(self) -> bool:
        """Whether the answer to what is asked here is remembered for each text in any case."""
        ...

    def operand(self, operand: Any, context: Any) -> Expression:
        """Code of an operand. `context`: the kind it will be compared with or, for a subject, the other side."""
        ...

    def field(self, name: str, context: Any) -> Expression:
        """Code of a field of the instruction in the form in which it is compared."""
        ...

    def guarded(self, value: Expression, strict: bool, guards: list[str]) -> str:
        """A name or code for a value that the tests after `guards` may take as present."""
        ...

    def literal(self, value: Any) -> str:
        """Code of a run-time value."""
        ...

    def constant(self, key: tuple[Any, ...], make: Callable[[], Any]) -> str:
        """The name of an object made once for the rule set; `key` tells it from all others."""
        ...

    def once(self, key: Any, prefix: str, code: Callable[[], str]) -> str:
        """Code for a value that is computed when it is first asked for, and kept."""
        ...

    def cut(self, aggregate: Aggregate) -> CutCode:
        """Code for the entries that an aggregate is computed of."""
        ...


class Judging(Protocol):
    """One instruction at the moment it is judged, for the interpreter."""

    @property
    def ruleset(self) -> RuleSet: ...

    @property
    def us(self) -> int:
        """The event time in microseconds since the epoch."""
        ...

    @property
    def day(self) -> LocalDay: ...

    @property
    def p_value(self) -> Fraction | int | None:
        """The anomaly model's p-value of the instruction, exact, in (0, 1]; `None`: missing."""
        ...

    def truth(self, condition: Condition) -> Truth: ...

    def value(self, operand: Operand, context: Any = None) -> tuple[Any, Kind]:
        """An operand's run-time value (`None`: missing) and its kind, as compared with `context`."""
        ...

    def param(self, param: Param) -> Any: ...

    def field(self, name: str, context: Any = None) -> tuple[Any, Kind]: ...

    def earlier(self, aggregate: Aggregate) -> Sequence[Any] | None:
        """The values of the earlier instructions that an aggregate is computed of (for a count, anything of each);
        `None` if the instruction lacks a key, or the history does not reach back far enough.
        """
        ...

    def own(self, aggregate: Aggregate) -> Any:
        """The instruction's own value of the aggregate's field, `True` for a count; `None` if it is not counted."""
        ...

    def cell(self, table: str, column: str, key: tuple[Any, ...]) -> Any:
        """The cell of a table on the local day; `None` if it is missing."""
        ...

    def absent(self, operand: Any, context: Any) -> Iterator[str]:
        """The names that explain why one operand is missing: nothing if it is there."""
        ...
