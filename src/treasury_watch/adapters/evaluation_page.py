"""The report (报告) of an evaluation: its result as one HTML page that stands alone, as that of a back-test does."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from treasury_watch.adapters.report import count, yuan
from treasury_watch.adapters.report.charts import Label, percent
from treasury_watch.adapters.report.templates import template

_REPORT = Path(__file__).parent / "report"
WIDTH, HEIGHT = 720, 300  # of every chart, without the names below it
_ROW = 18  # of names
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 12.0, 12.0, 40.0
_COLOURS = ("#2f6db3", "#d98a00", "#4a8a5f", "#6b4fa0", "#c62f2f", "#3c3f46")


@dataclass(frozen=True, slots=True)
class Line:
    """One detector's line: its points in the units of the SVG, as the attribute `points` has them."""

    detector: str
    colour: str
    points: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines in a frame, with their names below it. `ticks` are labels at the frame, `level` the height of a line that
    they are to keep to.
    """

    title: str  # read out where it cannot be seen
    lines: tuple[Line, ...]
    ticks: tuple[Label, ...]
    level: float | None = None
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM
    width: int = WIDTH
    row: int = _ROW
    names: int = HEIGHT + 6  # where they begin

    @property
    def height(self) -> int:
        return self.names + _ROW * len(self.lines)


def page_of(result: Mapping[str, Any]) -> str:
    """The HTML page of an evaluation's result (`adapters.evaluation.as_json`)."""
    style = (_REPORT / "page.css").read_text(encoding="utf-8")
    detectors = result["detectors"]
    return template("evaluation_page.html", count=count, percent=percent, yuan=yuan, fixed=_fixed).render(
        result=result,
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        precision=precision_plot(detectors),
        alerts=alerts_plot(detectors),
    )


def precision_plot(detectors: Sequence[Mapping[str, Any]]) -> Plot | None:
    """Precision over recall, both from 0 to 1; `None` where there are no labels."""
    curves = [each["curve"] for each in detectors]
    if not any(curves):
        return None
    return Plot(
        "精确率与召回率 · Precision and recall",
        tuple(_lines(detectors, curves)),
        (*_across([(0.0, "0"), (0.5, "0.5"), (1.0, "1")], "召回率 recall"), *_up(1.0, "1")),
    )


def alerts_plot(detectors: Sequence[Mapping[str, Any]]) -> Plot | None:
    """The rate of alerts of each block of 10,000 payments; `None` where there is no whole block."""
    rates = [each["by_block"] for each in detectors]
    longest = max(map(len, rates), default=0)
    if not longest:
        return None
    targets = {each["target"] for each in detectors}
    most = max(*targets, *(rate for each in rates for rate in each)) * 1.25
    places = [[((at + 0.5) / longest, rate / most) for at, rate in enumerate(each)] for each in rates]
    ends = [(0.5 / longest, "1"), ((longest - 0.5) / longest, f"{longest:,}")][: 1 + (longest > 1)]
    return Plot(
        "每万笔的报警率 · Rate of alerts by 10,000 payments",
        tuple(_lines(detectors, places)),
        (*_across(ends, "第几个一万笔 which 10,000 payments"), *_up(1.0, percent(most))),
        _y(min(targets) / most) if len(targets) == 1 else None,
    )


def _lines(detectors: Sequence[Mapping[str, Any]], places: Sequence[Sequence[tuple[float, float]]]) -> Iterator[Line]:
    """Lines through places in the unit square; a single one is drawn as a short dash, so that it can be seen."""
    for at, (each, found) in enumerate(zip(detectors, places, strict=True)):
        shown = [(_x(x) + shift, _y(y)) for x, y in found for shift in ((-6.0, 6.0) if len(found) == 1 else (0.0,))]
        yield Line(each["detector"], _colour(at), " ".join(f"{x:.1f},{y:.1f}" for x, y in shown))


def _x(share: float) -> float:
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return round(HEIGHT - _BOTTOM - share * (HEIGHT - _BOTTOM - _TOP), 1)


def _across(ticks: Sequence[tuple[float, str]], name: str) -> Iterator[Label]:
    for share, text in ticks:
        yield Label(_x(share), HEIGHT - _BOTTOM + 16, text, "end" if share == 1.0 else "middle")
    yield Label(_x(0.5), HEIGHT - 8, name, "middle")


def _up(share: float, text: str) -> Iterator[Label]:
    yield Label(_LEFT - 8, _y(share) + 5, text, "end")
    yield Label(_LEFT - 8, _y(0.0), "0", "end")


def _colour(at: int) -> str:
    return _COLOURS[at % len(_COLOURS)]


def _fixed(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
