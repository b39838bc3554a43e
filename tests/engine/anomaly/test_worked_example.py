"""The example in docs/anomaly.md that an auditor follows on paper is what the model does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.anomaly.paying import live, ordinary, paid
from treasury_watch.engine.anomaly import Model, drivers
from treasury_watch.engine.anomaly.features import NAMES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "anomaly.md").read_text(encoding="utf-8")
SEEN = paid(24.0 * 7 * 14 + 10.0, 526_000, "U3", "P3-0", "S1")


@pytest.fixture(scope="module")
def model() -> Model:
    made = Model()
    live(made, ordinary(2_800))
    return made


def test_what_is_remembered_is_as_the_page_says(model: Model) -> None:
    whole, unit, payee, pair = model.core.whole, model.units["U3"], model.payees["P3-0"], model.pairs["U3", "P3-0"]
    subject, habit = model.subjects["S1"], model.habits["U3", "S1"]
    for line in (
        f"| the whole | {whole[0]:,} | {whole[1]:.3f} | {whole[2]:.4f} |",
        f"| U3 | {unit[0]} | {unit[3]:.3f} | {unit[4]:.4f} |",
        f"| P3-0 | {payee[0]} | {payee[3]:.3f} | {payee[4]:.4f} |",
        f"| U3 and P3-0 | {pair[0]} | {pair[2]:.3f} | |",
        f"| S1 | {subject[0]} | {subject[2]:.3f} | {subject[3]:.4f} |",
        f"| U3 under S1 | {habit[0]} | {habit[2]:.3f} | |",
    ):
        assert line in PAGE


def test_the_score_comes_about_as_the_page_says(model: Model) -> None:
    scored = model.score(SEEN)
    value = dict(zip(NAMES, scored.measured.values, strict=True))
    surprise = dict(zip(NAMES, scored.surprises, strict=True))
    tail = dict(zip(NAMES, model.core.counted.tails, strict=True))
    measured, by = scored.measured, tail["pair_amount"]
    for text in (
        f"= {measured.level:.3f}.",
        f"({measured.level:.3f} − {measured.usual_unit:.3f}) ÷ 0.6093 = **{value['unit_amount']:.2f}**",
        f"({measured.level:.3f} − {measured.usual_pair:.3f}) ÷ 0.5680 = **{value['pair_amount']:.2f}**",
        f"({measured.level:.3f} − {measured.usual_subject:.3f}) ÷ 1.8175 = **{value['subject_amount']:.3f}**",
        f"begins at {tail['unit_amount'].cut:.1f} with a surprise of {tail['unit_amount'].base:.3f}",
        f"rises by {tail['unit_amount'].steep:.3f} for each 1",
        f"= **{surprise['unit_amount']:.2f}**",
        f"with {by.base:.3f} and rises by {by.steep:.3f}: **{surprise['pair_amount']:.2f}**",
        f"**{surprise['amount']:.3f}**",
        f"**{surprise['subject_amount']:.2f}**",
        f"= **{scored.score:.1f}**",
        f"= **{scored.p_value:.5f}**",
        f"(the highest is {max(model.core.calibration.sizes):.1f})",
    ):
        assert text in PAGE, text
    assert scored.alert
    assert {name for name, each in surprise.items() if each} == {
        "amount",
        "unit_amount",
        "pair_amount",
        "subject_amount",
    }


def test_the_reasons_are_those_of_the_page(model: Model) -> None:
    for each in drivers(SEEN, model.score(SEEN)):
        assert f"{each.zh} ({each.share * 100:.0f} %)" in PAGE
