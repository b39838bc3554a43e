"""The anomaly model in the engine: what it sees, what it learns, what decisions say of it, and that nothing is lost."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from tests.builders import make_instruction
from tests.rulesets import leaf, make_rule, make_ruleset, modelled
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Anomaly, Decision, Outcome
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.anomaly import Model, calibration
from treasury_watch.engine.journal import WHOLE, Journal, Restoring
from treasury_watch.engine.scoring import observation
from treasury_watch.rules.forms.anomaly import Anomaly as AnomalyFeature

START = datetime.fromisoformat("2025-01-06T00:00:00+08:00")
ODD = make_rule("ODD", leaf(AnomalyFeature("p_value"), "lte", Fraction(1, 100)), action="warn", on_missing="pass")
HELD = make_rule("HELD", leaf("purpose", "eq", "hold"), action="intercept")
RULES = modelled(make_ruleset(ODD, HELD))


@pytest.fixture(autouse=True)
def _soon_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "WARM", 60)


def pay(number: int, hours: float = 0, amount: str = "100.00", **fields: Any) -> Instruction:
    at = START + timedelta(hours=hours)
    return make_instruction(instruction_id=f"I{number}", event_time=at.isoformat(), amount=amount, **fields)


def stream(count: int, seed: int = 1, **fields: Any) -> list[Instruction]:
    """Ordinary payments, some of which are to be held, and now and then one of fifty times as much."""
    rng = random.Random(seed)
    return [
        pay(
            number,
            number / 4,
            f"{rng.randrange(80, 120) * (50 if number % 97 == 96 else 1)}.00",
            budget_unit=f"U{rng.randrange(3)}",
            payee_account=f"62220{rng.randrange(6)}",
            purpose="hold" if number % 11 == 10 else "paper",
            **fields,
        )
        for number in range(count)
    ]


def judged(engine: Engine, instructions: list[Instruction], size: int = 10_000) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for at in range(0, len(instructions), size):
        outcomes += engine.assess(instructions[at : at + size])
        engine.absorb()
    return outcomes


def scores(outcomes: list[Outcome]) -> list[Anomaly]:
    return [each.anomaly for each in outcomes if isinstance(each, Decision) and isinstance(each.anomaly, Anomaly)]


def model_of(engine: Engine, key: str = "420100") -> Model:
    found = engine.state.scopes[key].model
    assert found is not None
    return found


def test_every_decision_says_how_odd_the_payment_is_and_an_alert_says_why() -> None:
    outcomes = judged(Engine(Program(RULES)), stream(300))
    said = scores(outcomes)
    assert len(said) == 300
    assert {each.model for each in said} == {said[0].model}
    assert all(each.p_value is None and not each.alert for each in said[:60])
    assert all(each.p_value is not None and 0 < each.p_value <= 1 for each in said[60:])
    odd = outcomes[193]
    assert isinstance(odd, Decision)
    assert isinstance(odd.anomaly, Anomaly)
    assert odd.anomaly.alert
    assert odd.verdict == "warn"
    assert [hit.rule for hit in odd.hits] == ["ODD"]
    assert odd.anomaly.drivers
    assert "倍" in odd.anomaly.drivers[0].text.zh
    quiet = [each for each in said if not each.alert and not each.drivers]
    assert len(quiet) > 250, "what is neither odd nor a hit is not explained"


def test_without_a_model_nothing_is_said() -> None:
    (decision,) = Engine(Program(make_ruleset(HELD))).assess([pay(1)])
    assert b"anomaly" not in msgspec.json.encode(decision)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_batches_change_no_score_and_no_state(size: int) -> None:
    whole, cut = Engine(Program(RULES)), Engine(Program(RULES))
    assert judged(whole, stream(200)) == judged(cut, stream(200), size)
    assert whole.dump() == cut.dump()


def test_partition_key_values_have_models_of_their_own() -> None:
    alone, beside = Engine(Program(RULES)), Engine(Program(RULES))
    judged(alone, stream(150))
    others = [replace_id(each, jurisdiction="420200") for each in stream(150, seed=2)]
    mixed = [each for pair in zip(stream(150), others, strict=True) for each in pair]
    judged(beside, mixed)
    assert model_of(beside).score(seen(pay(999))).score == model_of(alone).score(seen(pay(999))).score


def test_what_is_discarded_was_never_seen() -> None:
    engine = Engine(Program(RULES))
    judged(engine, stream(150))
    before = engine.dump()
    engine.assess([replace_id(each) for each in stream(150, seed=3)])
    engine.discard()
    assert engine.dump() == before


def test_a_payment_that_is_held_is_learned_when_it_is_released_and_only_once() -> None:
    engine = Engine(Program(RULES))
    judged(engine, stream(100))
    judged(engine, [pay(500, 30, "5000.00", purpose="hold", budget_unit="NEW")])
    assert "NEW" not in model_of(engine).units
    for disposition_id, disposition in (("D1", "release"), ("D2", "return"), ("D3", "release"), ("D1", "release")):
        engine.dispose("420100", "I500", disposition_id, disposition)  # type: ignore[arg-type]
    assert model_of(engine).units["NEW"][0] == 1


@pytest.mark.parametrize(
    ("disposition", "label", "wrong"),
    [
        ("confirm", None, True),
        ("release", None, False),
        ("return", None, None),
        ("release", "true_alarm", True),
        ("return", "false_alarm", False),
    ],
)
def test_what_people_say_of_a_payment_is_kept_with_its_unit(disposition: Any, label: Any, wrong: bool | None) -> None:
    told, never = Engine(Program(RULES)), Engine(Program(RULES))
    for engine in (told, never):
        judged(engine, stream(100))
        judged(engine, [pay(500, 30, "5000.00", purpose="hold", budget_unit="U1", payee_account="622200")])
    told.dispose("420100", "I500", "D1", disposition, label)
    again = pay(501, 31, "100.00", budget_unit="U1", payee_account="622200")
    if wrong:
        assert model_of(told).score(seen(again)).score > model_of(never).score(seen(again)).score
    elif wrong is None:
        assert model_of(told).score(seen(again)).score == model_of(never).score(seen(again)).score
    else:
        assert model_of(told).units["U1"] != model_of(never).units["U1"]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (("confirm", None), ("release", None)),
        (("return", "true_alarm"), ("return", "false_alarm")),
        (("return", "false_alarm"), ("confirm", None)),
    ],
)
def test_what_people_correct_is_kept_as_they_said_last(first: Any, then: Any) -> None:
    corrected, once = Engine(Program(RULES)), Engine(Program(RULES))
    for engine in (corrected, once):
        judged(engine, stream(100))
        judged(engine, [pay(500, 30, "5000.00", purpose="hold", budget_unit="U1", payee_account="622200")])
    journal, records = Journal(corrected), []
    records += journal.rotate()
    corrected.dispose("420100", "I500", "D1", *first)
    records += journal.effects(101)
    corrected.dispose("420100", "I500", "D2", *then)
    records += journal.effects(101)
    once.dispose("420100", "I500", "D2", *then)
    for kind in ("units", "payees"):
        assert getattr(model_of(corrected), kind) == getattr(model_of(once), kind)
    restoring = Restoring(Program(RULES))
    for record in records:
        restoring.take(record.data)
    assert restoring.finished().dump() == corrected.dump()


def test_an_amount_without_a_rate_is_not_scored() -> None:
    engine = Engine(Program(RULES))
    judged(engine, stream(100))
    before = model_of(engine).core.watermark
    (decision,) = judged(engine, [pay(500, 5000, "100.00", currency="XAU")])
    assert isinstance(decision, Decision)
    assert not isinstance(decision.anomaly, Anomaly)
    assert model_of(engine).core.watermark == before


def test_a_payment_on_which_rules_fail_is_seen_and_not_learned() -> None:
    class Broken(Program):
        def judge(self, *_: Any) -> Any:
            def fails(*_: Any) -> Any:
                raise KeyError("a mistake")

            return fails

    engine = Engine(Broken(RULES, on_error="warn"))
    (decision,) = judged(engine, [pay(1)])
    assert isinstance(decision, Decision)
    assert decision.hits[0].rule == "ENGINE"
    assert isinstance(decision.anomaly, Anomaly)
    assert not model_of(engine).units
    assert len(model_of(engine).core.calibration.ring) == 1


def test_a_state_is_read_again_under_the_same_another_and_no_target() -> None:
    engine = Engine(Program(RULES))
    judged(engine, stream(200))
    data = engine.dump()
    assert Engine.load(Program(RULES), data).dump() == data
    other = Engine.load(Program(modelled(make_ruleset(ODD, HELD), "1/20")), data)
    assert len(model_of(other)) == len(model_of(engine))
    none = Engine.load(Program(make_ruleset(HELD)), data)
    assert none.state.scopes["420100"].model is None
    assert Engine.load(Program(RULES), none.dump()).state.entries()["entities"] == 0


@pytest.mark.parametrize("target", ["1/100", "1/20", None])
def test_other_rules_keep_the_model_and_the_journal_says_so(target: str | None) -> None:
    rules = make_ruleset(HELD) if target is None else modelled(make_ruleset(HELD), target)
    second = Program(replace(rules, hash="sha256:" + "5" * 64))
    engine = Engine(Program(RULES))
    journal = Journal(engine)
    judged(engine, stream(150))
    records = journal.effects(150) + journal.rotate()
    engine.dispose("420100", "I10", "D1", "release")
    records += journal.effects(150)
    engine.switch(second)
    judged(engine, [replace_id(each) for each in stream(50, seed=4)])
    engine.dispose("420100", "I21", "D2", "confirm")
    records += journal.effects(200)
    restoring = Restoring(second)
    for record in records:
        restoring.take(record.data)
    assert restoring.finished().dump() == engine.dump()
    assert (engine.state.scopes["420100"].model is None) == (target is None)


def test_a_rotation_between_effects_makes_the_model_again() -> None:
    """Records are read from the begin of a rotation on, with effects between its stretches."""
    engine = Engine(Program(RULES))
    judged(engine, stream(120))
    journal = Journal(engine)
    records, at = [], 0
    later = [replace_id(each) for each in stream(400, seed=5)]
    while not records or WHOLE not in [record.kind for record in records]:
        judged(engine, later[at : at + 1])
        if at % 9 == 8:
            engine.dispose("420100", later[at - at % 11].instruction_id, f"D{at}", "confirm")
        at += 1
        records += journal.effects(120 + at) + journal.checkpoint(1)
    judged(engine, later[at:])
    records += journal.effects(520)
    restoring = Restoring(Program(RULES))
    for record in records:
        restoring.take(record.data)
    again = restoring.finished()
    assert again.dump() == engine.dump()
    end = [replace_id(each) for each in stream(50, seed=6)]
    assert again.assess(end) == engine.assess(end)


def test_what_was_not_paid_for_years_is_forgotten_and_changes_no_score() -> None:
    engine = Engine(Program(RULES))
    judged(engine, stream(100))
    late = [pay(1000 + number, 24 * 600 + number, budget_unit="U9", payee_account="9") for number in range(30)]
    judged(engine, late, 1)
    assert set(model_of(engine).units) == {"U9"}


def test_drift_events_are_counted_over_all_models() -> None:
    engine = Engine(Program(RULES))
    judged(engine, [pay(1), pay(2, jurisdiction="420200")])
    assert engine.state.drift_events() == 0
    for key in ("420100", "420200"):
        core = model_of(engine, key).core
        core.drift = core.drift._replace(events=((1, "level", "up", 1.0, 2.0, "ADWIN"),))
    assert engine.state.drift_events() == 2


def test_it_sees_the_local_hour_and_names_in_the_form_in_which_they_are_compared() -> None:
    monday = datetime.fromisoformat("2025-01-06T09:30:00+08:00")
    found = seen(make_instruction(event_time=monday.isoformat(), payee_account="6222 0212-34", amount="-12.30"))
    assert (found.hour, found.payee, found.fen) == (9, "6222021234", -1230)
    by_name = seen(make_instruction(payee_account=None, payee_name=" 云川市  供电公司"))
    assert by_name.payee == "云川市 供电公司"


def test_a_day_of_25_hours_has_no_hour_beyond_its_last() -> None:
    rules = replace(RULES, timezone="Europe/Berlin")
    program = Program(rules)
    last = datetime.fromisoformat("2025-10-26T23:30:00+01:00")
    instruction = make_instruction(event_time=last.isoformat())
    day = program.days.of(int(last.timestamp() * 1e6))
    assert observation(instruction, int(last.timestamp() * 1e6), 100, day).hour == 6 * 24 + 23


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_rules_of_another_time_zone_go_on_with_the_model_and_see_their_own_hours(zone: str) -> None:
    second = Program(replace(RULES, timezone=zone, hash="sha256:" + "6" * 64))
    engine = Engine(Program(RULES))
    journal = Journal(engine)
    judged(engine, stream(150))
    records = journal.effects(150) + journal.rotate()
    before = model_of(engine).core.counted, engine.state.scopes["420100"].watermark
    engine.switch(second)
    assert (model_of(engine).core.counted, engine.state.scopes["420100"].watermark) == before
    after = [
        msgspec.structs.replace(replace_id(each), event_time=each.event_time + timedelta(days=3))
        for each in stream(150, seed=4)
    ]
    said = scores(judged(engine, after, 7))
    records += journal.effects(300)
    restoring = Restoring(second)
    for record in records:
        restoring.take(record.data)
    again = restoring.finished()
    assert again.dump() == engine.dump()
    cut = Engine.load(Program(RULES), dumped(stream(150)))
    cut.switch(second)
    assert scores(judged(cut, after)) == said, "whatever the batches"
    assert cut.dump() == engine.dump()
    hours = [observation(each, us_of(each), 1, second.days.of(us_of(each))).hour for each in after]
    local = [each.event_time.astimezone(ZoneInfo(zone)) for each in after]
    assert hours == [each.weekday() * 24 + each.hour for each in local]


@pytest.mark.parametrize("day", ["2025-03-29", "2025-10-25"])
def test_days_of_23_and_25_hours_are_judged_alike_in_any_batches(day: str) -> None:
    rules, begin = replace(RULES, timezone="Europe/Berlin"), datetime.fromisoformat(f"{day}T00:00:00+01:00")
    payments = [
        msgspec.structs.replace(each, event_time=begin + timedelta(minutes=20 * number))
        for number, each in enumerate(stream(220))
    ]
    engines = [Engine(Program(rules)) for _ in range(3)]
    found = [judged(engine, payments, size) for engine, size in zip(engines, (1, 50, 1000), strict=True)]
    assert found[0] == found[1] == found[2]
    assert len({engine.dump() for engine in engines}) == 1
    assert all(each.score >= 0 for each in scores(found[0]))


def dumped(instructions: list[Instruction]) -> bytes:
    engine = Engine(Program(RULES))
    judged(engine, instructions)
    return engine.dump()


def us_of(instruction: Instruction) -> int:
    return round(instruction.event_time.timestamp() * 1e6)


def replace_id(instruction: Instruction, **fields: Any) -> Instruction:
    """The same payment under another id."""
    return msgspec.structs.replace(instruction, instruction_id="again-" + instruction.instruction_id, **fields)


def seen(instruction: Instruction) -> Any:
    program = Program(RULES)
    us = int(datetime.fromisoformat(str(instruction.event_time)).timestamp() * 1e6)
    return observation(instruction, us, round(float(instruction.amount) * 100), program.days.of(us))
