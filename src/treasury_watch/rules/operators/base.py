"""What every operator of conditions says of itself: what it takes, how it is read, and what it means, in two ways."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from treasury_watch.domain.payment import Kind
from treasury_watch.rules.evaluation import Coder, Judging, Truth
from treasury_watch.rules.schema import Condition, Leaf
from treasury_watch.rules.scope import Scope
from treasury_watch.rules.shapes import JsonSchema
from treasury_watch.rules.source import Node
from treasury_watch.rules.types import Sort, Type

SCALAR: JsonSchema = {"type": ["string", "number", "boolean"]}
REFERENCE: JsonSchema = {"type": "string", "pattern": r"^\$[a-z][a-z0-9_]*$"}
OPERAND: JsonSchema = {"anyOf": [SCALAR, {"$ref": "#/$defs/field_operand"}, {"$ref": "#/$defs/lookup"}]}
ANY = frozenset(Sort)


@dataclass(frozen=True, slots=True)
class Operator(ABC):
    """`sorts`: what it applies to; `local`: what it reads a local field as, if its right-hand side does not say.

    `free_text`: it applies only to texts that are not one of a closed set of words.
    """

    name: str
    doc: str
    zh: str  # the same in Chinese
    sorts: frozenset[Sort] = ANY
    local: Sort = Sort.LOCAL
    free_text: bool = False

    sees_missing: ClassVar[bool] = False  # others are missing where their subject is, and are never asked then
    own_subject: ClassVar[str | None] = None  # the field that it is about, where a rule does not name one

    def applies(self, subject: Type) -> bool:
        return subject.sort in self.sorts and not (self.free_text and subject.values)

    @abstractmethod
    def schema(self) -> JsonSchema:
        """Its right-hand side as JSON Schema."""

    @abstractmethod
    def read(self, node: Node, wanted: Type, scope: Scope, in_where: bool) -> Any | None:
        """Its right-hand side, or `None` after telling the author what is wrong with it.

        `wanted`: the type that the subject is compared as. `in_where`: features are not allowed.
        """

    def spelled_out(self, leaf: Leaf) -> Condition:
        """The leaf itself or, where one of several right-hand sides may be missing, the simpler leaves that it stands
        for: so that a choice that is there decides even if another is missing."""
        return leaf

    def context(self, operand: Any) -> Any:
        """What a local field that is its subject is read as: what it is compared with."""
        return operand

    @abstractmethod
    def code(self, coder: Coder, x: str, kind: Kind, operand: Any, strict: bool, guards: list[str]) -> str:
        """Generated code of the test, where `x` is the subject, present unless the operator sees missing ones.

        `strict`: whether it asks for true, or for true or missing. What must be present besides is added to `guards`.
        """

    @abstractmethod
    def holds(self, judged: Judging, left: Any, kind: Kind, operand: Any) -> Truth:
        """The truth of the test for a subject of that value, by the plain reading of the rule guide."""

    def absent(self, judged: Judging, operand: Any) -> Iterator[str]:
        """What is missing besides fields and features, where the test is."""
        return iter(())
