"""Evaluation: scores from before each payment, figures as scikit-learn has them, a page that stands alone."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.adapters.test_report import Page
from tests.builders import SHANGHAI, make_instruction
from treasury_watch.adapters.backtest import Source, read_labels
from treasury_watch.adapters.detectors import DetectorError
from treasury_watch.adapters.evaluation import (
    Evaluation,
    Payment,
    Quality,
    Reading,
    as_json,
    chosen,
    evaluate,
    payment_of,
    payments_of,
    scored_after,
)
from treasury_watch.adapters.evaluation_page import alerts_plot, page_of, precision_plot
from treasury_watch.adapters.jsonl import Line
from treasury_watch.adapters.ranking import average_precision, curve_of, hits_of, precision_a_day, roc_auc
from treasury_watch.adapters.replay import Refused
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.calendar import Days
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Refusal
from treasury_watch.engine.anomaly import Model

ZONE = ZoneInfo("Asia/Shanghai")
DAYS = Days("Asia/Shanghai")
MONDAY = datetime(2025, 3, 3, 9, tzinfo=SHANGHAI)


def town(count: int, key: str = "420100") -> list[Instruction]:
    """Ordinary payments of one jurisdiction; from the 40th on, every 20th is a thousand times as large."""
    return [
        make_instruction(
            instruction_id=f"{key}-{at}",
            jurisdiction=key,
            event_time=MONDAY + timedelta(days=at // 20, minutes=at % 20),
            amount=f"{100 + at * 7919 % 97}{'000' if is_odd(at) else ''}.00",
            budget_unit=f"U{at % 3}",
            payee_account=f"P{at * 31 % 5}",
        )
        for at in range(count)
    ]


def is_odd(at: int) -> bool:
    return at >= 40 and at % 20 == 19


def lines_of(instructions: Iterable[Instruction]) -> list[Line]:
    return [Line(at, encode_instruction(each)) for at, each in enumerate(instructions, 1)]


def labels_of(*texts: str) -> Any:
    return read_labels([Line(at, each.encode()) for at, each in enumerate(texts, 1)], "labels")


PLANTED = [f'{{"instruction_id":"420100-{at}","kind":"large","rule_ids":[]}}' for at in range(400) if is_odd(at)]


def run(payments: Iterable[Instruction], *detectors: str, target: float = 0.01, **more: Any) -> Evaluation:
    choices = [chosen(each, target) for each in detectors or ("TailSurprise",)]
    return evaluate(lines_of(payments), choices, "jurisdiction", ZONE, **more)


def only(found: Evaluation) -> Quality:
    (quality,) = found.detectors
    return quality


# --- figures ---

RANKED = st.lists(st.tuples(st.booleans(), st.sampled_from([-2.5, 0.0, 1e-9, 1.0, 3.0, 7.0, 1e12])), min_size=2)


@given(RANKED)
def test_figures_are_those_of_scikit_learn_with_ties_too(ranked: list[tuple[bool, float]]) -> None:
    wrong, scores = np.array([each for each, _ in ranked]), np.array([score for _, score in ranked])
    hits = hits_of(wrong, scores)
    if wrong.any():
        assert average_precision(hits) == pytest.approx(average_precision_score(wrong, scores), abs=1e-12)
    else:
        assert average_precision(hits) is None
    if wrong.any() and not wrong.all():
        assert roc_auc(hits) == pytest.approx(roc_auc_score(wrong, scores), abs=1e-12)
    else:
        assert roc_auc(hits) is None


def test_figures_of_many_payments_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    wrong = rng.random(50_000) < 0.01
    scores = rng.normal(size=50_000) + 2.0 * wrong
    hits = hits_of(wrong, scores)
    assert average_precision(hits) == pytest.approx(average_precision_score(wrong, scores), rel=1e-12)
    assert roc_auc(hits) == pytest.approx(roc_auc_score(wrong, scores), rel=1e-12)


def test_figures_of_no_payments_are_missing() -> None:
    hits = hits_of(np.array([], bool), np.array([]))
    assert (average_precision(hits), roc_auc(hits), curve_of(hits)) == (None, None, [])
    assert precision_a_day(np.array([], np.int64), np.array([], bool), np.array([])) is None


def test_of_each_day_the_highest_scores_are_looked_at() -> None:
    days = np.array([7, 8, 7, 7, 9])
    wrong = np.array([True, True, False, True, False])
    scores = np.array([3.0, 1.0, 2.0, 1.0, 5.0])
    # day 7: 3.0 wrong and 2.0 fine, the wrong one with 1.0 is not looked at; day 8: wrong; day 9: fine
    assert precision_a_day(days, wrong, scores, most=2) == 2 / 4


def test_of_equal_scores_of_a_day_the_earlier_is_looked_at() -> None:
    wrong = np.array([True, False])
    assert precision_a_day(np.array([7, 7]), wrong, np.array([1.0, 1.0]), most=1) == 1.0


def test_a_curve_ends_with_all_found_and_has_few_points() -> None:
    rng = np.random.default_rng(2)
    wrong = rng.random(20_000) < 0.05
    curve = curve_of(hits_of(wrong, rng.normal(size=20_000) + wrong))
    assert curve[-1][0] == 1.0
    assert curve == sorted(curve, key=lambda point: point[0])
    assert len(curve) <= 120


# --- payments ---


def test_the_hour_and_the_day_are_those_of_the_zone() -> None:
    late = make_instruction(event_time="2025-03-02T17:30:00+00:00")  # Monday 1:30 in Shanghai
    found = payment_of(late, "jurisdiction", DAYS)
    assert isinstance(found, Payment)
    assert found.seen.hour == 1
    assert found.day == datetime(2025, 3, 3, tzinfo=SHANGHAI).toordinal()


def test_a_payee_is_its_account_or_else_its_name() -> None:
    by_name = payment_of(make_instruction(payee_account=None), "jurisdiction", DAYS)
    by_account = payment_of(make_instruction(), "jurisdiction", DAYS)
    assert isinstance(by_name, Payment)
    assert isinstance(by_account, Payment)
    assert (by_name.seen.payee, by_account.seen.payee) == ("江汉办公用品有限公司", "42002000000000002222")


def test_a_payment_without_the_partition_key_is_refused() -> None:
    found = payment_of(make_instruction(), "department", DAYS)
    assert found == Refusal("wrong_key", "department is missing, and it is the partition key")


def test_lines_are_payments_duplicates_and_refused_ones() -> None:
    told: list[Refused] = []
    lines = [*lines_of([*town(3), town(1)[0]]), Line(5, b"nonsense")]
    reading = Reading()
    assert len(list(payments_of(lines, "jurisdiction", DAYS, reading, told.append))) == 3
    assert (reading.lines, reading.payments, reading.duplicates) == (5, 3, 1)
    assert dict(reading.refused) == {"malformed_json": 1}
    assert [each.line for each in told] == [5]


def test_one_id_of_two_jurisdictions_is_two_payments() -> None:
    both = [make_instruction(), make_instruction(jurisdiction="420200")]
    assert run(both).reading.payments == 2


# --- detectors ---


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("TailSurprize", "no detector 'TailSurprize': did you mean 'TailSurprise'?"),
        ("HalfSpaceTrees:n_tree=3", "HalfSpaceTrees has no parameter 'n_tree': did you mean 'n_trees'?"),
        ("LODA:n_bins", "LODA:n_bins: expected key=number after the colon, found 'n_bins'"),
        ("LODA:n_bins=many", "LODA:n_bins=many: expected key=number after the colon, found 'n_bins=many'"),
        ("HalfSpaceTrees:height=1.5", "HalfSpaceTrees:height=1.5: height is 1.5, expected a whole number from 1 to 15"),
        ("HalfSpaceTrees:height=40", "HalfSpaceTrees:height=40: height is 40, expected a whole number from 1 to 15"),
        ("LODA:n_bins=0", "LODA:n_bins=0: n_bins is 0, expected a whole number from 2 to 1,000"),
        ("LODA:n_bins=1e400", "LODA:n_bins=1e400: n_bins is inf, expected a whole number from 2 to 1,000"),
        ("OneClassSVM:nu=7", "OneClassSVM:nu=7: nu is 7, expected a number above 0, at most 1"),
        ("OneClassSVM:nu=nan", "OneClassSVM:nu=nan: nu is nan, expected a number above 0, at most 1"),
        ("TailSurprise:target=2", "TailSurprise: target is 2, expected a number between 0 and 1"),
    ],
)
def test_wrong_names_and_parameters_are_told_with_the_nearest_right_one(said: str, told: str) -> None:
    with pytest.raises(DetectorError, match=f"^{re.escape(told)}$"):
        chosen(said, 0.01)


def test_a_detectors_own_target_comes_before_that_of_all() -> None:
    assert chosen("TailSurprise:target=0.05", 0.01).target == 0.05
    assert chosen("TailSurprise", 0.02).target == 0.02


def test_what_draws_lots_gives_the_same_scores_again() -> None:
    first, second = (run(town(300), "LODA", labels=labels_of(*PLANTED)) for _ in range(2))
    assert only(first).curve == only(second).curve


# --- evaluation ---


def test_what_is_odd_is_ranked_first_and_the_first_fifth_is_not_counted() -> None:
    found = run(town(400), labels=labels_of(*PLANTED))
    assert (found.scored, found.labelled, found.known, found.wrong) == (320, 18, 320, 16)
    quality = only(found)
    assert quality.average_precision is not None
    assert quality.average_precision > 0.9
    assert quality.precision_a_day == pytest.approx(1 / 10)  # one wrong payment a day, and ten are looked at


def test_a_payment_is_scored_before_it_is_learned() -> None:
    seen = [payment_of(each, "jurisdiction", DAYS) for each in town(200)]
    payments = [each for each in seen if isinstance(each, Payment)]
    scored, before = scored_after(payments, payments[199], 0.01)
    shorter, _ = scored_after(payments[:199], payments[199], 0.01)
    assert before == 199
    assert scored.score == shorter.score > 0.0


def test_each_partition_key_value_has_a_model_of_its_own() -> None:
    alone = run(town(300), labels=labels_of(*PLANTED))
    other = [make_instruction(instruction_id=f"x{at}", jurisdiction="420200") for at in range(300)]
    mixed = [each for pair in zip(town(300), other, strict=True) for each in pair]
    answers = [f'{{"instruction_id":"420100-{at}","label":"{answer(at)}"}}' for at in range(300)]
    both = run(mixed, labels=labels_of(*answers))
    assert both.models == 2
    assert only(both).average_precision == only(alone).average_precision


def answer(at: int) -> str:
    return "true_alarm" if is_odd(at) else "false_alarm"


def test_where_people_answered_only_payments_with_an_answer_are_counted() -> None:
    texts = [f'{{"instruction_id":"420100-{at}","label":"{answer(at)}"}}' for at in range(300, 320)]
    found = run(town(400), labels=labels_of(*texts))
    assert (found.labelled, found.known, found.wrong) == (20, 20, 1)
    assert only(found).average_precision == 1.0


def test_a_near_miss_is_not_wrong() -> None:
    near = '{"instruction_id":"420100-199","kind":"large","rule_ids":[],"near_miss":true}'
    found = run(town(200), labels=labels_of(near))
    assert (found.labelled, found.wrong) == (1, 0)
    assert only(found).average_precision is None


def test_without_labels_there_are_alerts_time_and_memory() -> None:
    found = run(town(3_000))
    quality = only(found)
    assert found.labelled is None
    assert (quality.average_precision, quality.roc_auc, quality.precision_a_day, quality.curve) == (None,) * 3 + ([],)
    assert quality.alert_rate is not None
    assert quality.us > 0.0
    assert quality.state_bytes > 10_000


def test_alerts_of_any_detector_keep_to_the_target() -> None:
    for quality in run(town(4_500), "TailSurprise", "HalfSpaceTrees:n_trees=2,height=3", target=0.05).detectors:
        assert quality.alert_rate == pytest.approx(0.05, abs=0.02)
        assert quality.by_block == []  # fewer than 10,000


def test_the_alerts_that_are_counted_are_the_models_own() -> None:
    model, alerts = Model(0.05), []
    for each in town(4_000):
        found = payment_of(each, "jurisdiction", DAYS)
        assert isinstance(found, Payment)
        scored = model.score(found.seen)
        model.apply(model.effect(found.seen, scored, True))
        if scored.p_value is not None:
            alerts.append(scored.alert)
    assert len(alerts) == 2_000  # all of them after the first fifth
    assert only(run(town(4_000), target=0.05)).alert_rate == sum(alerts) / len(alerts) > 0.0


def test_a_file_without_payments_is_evaluated_to_nothing() -> None:
    found = run([], "TailSurprise", "LODA", labels=labels_of(*PLANTED))
    assert (found.models, found.scored, found.wrong, found.first_day) == (0, 0, 0, None)
    assert all(each.average_precision is None and each.alert_rate is None for each in found.detectors)


def test_scores_that_are_not_finite_are_counted_and_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    from river.anomaly import HalfSpaceTrees

    monkeypatch.setattr(HalfSpaceTrees, "score_one", lambda self, x: math.nan)
    quality = only(run(town(50), "HalfSpaceTrees:n_trees=1", labels=labels_of(*PLANTED)))
    assert quality.not_finite == 50
    assert quality.roc_auc is None or math.isfinite(quality.roc_auc)


# --- the page ---


def result(found: Evaluation, name: str = "a&b.jsonl") -> dict[str, Any]:
    return as_json(found, Source(name, "0" * 64), ZONE, "jurisdiction")


PAGES = {
    "nothing": lambda: run([]),
    "no labels": lambda: run(town(30)),
    "labels": lambda: run(town(200), "TailSurprise", "LODA", labels=labels_of(*PLANTED)),
    "nothing wrong": lambda: run(town(30), labels=labels_of()),
}


@pytest.mark.parametrize("case", PAGES)
def test_the_page_is_well_formed_and_loads_and_runs_nothing(case: str) -> None:
    html = page_of(result(PAGES[case]()))
    read = Page(html)
    assert html.startswith('<!DOCTYPE html>\n<html lang="zh-CN">')
    assert not {"script", "img", "link", "iframe", "object", "a", "form"} & {tag for tag, _ in read.tags}
    assert not {"src", "href", "style", "onclick", "onload"} & {name for _, attrs in read.tags for name in attrs}
    assert "//" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    policy = next(attrs["content"] for tag, attrs in read.tags if "http-equiv" in attrs)
    style = re.search(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    assert style is not None
    assert f"sha256-{base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()}" in (policy or "")


def test_the_page_says_the_figures_in_both_languages() -> None:
    found = run(town(200), "TailSurprise", "LODA", labels=labels_of(*PLANTED))
    text = Page(page_of(result(found))).text
    for said in ("异常模型评估报告", "Evaluation of the anomaly model", "LODA", f"{only_ours(found):.3f}"):
        assert said in text


def test_the_page_draws_the_rate_of_alerts_and_the_target_that_is_common_to_all() -> None:
    of = result(run(town(30), "TailSurprise", "LODA"))
    for each in of["detectors"]:
        each["by_block"] = [0.01, 0.02]
    html = page_of(of)
    assert html.count("<polyline") == 2
    assert html.count("dashed: the target") == 1
    of["detectors"][0]["target"] = 0.05
    assert "dashed: the target" not in page_of(of)


def only_ours(found: Evaluation) -> float:
    value = found.detectors[0].average_precision
    assert value is not None
    return value


def test_a_file_name_cannot_become_markup() -> None:
    html = page_of(result(run(town(3)), name='"><script>alert(1)</script>'))
    assert "<script" not in html


def test_charts_are_drawn_within_their_frame() -> None:
    blocks = [{"detector": "A", "target": 0.01, "by_block": [0.009, 0.011, 0.02], "curve": [(0.5, 1.0), (1.0, 0.25)]}]
    for plot in (precision_plot(blocks), alerts_plot(blocks)):
        assert plot is not None
        (line,) = plot.lines
        for place in line.points.split():
            x, y = map(float, place.split(","))
            assert plot.left <= x <= plot.right
            assert plot.top <= y <= plot.bottom


def test_there_is_no_chart_of_nothing() -> None:
    nothing = [{"detector": "A", "target": 0.01, "by_block": [], "curve": []}]
    assert precision_plot(nothing) is None
    assert alerts_plot(nothing) is None
