"""The list of risk points."""

from __future__ import annotations

from tests.rules.texts import rule_file
from treasury_watch.adapters.rulefiles import default_rules, files_of
from treasury_watch.domain.verdict import Text
from treasury_watch.rules import read
from treasury_watch.rules.risk_points import STEPS, RiskPoint
from treasury_watch.rules.sets import risk_points_of

WHOLE = """\
risk_points:
- id: RP-1
  step: card
  title: {zh: 风险, en: Risk}
  measure: {zh: 措施, en: Measure}
  basis: {zh: 办法, en: Regulation}
  answers: {zh: 财政国库部门, en: treasury department}
"""
SHORT = "risk_points: [{id: RP-1, title: {zh: 风险, en: Risk}, measure: {zh: 措施, en: Measure}}]\n"
WHEN = "  when: {field: amount, gt: 1.00}\n"


def test_a_risk_point_says_its_step_its_basis_and_who_answers() -> None:
    (point,) = risk_points_of({"risk-points.yaml": WHOLE.encode()}) or ()
    assert point == RiskPoint(
        "RP-1",
        Text("风险", "Risk"),
        Text("措施", "Measure"),
        "card",
        Text("办法", "Regulation"),
        Text("财政国库部门", "treasury department"),
    )


def test_a_list_of_before_there_were_steps_still_loads() -> None:
    (point,) = risk_points_of({"risk-points.yaml": SHORT.encode()}) or ()
    assert (point.step, point.basis, point.answers) == (None, None, None)
    assert read({"office.yaml": rule_file(WHEN), "risk-points.yaml": SHORT.encode()})[1] == []


def test_without_a_list_there_is_nothing_to_check_by_and_an_empty_one_has_none() -> None:
    assert risk_points_of({}) is None
    assert risk_points_of({"risk-points.yaml": b"risk_points: []\n"}) == ()


def test_risk_points_are_no_part_of_the_hash() -> None:
    one, other = (
        read({"office.yaml": rule_file(WHEN), "risk-points.yaml": text.encode()})[0] for text in (WHOLE, SHORT)
    )
    assert one is not None
    assert other is not None
    assert one.hash == other.hash


def test_the_shipped_risk_points_are_complete_and_at_every_step() -> None:
    points = risk_points_of(files_of(default_rules())) or ()
    assert [each.id for each in points if None in (each.step, each.basis, each.answers)] == []
    assert {each.step for each in points} == set(STEPS)
