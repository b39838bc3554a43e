"""Charts (图表) as geometry: bars with their places in the units of an SVG, for the template to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 720  # of every chart
LABEL = 108  # what names of rows take on the left, and may take where they are long
MOST_LABEL = 240
VALUE = 130  # what numbers take on the right
ROW = 22
BAR = 14
MOST_RULES = 40
MOST_MONTHS = 36
COLUMNS = 180  # how high the columns of months may be
SMALLEST = 0.000001  # a share that is said in digits
NOT_PASSED = ("warn", "intercept", "prohibit")


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    css: str
    hover: str


@dataclass(frozen=True, slots=True)
class Label:
    x: float
    y: float
    text: str
    anchor: str = "start"  # start, middle, end
    hover: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    height: float
    bars: tuple[Bar, ...]
    labels: tuple[Label, ...]
    title: str  # read out where it cannot be seen
    width: int = WIDTH


def rules_chart(rules: Sequence[Mapping[str, Any]], noisy: Sequence[str]) -> Chart | None:
    """Hits by rule, the most first; `None` where no rule hit anything."""
    shown = sorted((each for each in rules if each["hits"]), key=lambda each: (-each["hits"], each["id"]))[:MOST_RULES]
    if not shown:
        return None
    most = shown[0]["hits"]
    left = min(max(LABEL, 8 * max(len(each["id"]) for each in shown) + 12), MOST_LABEL)
    bars, labels = [], []
    for row, each in enumerate(shown):
        y = row * ROW
        width = _scaled(each["hits"], most, WIDTH - left - VALUE)
        hover = (
            f"{each['id']} {each['title']['zh']} · {each['title']['en']}: {each['hits']:,} / {each['payments']:,} "
            f"({percent(each['share'])})"
        )
        css = f"{each['mode']}{' noisy' if each['id'] in noisy else ''}"
        bars.append(Bar(left, y + (ROW - BAR) / 2, width, BAR, css, hover))
        labels.append(Label(left - 8, y + ROW - 7, _shortened(each["id"], left - 12), "end", hover))
        labels.append(Label(left + width + 6, y + ROW - 7, f"{each['hits']:,}", hover=hover))
    return Chart(len(shown) * ROW, tuple(bars), tuple(labels), "各规则命中次数 · Hits by rule")


def months_chart(months: Mapping[str, Mapping[str, int]]) -> Chart | None:
    """Payments warned of or held by month, stacked; the last MOST_MONTHS months. `None` where there are none."""
    shown = list(months.items())[-MOST_MONTHS:]
    most = max((_not_passed(verdicts) for _, verdicts in shown), default=0)
    if not most:
        return None
    left, top, step = 56.0, 22.0, (WIDTH - 56) / max(len(shown), 6)
    every = -(-len(shown) // 12)
    bars, labels = [], [Label(left - 8, top + 5, f"{most:,}", "end"), Label(left - 8, top + COLUMNS, "0", "end")]
    for column, (month, verdicts) in enumerate(shown):
        x, y = left + column * step + step * 0.15, top + COLUMNS
        hover = f"{month}: {told(verdicts)}"
        for verdict in NOT_PASSED:
            height = _scaled(verdicts[verdict], most, COLUMNS)
            y = round(y - height, 2)
            if height:
                bars.append(Bar(round(x, 2), y, round(step * 0.7, 2), height, verdict, hover))
        if column % every == 0:
            labels.append(Label(round(x + step * 0.35, 2), top + COLUMNS + 18, month, "middle", hover))
        if len(shown) <= 14:
            labels.append(Label(round(x + step * 0.35, 2), y - 5, f"{_not_passed(verdicts):,}", "middle", hover))
    return Chart(top + COLUMNS + 26, tuple(bars), tuple(labels), "各月预警和拦截笔数 · Warned and held by month")


def verdicts_chart(sides: Sequence[tuple[str, Mapping[str, int]]]) -> Chart | None:
    """Payments warned of or held, by verdict, a row for each rule set; `None` where every payment passed."""
    most = max((verdicts[verdict] for _, verdicts in sides for verdict in NOT_PASSED), default=0)
    if not most:
        return None
    bars, labels = [], []
    y = 0.0
    for verdict in NOT_PASSED:
        for place, (side, verdicts) in enumerate(sides):
            width = _scaled(verdicts[verdict], most, WIDTH - LABEL - VALUE)
            hover = f"{side} {VERDICT_NAMES[verdict]}: {verdicts[verdict]:,}".strip()
            bars.append(Bar(LABEL, y + (ROW - BAR) / 2, width, BAR, f"{verdict} side{len(sides) - place}", hover))
            name = VERDICT_NAMES[verdict] if place == 0 else ""
            labels.append(Label(LABEL - 8, y + ROW - 7, name, "end", hover))
            count = f"{verdicts[verdict]:,}" + (f"  {side}" if side else "")
            labels.append(Label(LABEL + width + 6, y + ROW - 7, count, hover=hover))
            y += ROW
        y += 8 if len(sides) > 1 else 0
    return Chart(y, tuple(bars), tuple(labels), "预警和拦截 · Warned and held")


VERDICT_NAMES = {"pass": "放行 pass", "warn": "预警 warn", "intercept": "拦截 intercept", "prohibit": "禁止 prohibit"}


def told(verdicts: Mapping[str, int]) -> str:
    return ", ".join(f"{VERDICT_NAMES[verdict]} {count:,}" for verdict, count in verdicts.items())


def percent(share: float | None) -> str:
    """A share as percent with four digits at most; a dash for none."""
    if share is None:
        return "–"
    return "<0.0001%" if 0 < share < SMALLEST else f"{share * 100:.4g}%"


def _not_passed(verdicts: Mapping[str, int]) -> int:
    return sum(verdicts[verdict] for verdict in NOT_PASSED)


def _shortened(name: str, width: int) -> str:
    longest = width // 8
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _scaled(value: int, most: int, length: float) -> float:
    """A length in proportion; what is not zero can be seen."""
    return round(max(length * value / most, 1.0), 2) if value else 0.0
