"""The report (报告) of a back-test: its result as one HTML page that stands alone.

The page loads nothing, runs nothing and says the same for the same result. Everything in it comes through autoescape,
and its Content-Security-Policy allows its own style sheet only.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

from treasury_watch.adapters.report.charts import (
    MOST_MONTHS,
    MOST_RULES,
    VERDICT_NAMES,
    months_chart,
    percent,
    rules_chart,
    verdicts_chart,
)
from treasury_watch.adapters.report.templates import template

EXAMPLES = 2  # of each rule
_FOLDER = Path(__file__).parent
_UNITS = ((Decimal(100_000_000), "亿元"), (Decimal(10_000), "万元"))


def page_of(result: Mapping[str, Any]) -> str:
    """The HTML page of a back-test's result (`adapters.backtest.as_json`)."""
    style = (_FOLDER / "page.css").read_text(encoding="utf-8")
    against = result["against"]
    noisy = [each["rule"] for each in result["noisy"]]
    sides = [("", result["verdicts"])]
    if against:
        sides = [("旧 old", against["verdicts"]), ("新 new", result["verdicts"])]
    return template("page.html", count=count, yuan=yuan, short_yuan=short_yuan, percent=percent, chosen=_chosen).render(
        result=result,
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        statuses=_statuses(result),
        titles={each["id"]: each["title"] for each in result["rules"]},
        noisy=noisy,
        rules_chart=rules_chart(result["rules"], noisy),
        months_chart=months_chart(result["months"]),
        verdicts_chart=verdicts_chart(sides),
        verdict_names=VERDICT_NAMES
        | {"record": "记录 record", "refused": "拒收 refused", "duplicate": "重复 duplicate"},
        most_rules=MOST_RULES,
        most_months=MOST_MONTHS,
        most_examples=EXAMPLES,
    )


def _statuses(result: Mapping[str, Any]) -> list[str]:
    """What a line may have become with either rule set: the verdicts, and whatever else occurs."""
    against = result["against"]
    found = {*against["matrix"], *(new for row in against["matrix"].values() for new in row)} if against else set()
    return [*result["verdicts"], *sorted(found - result["verdicts"].keys())]


def count(number: int) -> str:
    return f"{number:,}"


def yuan(text: str) -> str:
    """An amount with thousands separators: "-1234.50" → "-1,234.50"."""
    return f"{Decimal(text):,.2f}"


def short_yuan(text: str) -> str:
    """An amount as Chinese readers say it, in 万 or 亿 with two places where it is that large."""
    amount = Decimal(text)
    for unit, name in _UNITS:
        if abs(amount) >= unit:
            return f"{(amount / unit).quantize(Decimal('0.01'), ROUND_HALF_EVEN):,}{name}"
    return f"{amount:,.2f}元"


def _chosen(examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The examples of one rule that are shown: the largest and the first; where there is one, that one."""
    ranked = sorted(examples, key=lambda each: ("largest" not in each["why"], "first" not in each["why"], each["line"]))
    return ranked[:EXAMPLES]
