"""The verdict (判定): what the machine answers to one instruction, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct, UnsetType

Verdict = Literal["pass", "warn", "intercept", "prohibit"]
Action = Literal["record", "warn", "intercept", "prohibit"]
Mode = Literal["draft", "shadow", "live", "retired"]
HitMode = Literal["live", "shadow", "warming"]
Level = Literal["grey", "red", "orange", "yellow", "blue"]

SEVERITY: dict[str, int] = {"record": 0, "pass": 0, "warn": 1, "intercept": 2, "prohibit": 3}
VERDICTS: tuple[Verdict, ...] = ("pass", "warn", "intercept", "prohibit")
VERDICT_LABELS: dict[str, str] = {"pass": "放行", "warn": "预警", "intercept": "拦截", "prohibit": "禁止"}

Reason = Literal[
    "malformed_json",
    "schema",
    "future_event_time",
    "too_late",
    "conflicting_duplicate",
    "wrong_key",
    "too_large",
    "unknown_instruction",
]
REASONS: tuple[Reason, ...] = (
    "malformed_json",
    "schema",
    "future_event_time",
    "too_late",
    "conflicting_duplicate",
    "wrong_key",
    "too_large",
)
DISPOSITION_REASONS: tuple[Reason, ...] = ("malformed_json", "schema", "wrong_key", "too_large", "unknown_instruction")


class Text(Struct, frozen=True, gc=False):
    """One sentence in both languages."""

    zh: str
    en: str


class Excepted(Struct, frozen=True, gc=False):
    """The exception that withheld a hit: who answers for it, on what basis, until which local day (inclusive)."""

    owner: str
    basis: str
    expires: str


class Hit(Struct, frozen=True, gc=False, omit_defaults=True):
    """One rule that matched (命中). `evidence` holds the values the reason speaks of, rendered and masked."""

    rule: str
    revision: int
    action: Action
    mode: HitMode
    level: Level
    risk_point: str | None
    reason: Text
    evidence: dict[str, str]
    missing: tuple[str, ...] = ()
    excepted: Excepted | None = None


class Driver(Struct, frozen=True, gc=False):
    """What drove an anomaly score: the feature, its value, how surprising that is (≥ 0), and what it says."""

    feature: str
    value: float
    surprise: float
    text: Text


class Anomaly(Struct, frozen=True, gc=False, omit_defaults=True):
    """What the anomaly model says (异常分). `score` ≥ 0; `p_value` in (0, 1], `None` while the model is warming;
    `alert`: whether it is within the share of payments that are to alert; `model`: its name and version; `drivers`: the
    largest parts of the score, of an alert or a hit; `creeping`: the amounts of the unit have slowly grown.
    """

    score: float
    p_value: float | None
    alert: bool
    model: str
    drivers: tuple[Driver, ...] = ()
    creeping: bool = False


class Decision(Struct, frozen=True, gc=False):
    """The verdict on one accepted instruction: a pure function of the instruction, the rule set and the history.

    The field `decided_at` is not here: it is the one field that is not a function of the inputs, so the edge that
    publishes a decision adds it. Source: contract, "Decision".
    """

    schema_version: int
    decision_id: str
    instruction_id: str
    jurisdiction: str
    budget_unit: str
    amount: str
    currency: str
    event_time: Any  # datetime, as sent; typed loosely since msgspec would re-check it
    verdict: Verdict
    evidence_required: bool
    late: bool
    hits: tuple[Hit, ...]
    anomaly: Anomaly | UnsetType  # absent where no model judges, or where the amount in CNY is not known
    ruleset: str
    reference: str
    engine: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message was not accepted: a reason code of the contract, and what exactly was found."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The same instruction delivered again: counted, never judged twice."""

    instruction_id: str


Outcome = Decision | Refusal | Duplicate
