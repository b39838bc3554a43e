"""Explanation (解释): what made a payment odd, as sentences in Chinese and English that a clerk understands.

The score is a sum over features, so the drivers are its largest parts; nothing is approximated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from treasury_watch.engine.anomaly.features import NAMES, Measured
from treasury_watch.engine.anomaly.logarithm import exp
from treasury_watch.engine.anomaly.model import Observation, Scored

MOST = 3
_COUNTED = 1_000.0
_DAYS = ("周一", "周二", "周三", "周四", "周五", "周六", "周日")
_DAYS_EN = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Driver(NamedTuple):
    """A part of a score: the feature, its value and surprise, the share of the score in (0, 1], what it says."""

    feature: str
    value: float
    surprise: float
    share: float
    zh: str
    en: str


class _Told(NamedTuple):
    """What a sentence is made of: a feature's value and surprise, the payment, and what was measured."""

    value: float
    surprise: float
    seen: Observation
    measured: Measured


def drivers(seen: Observation, scored: Scored) -> tuple[Driver, ...]:
    """The largest parts of a score, at most three, the largest first; none where nothing was odd."""
    surprises = scored.surprises
    parts = [
        (weight * surprise * surprise, at)
        for at, (weight, surprise) in enumerate(zip(scored.weights, surprises, strict=True))
        if surprise > 0.0
    ]
    parts.sort(key=lambda part: (-part[0], part[1]))
    measured = scored.measured
    return tuple(
        _driver(at, part / scored.score, surprises[at], seen, measured) for part, at in parts[:MOST] if part > 0.0
    )


def _driver(at: int, share: float, surprise: float, seen: Observation, measured: Measured) -> Driver:
    name, value = NAMES[at], measured.values[at]
    assert value is not None  # what is missing is no surprise
    return Driver(name, value, surprise, share, *_SENTENCES[name](_Told(value, surprise, seen, measured)))


def _times(ratio: float) -> str:
    """A ratio as people say it: 1.4, 38, 1,200."""
    if ratio < 9.95:
        return f"{ratio:.1f}"
    whole = round(ratio)
    digits = 10 ** max(0, len(str(whole)) - 2)
    return f"{whole // digits * digits:,}"


def _amount(told: _Told) -> tuple[str, str]:
    one_in = exp(told.surprise + 1.0)
    if one_in > _COUNTED:  # beyond that it would be extrapolated from too few
        return "本辖区以前几乎没有这样大的付款", "hardly any payment here was ever as large"
    return (
        f"这样大的付款在本辖区少见，约 {_times(one_in)} 笔中有一笔",
        f"payments as large are rare here, about one in {_times(one_in)}",
    )


def _ratio_to(usual: Callable[[Measured], float], zh: str, en: str) -> Callable[[_Told], tuple[str, str]]:
    """The amount against a usual one."""

    def say(told: _Told) -> tuple[str, str]:
        times = _times(exp(told.measured.level - usual(told.measured)))
        return f"付款金额为{zh}的 {times} 倍", f"the amount is {times} times {en}"

    return say


def _new_payee(told: _Told) -> tuple[str, str]:
    percent = _times(100.0 * told.measured.new_share)
    return (
        f"该单位首次向该收款人付款（其付款中约 {percent}% 付给新收款人）",
        f"the first payment of this unit to this payee (about {percent} % of its payments go to new payees)",
    )


def _rare_payee(told: _Told) -> tuple[str, str]:
    before = round(exp(-told.value) - 0.5)
    if before == 0:
        return "本辖区此前没有向该收款人付过款", "this payee has never been paid here before"
    return f"本辖区此前只向该收款人付过 {before} 笔款", f"this payee has been paid only {before} times here before"


def _often(zh: str, en: str) -> Callable[[_Told], tuple[str, str]]:
    def say(told: _Told) -> tuple[str, str]:
        times = _times(exp(told.value))
        return (
            f"{zh}约为平常的 {times} 倍",
            f"about {times} times as many payments {en} in a day as usual",
        )

    return say


def _pair_burst(told: _Told) -> tuple[str, str]:
    count = round(exp(told.measured.together))
    return (
        f"该单位近一天向该收款人付款约 {count} 笔",
        f"about {count} payments of this unit to this payee in a day",
    )


def _pair_busy(told: _Told) -> tuple[str, str]:
    times = _times(exp(told.value))
    return (
        f"该单位近一天向该收款人付款的次数约为平常的 {times} 倍",
        f"this unit pays this payee about {times} times as often in a day as is usual for them",
    )


def _hour(told: _Told) -> tuple[str, str]:
    day, hour = divmod(told.seen.hour, 24)
    return (
        f"该单位很少在{_DAYS[day]} {hour} 时付款",
        f"this unit seldom pays on a {_DAYS_EN[day]} between {hour}:00 and {hour + 1}:00",
    )


def _fixed(zh: str, en: str) -> Callable[[_Told], tuple[str, str]]:
    return lambda told: (zh, en)


_SENTENCES: dict[str, Callable[[_Told], tuple[str, str]]] = {
    "amount": _amount,
    "unit_amount": _ratio_to(lambda usual: usual.usual_unit, "该单位平常", "what this unit usually pays"),
    "pair_amount": _ratio_to(
        lambda usual: usual.usual_pair, "该单位平常付给该收款人", "what this unit usually pays this payee"
    ),
    "subject_amount": _ratio_to(
        lambda usual: usual.usual_subject, "该单位在该支出科目上平常", "what this unit usually pays under this subject"
    ),
    "new_payee": _new_payee,
    "rare_payee": _rare_payee,
    "unit_burst": _often("该单位近一天的付款笔数", "of this unit"),
    "payee_burst": _often("该收款人近一天收到的付款笔数", "to this payee"),
    "pair_burst": _pair_burst,
    "pair_busy": _pair_busy,
    "hour": _hour,
    "unit_record": _fixed("该单位以前的付款曾被认定有问题", "payments of this unit were found wrong before"),
    "payee_record": _fixed("付给该收款人的款项曾被认定有问题", "payments to this payee were found wrong before"),
}
