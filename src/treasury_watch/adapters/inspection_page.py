"""The page (页面) of an inspection: what the models know, as one HTML page that stands alone."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from treasury_watch.adapters.report import count, yuan
from treasury_watch.adapters.report.charts import BAR, MOST_LABEL, ROW, VALUE, WIDTH, Bar, Chart, Label, percent
from treasury_watch.adapters.report.templates import template
from treasury_watch.engine.anomaly.core import WEIGHT_LIMIT
from treasury_watch.engine.anomaly.histogram import MOST

MOST_MODELS = 40  # in the chart of warm-up, those that lack most first
_REPORT = Path(__file__).parent / "report"
_LEFT, _TOP, _HIGH, _BELOW = 56.0, 10.0, 110.0, 24.0  # of charts of bins
_DASH = 2.0  # how thick a surprise is drawn
_SCORE_BINS = 60


def page_of(result: Mapping[str, Any]) -> str:
    """The HTML page of an inspection (`adapters.inspection.as_json`, with `source`, `damaged` and `shown`)."""
    style = (_REPORT / "page.css").read_text(encoding="utf-8")
    shown = result["shown"]
    return template("inspection_page.html", count=count, percent=percent, yuan=yuan, fixed=_fixed).render(
        result=result,
        shown=shown,
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        warm_up=warm_up_chart(result["models"], result["warm_at"]),
        most_models=MOST_MODELS,
        weights=None if shown is None else weights_chart(shown["weights"]),
        scores=None if shown is None else scores_chart(shown["scores"], shown["alerts_from"]),
        histograms=[] if shown is None else [(each, histogram_chart(each)) for each in shown["histograms"]],
    )


def warm_up_chart(models: Sequence[Mapping[str, Any]], warm_at: int) -> Chart | None:
    """How many scores each model has of those that a p-value needs; `None` where there is no model."""
    if not models:
        return None
    shown = sorted(models, key=lambda each: (-each["lacking"], each["partition_key"]))[:MOST_MODELS]
    bars, labels = [], []
    for row, each in enumerate(shown):
        y, has = row * ROW, min(each["scores"], warm_at)
        width = max(1.0, round((WIDTH - MOST_LABEL - VALUE) * has / warm_at, 2))
        hover = f"{each['partition_key']}: {each['scores']:,} / {warm_at:,}"
        bars.append(Bar(MOST_LABEL, y + (ROW - BAR) / 2, width, BAR, "live" if each["warm"] else "draft", hover))
        labels.append(Label(MOST_LABEL - 8, y + ROW - 7, _shortened(each["partition_key"]), "end", hover))
        told = f"{has:,}" if each["lacking"] else f"{warm_at:,} ✓"
        labels.append(Label(MOST_LABEL + width + 6, y + ROW - 7, told, hover=hover))
    return Chart(len(shown) * ROW, tuple(bars), tuple(labels), "预热 · Warm-up")


def weights_chart(weights: Sequence[Mapping[str, Any]]) -> Chart:
    """How far each weight has moved from the first one: to the right what counts for more now, to the left for less."""
    half = (WIDTH - MOST_LABEL - VALUE) / 2
    middle = MOST_LABEL + half
    bars, labels = [], []
    for row, each in enumerate(weights):
        y = row * ROW
        length = round(half * math.log(each["now"] / each["first"]) / math.log(WEIGHT_LIMIT), 2)
        hover = f"{each['feature']}: {each['first']:.4g} → {each['now']:.4g}"
        x = middle + min(length, 0.0)
        bars.append(
            Bar(x, y + (ROW - BAR) / 2, max(1.0, abs(length)), BAR, "live" if length >= 0.0 else "shadow", hover)
        )
        labels.append(Label(MOST_LABEL - 8, y + ROW - 7, each["feature"], "end", hover))
        labels.append(Label(WIDTH - VALUE + 6, y + ROW - 7, f"{each['first']:.4g} → {each['now']:.4g}", hover=hover))
    return Chart(len(weights) * ROW, tuple(bars), tuple(labels), "权重 · Weights")


def scores_chart(scores: Sequence[float], alerts_from: float | None) -> Chart | None:
    """How many of the last scores lie where, by ln(1 + score); those that would alert now stand out."""
    if not scores:
        return None
    highest = math.log1p(max(scores)) or 1.0
    counts, alerts = [0.0] * _SCORE_BINS, [0] * _SCORE_BINS
    for score in scores:
        at = min(_SCORE_BINS - 1, int(math.log1p(score) / highest * _SCORE_BINS))
        counts[at] += 1
        alerts[at] += alerts_from is not None and score >= alerts_from
    edges = [math.expm1(highest * at / _SCORE_BINS) for at in range(_SCORE_BINS + 1)]
    hovers = [
        f"{low:.4g} – {high:.4g}: {number:.0f}" + (f", 报警 alerts {odd}" if odd else "")
        for low, high, number, odd in zip(edges, edges[1:], counts, alerts, strict=False)
    ]
    bars = _columns(counts, hovers, ["warn" if odd else "live" for odd in alerts])
    return Chart(
        _TOP + _HIGH + _BELOW, tuple(bars), _ends("0", f"{max(scores):.4g}", max(counts)), "近期异常分 · Last scores"
    )


def histogram_chart(histogram: Mapping[str, Any]) -> Chart:
    """The values of a feature, and as dashes the surprise of each, from 0 below to 20 at the top."""
    counts, surprises = histogram["counts"], histogram["surprises"]
    low, width = histogram["low"], (histogram["high"] - histogram["low"]) / len(counts)
    hovers = [
        f"{low + at * width:.2f} – {low + (at + 1) * width:.2f}: {number:.4g}; 意外度 surprise {surprise:.3g}"
        for at, (number, surprise) in enumerate(zip(counts, surprises, strict=True))
    ]
    bars = _columns(counts, hovers, ["live"] * len(counts))
    step = (WIDTH - _LEFT) / len(counts)
    bars += [
        Bar(
            round(_LEFT + at * step, 2),
            round(_TOP + _HIGH * (1.0 - surprise / MOST) - _DASH / 2, 2),
            round(step, 2),
            _DASH,
            "warn",
            hovers[at],
        )
        for at, surprise in enumerate(surprises)
        if surprise > 0.0
    ]
    ends = _ends(f"{histogram['low']:g}", f"{histogram['high']:g}", max(counts))
    return Chart(_TOP + _HIGH + _BELOW, tuple(bars), ends, histogram["feature"])


def _columns(counts: Sequence[float], hovers: Sequence[str], css: Sequence[str]) -> list[Bar]:
    """Columns as high as ln(1 + count), so that what is rare can be seen; none for what has aged to less than that."""
    most, step = math.log1p(max(counts)) or 1.0, (WIDTH - _LEFT) / len(counts)
    return [
        Bar(
            round(_LEFT + at * step, 2),
            round(_TOP + _HIGH - height, 2),
            round(step * 0.85, 2),
            height,
            css[at],
            hovers[at],
        )
        for at, number in enumerate(counts)
        if (height := round(_HIGH * math.log1p(number) / most, 2))
    ]


def _ends(low: str, high: str, most: float) -> tuple[Label, ...]:
    return (
        Label(_LEFT, _TOP + _HIGH + 16, low),
        Label(WIDTH - 2, _TOP + _HIGH + 16, high, "end"),
        Label(_LEFT - 8, _TOP + 8, f"{most:,.0f}", "end"),
        Label(_LEFT - 8, _TOP + _HIGH, "0", "end"),
    )


def _shortened(key: str) -> str:
    longest = (MOST_LABEL - 12) // 8
    return key if len(key) <= longest else f"{key[: longest - 1]}…"


def _fixed(value: float) -> str:
    return f"{value:.4g}"
