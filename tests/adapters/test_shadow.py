"""The shadow detector: counted beside the model, in no verdict, and harmless where it fails."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from tests.builders import SHANGHAI, make_instruction
from tests.rulesets import leaf, make_rule, make_ruleset
from treasury_watch.adapters import shadow as shadows
from treasury_watch.adapters.backtest import Source, as_json, back_test
from treasury_watch.adapters.jsonl import Line
from treasury_watch.adapters.replay import replay
from treasury_watch.adapters.shadow import Counts, Shadow, name_of, shadow_of, told
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.payment import Instruction
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.anomaly import Scored, calibration
from treasury_watch.rules.forms.anomaly import Anomaly
from treasury_watch.rules.schema import ModelBlock, RuleSet
from treasury_watch.rules.schema import Shadow as Block

MONDAY = datetime(2025, 3, 3, 9, tzinfo=SHANGHAI)
TREES = Block("HalfSpaceTrees", (("height", 4), ("n_trees", 5), ("seed", 1), ("window_size", 20)))
ODD = make_rule("ODD", leaf(Anomaly("p_value"), "lte", Fraction(1, 20)), action="warn", on_missing="pass")


def rules(shadow: Block | None = TREES) -> RuleSet:
    return replace(make_ruleset(ODD), model=ModelBlock("TailSurprise", Fraction(1, 20), (), shadow))


def payments(count: int, **fields: Any) -> list[Instruction]:
    """Ordinary payments, every 25th of them a hundred times as large."""
    return [
        make_instruction(
            **{
                "instruction_id": f"PI-{at}",
                "event_time": MONDAY + timedelta(hours=at),
                "amount": f"{100 + at * 7919 % 17}{'00' if at % 25 == 24 else ''}.00",
                "budget_unit": f"U{at % 3}",
                "payee_account": f"P{at * 31 % 5}",
                **fields,
            }
        )
        for at in range(count)
    ]


def lines(count: int) -> list[Line]:
    return [Line(number, encode_instruction(each)) for number, each in enumerate(payments(count), 1)]


def scores(count: int, **fields: Any) -> list[tuple[str, Scored]]:
    """What an engine says of payments, with their partition-key values."""
    engine, said = Engine(Program(rules(None))), []
    engine.on_scored = lambda key, scored: said.append((key, scored))
    engine.assess(payments(count, **fields))
    return said


def made(block: Block = TREES) -> Shadow:
    found = shadow_of(rules(block).model)
    assert found is not None
    return found


class Failing(Shadow):
    """A shadow whose detector fails on every other payment, and then says what is no score."""

    def _made(self) -> Any:
        class Detector:
            seen = 0

            def score_one(self, x: dict[str, float]) -> float:
                self.seen += 1
                if self.seen % 2:
                    raise ZeroDivisionError
                return float("nan") if self.seen == 4 else 1.0

            def learn_one(self, x: dict[str, float]) -> None:
                pass

        return Detector()


@pytest.fixture(autouse=True)
def _soon_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "WARM", 40)


def test_an_engine_tells_each_score_in_order_with_its_key() -> None:
    engine, said = Engine(Program(rules(None))), []
    engine.on_scored = lambda key, scored: said.append((key, scored.score))
    first, second = payments(30), payments(30, jurisdiction="420200")
    outcomes = engine.assess([each for pair in zip(first, second, strict=True) for each in pair])
    assert [key for key, _ in said] == ["420100", "420200"] * 30
    assert [float(f"{score:.6g}") for _, score in said] == [each.anomaly.score for each in outcomes]  # type: ignore[union-attr]


def test_what_has_its_verdict_already_is_told_of_no_second_time() -> None:
    engine, said = Engine(Program(rules(None))), []
    engine.on_scored = lambda key, scored: said.append(key)
    engine.assess(payments(5) + payments(5))
    assert len(said) == 5


def test_alerts_of_both_are_counted_and_those_that_they_share() -> None:
    found = made()
    said = scores(400)
    for key, scored in said:
        found.see(key, scored)
    counts = found.counts
    assert (counts.scored, counts.errors) == (400, 0)
    assert counts.model_alerts == sum(scored.alert for _, scored in said) > 0
    assert 0 < counts.both <= min(counts.alerts, counts.model_alerts)
    assert counts.alerts <= 0.07 * 360, "its own calibration keeps to the target of the model"


def test_each_key_has_a_detector_that_knows_nothing_of_the_others() -> None:
    alone, beside = made(), made()
    for (key, scored), (_, other) in zip(scores(200), scores(200, budget_unit="V"), strict=True):
        alone.see(key, scored)
        beside.see(key, scored)
        beside.see("420200", other)
    of_other = made()
    for _, other in scores(200, budget_unit="V"):
        of_other.see("420200", other)
    assert beside.counts.alerts == alone.counts.alerts + of_other.counts.alerts


def test_only_the_keys_that_were_used_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadows, "MOST_KEYS", 2)
    found = made()
    (_, scored), *_ = scores(1)
    for key in ("A", "B", "A", "C"):
        found.see(key, scored)
    assert list(found._detectors) == ["A", "C"]


def test_a_shadow_that_fails_is_told_of_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    block = rules().model
    assert block is not None
    found = Failing(block, TREES)
    with caplog.at_level(logging.ERROR):
        for key, scored in scores(6):
            found.see(key, scored)
    assert (found.counts.errors, found.counts.scored) == (4, 2)
    (record,) = caplog.records
    assert "the shadow detector HalfSpaceTrees failed with ZeroDivisionError at test_shadow.py" in record.getMessage()


def test_parameters_that_river_refuses_are_such_a_failure() -> None:
    found = made(Block("HalfSpaceTrees", (("branches", 3),)))
    found.prepare()
    for key, scored in scores(3):
        found.see(key, scored)
    assert found.counts == Counts(errors=4)


def test_what_was_taken_is_not_taken_again() -> None:
    found = made()
    for key, scored in scores(3):
        found.see(key, scored)
    assert found.taken() == Counts(scored=3)
    assert found.taken() == Counts()


def test_its_name_is_what_evaluate_takes() -> None:
    assert name_of(TREES) == "HalfSpaceTrees:height=4,n_trees=5,seed=1,window_size=20"
    assert name_of(Block("OneClassSVM")) == "OneClassSVM"


@pytest.mark.parametrize("block", [None, ModelBlock("TailSurprise", Fraction(1, 100))])
def test_without_a_shadow_in_the_rules_there_is_none(block: ModelBlock | None) -> None:
    assert shadow_of(block) is None


def test_a_replay_decides_the_same_with_a_shadow_and_counts_it() -> None:
    import io

    plain, watched = io.BytesIO(), io.BytesIO()
    without = replay(lines(300), Program(rules(None)), plain)
    summary = replay(lines(300), Program(rules()), watched, batch=7)
    assert without.as_json()["shadow"] is None
    assert watched.getvalue().replace(rules().hash.encode(), b"") == plain.getvalue().replace(
        rules(None).hash.encode(), b""
    )
    found = summary.as_json()["shadow"]
    assert found["detector"] == name_of(TREES)
    assert (found["scored"], found["errors"]) == (300, 0)
    assert found["model_alerts"] == summary.verdicts["warn"] > 0
    assert told(found) == (
        f"shadow {name_of(TREES)}: 300 scored, {found['alerts']} alerts, the model {found['model_alerts']}, "
        f"both {found['both']}"
    )


def test_a_back_test_counts_the_shadow_of_each_side() -> None:
    other = rules(Block("HalfSpaceTrees", (("n_trees", 2),)))
    result = as_json(back_test(lines(300), rules(), ("old", other)), Source("f.jsonl", "0"))
    assert (result["shadow"]["detector"], result["shadow"]["scored"]) == (name_of(TREES), 300)
    assert (result["against"]["shadow"]["detector"], result["against"]["shadow"]["scored"]) == (
        "HalfSpaceTrees:n_trees=2",
        300,
    )
    assert as_json(back_test(lines(30), rules(None)), Source("f.jsonl", "0"))["shadow"] is None
