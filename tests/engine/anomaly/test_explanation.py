"""Every feature has a sentence in both languages that names what is usual; the drivers are the largest parts."""

from __future__ import annotations

import pytest

from tests.engine.anomaly.paying import live, ordinary, paid
from treasury_watch.engine.anomaly import Model, Observation, drivers
from treasury_watch.engine.anomaly.features import NAMES

_LAST = 24.0 * 7 * 14 + 10.0  # a Monday, 10:00, shortly after the ordinary payments


@pytest.fixture
def model() -> Model:
    made = Model()
    live(made, ordinary(2_800))
    return made


def _quick(count: int, payee: str = "P3-3") -> list[Observation]:
    """Payments of one unit, six minutes apart; braces in the payee are the number."""
    return [paid(_LAST + number / 10, 10_000, "U3", payee.format(number), "S1") for number in range(count)]


# By feature: payments before, the payment, the sentences.
_GOLDEN: dict[str, tuple[list[Observation], Observation, str, str]] = {
    "amount": (
        [],
        paid(_LAST, 90_000_000, "U3", "P3-0", "S1"),
        "本辖区以前几乎没有这样大的付款",
        "hardly any payment here was ever as large",
    ),
    "unit_amount": (
        [],
        paid(_LAST, 526_000, "U3", "P3-0", "S1"),
        "付款金额为该单位平常的 38 倍",
        "the amount is 38 times what this unit usually pays",
    ),
    "pair_amount": (
        [],
        paid(_LAST, 2_000_000, "U3", "P3-0", "S1"),
        "付款金额为该单位平常付给该收款人的 130 倍",
        "the amount is 130 times what this unit usually pays this payee",
    ),
    "subject_amount": (
        [],
        paid(_LAST, 2_000_000, "U3", "P3-0", "S1"),
        "付款金额为该单位在该支出科目上平常的 130 倍",
        "the amount is 130 times what this unit usually pays under this subject",
    ),
    "new_payee": (
        [],
        paid(_LAST, 3_000, "U3", "new", "S1"),
        "该单位首次向该收款人付款（其付款中约 0.9% 付给新收款人）",
        "the first payment of this unit to this payee (about 0.9 % of its payments go to new payees)",
    ),
    "rare_payee": (
        [],
        paid(_LAST, 3_000, "U3", "new", "S1"),
        "本辖区此前没有向该收款人付过款",
        "this payee has never been paid here before",
    ),
    "unit_burst": (
        _quick(40, "P3-{}"),
        paid(_LAST + 4, 10_000, "U3", "P3-50", "S1"),
        "该单位近一天的付款笔数约为平常的 6.0 倍",
        "about 6.0 times as many payments of this unit in a day as usual",
    ),
    "payee_burst": (
        _quick(9),
        paid(_LAST + 1, 10_000, "U3", "P3-3", "S1"),
        "该收款人近一天收到的付款笔数约为平常的 5.6 倍",
        "about 5.6 times as many payments to this payee in a day as usual",
    ),
    "pair_burst": (
        _quick(9),
        paid(_LAST + 1, 10_000, "U3", "P3-3", "S1"),
        "该单位近一天向该收款人付款约 10 笔",
        "about 10 payments of this unit to this payee in a day",
    ),
    "pair_busy": (
        _quick(9),
        paid(_LAST + 1, 10_000, "U3", "P3-3", "S1"),
        "该单位近一天向该收款人付款的次数约为平常的 5.6 倍",
        "this unit pays this payee about 5.6 times as often in a day as is usual for them",
    ),
    "hour": (
        [],
        paid(_LAST + 64, 10_000, "U3", "P3-0", "S1"),
        "该单位很少在周四 2 时付款",
        "this unit seldom pays on a Thursday between 2:00 and 3:00",
    ),
}


@pytest.mark.parametrize("feature", _GOLDEN)
def test_the_sentence_of(model: Model, feature: str) -> None:
    before, seen, zh, en = _GOLDEN[feature]
    live(model, before)
    said = {each.feature: (each.zh, each.en) for each in drivers(seen, model.score(seen))}
    assert said[feature] == (zh, en)


def test_what_people_said_of_a_unit_and_a_payee_is_told(model: Model) -> None:
    seen = ordinary(2_800)[-1]
    model.feedback(model.effect(seen, model.score(seen), True), True)
    said = {each.feature: (each.zh, each.en) for each in drivers(seen, model.score(seen))}
    assert said["unit_record"] == ("该单位以前的付款曾被认定有问题", "payments of this unit were found wrong before")
    assert said["payee_record"] == (
        "付给该收款人的款项曾被认定有问题",
        "payments to this payee were found wrong before",
    )


def test_every_feature_has_its_sentences_tested() -> None:
    assert {*_GOLDEN, "unit_record", "payee_record"} == {*NAMES}


def test_drivers_are_the_largest_parts_of_the_score(model: Model) -> None:
    seen = paid(_LAST, 90_000_000, "U3", "new", "S1")
    found = drivers(seen, model.score(seen))
    assert len(found) == 3
    assert [each.share for each in found] == sorted((each.share for each in found), reverse=True)
    assert 0.5 < sum(each.share for each in found) <= 1.0 + 1e-12


def test_what_is_not_odd_has_no_drivers(model: Model) -> None:
    seen = next(each for each in ordinary(2_900)[2_800:] if model.score(each).score == 0.0)
    assert drivers(seen, model.score(seen)) == ()
