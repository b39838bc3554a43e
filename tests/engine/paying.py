"""Payments through an engine of their own: what tests of the engine share."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.builders import make_instruction
from tests.rulesets import HOUR, aggregate, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Text
from treasury_watch.engine import Engine, Program
from treasury_watch.rules.forms.aggregate import Aggregate
from treasury_watch.rules.forms.lookup import Lookup
from treasury_watch.rules.schema import Rule

START = datetime.fromisoformat("2025-03-05T10:00:00+08:00")
BOUNDARY = ["2025-06-30T23:59:59.999999+08:00", "2025-07-01T00:00:00+08:00"]


def engine_of(*rules: Rule, max_lateness: timedelta = timedelta(days=31), **rest: Any) -> Engine:
    return Engine(Program(make_ruleset(*rules, **rest), max_lateness))


def shows(feature: Aggregate | Lookup, **overrides: Any) -> Rule:
    """A rule that hits whatever is paid, and says the value of a feature."""
    text = Text(zh="{f}", en="{f}")
    fields = {"action": "record", "features": {"f": feature}, "reason": text} | overrides
    return make_rule("SHOWS", leaf("instruction_id", "is_missing", False), **fields)


def values_of(feature: Aggregate, payments: list[Instruction], *rules: Rule, **rest: Any) -> list[str | None]:
    """What a feature is for each payment, as it is shown, and as a compiled condition finds it."""
    texts = said(engine_of(*rules, shows(feature), **rest).assess(payments))
    tests = [
        make_rule(
            f"IS {text}",
            leaf(ref(feature), "is_missing", True) if text is None else leaf(ref(feature), "eq", Decimal(text)),
            action="record",
        )
        for text in dict.fromkeys(texts)
    ]
    for outcome, text in zip(engine_of(*rules, *tests, **rest).assess(payments), texts, strict=True):
        assert isinstance(outcome, Decision)
        assert [hit.rule for hit in outcome.hits if hit.rule.startswith("IS ")] == [f"IS {text}"]
    return texts


def pay(number: int, hours: float = 0, **fields: Any) -> Instruction:
    """Instruction number so-and-so, that many hours after the start."""
    return make_instruction(**{"instruction_id": f"I{number}", "event_time": START + timedelta(hours=hours)} | fields)


def said(outcomes: list[Any]) -> list[Any]:
    """The values that `shows` says, one for each decision."""
    return [outcome.hits[-1].evidence.get("f") for outcome in outcomes]


def verdicts(outcomes: list[Any]) -> list[str]:
    return [outcome.verdict for outcome in outcomes]


def decision(engine: Engine, instruction: Instruction) -> Decision:
    (outcome,) = engine.assess([instruction])
    assert isinstance(outcome, Decision)
    return outcome


PAID = aggregate("sum", "amount", "budget_unit", window_us=24 * HOUR)
LARGE = make_rule("LARGE", leaf("amount", "gte", yuan("5000.00")))
