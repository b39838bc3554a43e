"""Scoring (异常评分): what the anomaly model of a partition-key value sees of an instruction, and what it says."""

from __future__ import annotations

from treasury_watch.domain.calendar import HOUR_US, LocalDay
from treasury_watch.domain.payment import Instruction, account_form, name_form
from treasury_watch.domain.verdict import Anomaly, Driver, Text
from treasury_watch.engine.anomaly import Model, Observation, Scored, drivers, exact
from treasury_watch.engine.anomaly.encoding import VERSION
from treasury_watch.rules.schema import ModelBlock

LOOKS = 6  # entities that are looked at for what has expired, for each payment that is scored
_DIGITS = ".6g"  # of published floats


def observation(instruction: Instruction, us: int, fen: int, day: LocalDay) -> Observation:
    """What a model sees of an instruction: its event time in microseconds, its amount in fen, its local day.

    The payee is the account, or the name where there is none, in the form in which they are compared. On a day that is
    longer than 24 hours the last one counts for what is more.
    """
    account, name = instruction.payee_account, instruction.payee_name
    return Observation(
        us,
        (day.ordinal - 1) % 7 * 24 + min(23, (us - day.day_us) // HOUR_US),
        fen,
        instruction.budget_unit,
        account_form(account) if account else name_form(name) if name else None,
        instruction.department_economic_class or instruction.economic_class,
    )


def score_of(model: Model, instruction: Instruction, us: int, fen: int, day: LocalDay) -> tuple[Observation, Scored]:
    """What a model sees of an instruction, and what it says of it; the model changes by nothing of this."""
    seen = observation(instruction, us, fen, day)
    return seen, model.score(seen)


def named(block: ModelBlock | None) -> str:
    """What decisions call a model: its detector and the version of its state."""
    return "" if block is None else f"{block.detector}/{VERSION}"


def told(seen: Observation, scored: Scored, name: str, hit: bool) -> Anomaly:
    """What a decision says of a score: with what drove it, if it alerts or a rule was hit."""
    p_value = scored.p_value
    return Anomaly(
        float(format(scored.score, _DIGITS)),
        None if p_value is None else float(exact(p_value)),
        scored.alert,
        name,
        tuple(
            Driver(
                each.feature,
                float(format(each.value, _DIGITS)),
                float(format(each.surprise, _DIGITS)),
                Text(each.zh, each.en),
            )
            for each in drivers(seen, scored)
        )
        if hit or scored.alert
        else (),
        scored.creeping,
    )


def started(block: ModelBlock | None) -> Model | None:
    """A model that has seen nothing yet."""
    return None if block is None else Model(float(block.target))


def carried(model: Model | None, block: ModelBlock | None) -> Model | None:
    """A model under another rule set: one that asks for another share of alerts goes on with what it knows."""
    if model is None or block is None:
        return started(block)
    target = float(block.target)
    if model.target != target:
        model.retarget(target)
    return model
