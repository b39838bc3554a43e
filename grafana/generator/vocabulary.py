"""Words and colours that mean the same on every dashboard."""

from __future__ import annotations

from typing import Final

from grafana.generator.panels import Named
from grafana.generator.texts import Text

VERDICTS: Final = {
    "pass": Named(Text("放行", "pass"), "green"),
    "warn": Named(Text("预警", "warn"), "yellow"),
    "intercept": Named(Text("拦截", "intercept"), "orange"),
    "prohibit": Named(Text("禁止", "prohibit"), "red"),
}
CASES: Final = {verdict: VERDICTS[verdict] for verdict in ("warn", "intercept", "prohibit")}
STATUSES: Final = {
    "open": Named(Text("未处置", "open"), "orange"),
    "release": Named(Text("已放行", "released"), "green"),
    "return": Named(Text("已退回", "returned"), "blue"),
    "confirm": Named(Text("已认定", "confirmed"), "red"),
}
LEVELS: Final = {
    "grey": Named(Text("灰", "grey"), "#8e8e8e"),
    "red": Named(Text("红", "red"), "red"),
    "orange": Named(Text("橙", "orange"), "orange"),
    "yellow": Named(Text("黄", "yellow"), "yellow"),
    "blue": Named(Text("蓝", "blue"), "blue"),
}
MODES: Final = {
    "live": Named(Text("正式", "live"), "green"),
    "shadow": Named(Text("试运行", "shadow"), "purple"),
    "warming": Named(Text("预热", "warming"), "blue"),
}
MONEY: Final = Text("suffix: 万元", "currency:¥")  # staff count in ten thousands of yuan


def in_money(yuan: str) -> Text:
    """An expression of PromQL of yuan, as `MONEY` shows it."""
    return Text(f"({yuan}) / 10000", yuan)


ALERTS: Final = 'alertname=~"TreasuryWatch.+", severity=~"critical|warning"'  # not the one that always fires

NONE: Final = {"-": Named(Text("无", "none"), "#8e8e8e")}


def most_hits(mode: str, chosen: str = "") -> str:
    """Filters series of rules down to the ten that hit most in the chosen period."""
    hits = f'treasury_watch_hits_total{{{chosen}mode="{mode}"}}'
    return f"and on (rule) topk(10, sum by (rule) (increase({hits}[$__range] @ end())) > 0)"


def or_none(expr: str, label: str) -> str:
    """The series of an expression, and while there are none, zero under the name `-` in this label: an empty panel
    would look like one that is broken.
    """
    return f'{expr} or on () label_replace(vector(0), "{label}", "-", "", "")'
