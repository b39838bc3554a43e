"""The report of a back-test: one page that stands alone, right for any result."""

from __future__ import annotations

import base64
import hashlib
import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.builders import make_instruction
from tests.rulesets import leaf, make_rule, make_ruleset, yuan
from treasury_watch.adapters.backtest import Source, as_json, back_test, read_labels
from treasury_watch.adapters.jsonl import Line
from treasury_watch.adapters.report import page_of, short_yuan
from treasury_watch.adapters.report.charts import WIDTH, months_chart, percent, rules_chart
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.verdict import Text
from treasury_watch.rules.schema import Rule

VOID = {"meta", "input", "br", "link", "img"}
LARGE = make_rule("AMT-001", leaf("amount", "gte", yuan("500000.00")), title=Text("大额支付", "Large payment"))


class Page(HTMLParser):
    """Every tag with its attributes, all text, and whether tags close in the order in which they opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def page(
    *payments: Any, rules: tuple[Rule, ...] = (LARGE,), old: tuple[Rule, ...] | None = None, labels: bytes = b""
) -> str:
    file = [Line(at, encode_instruction(each)) for at, each in enumerate(payments, 1)]
    against = None if old is None else ("旧<版>", make_ruleset(*old))
    known = read_labels([Line(1, labels)], "labels") if labels else None
    return page_of(as_json(back_test(file, make_ruleset(*rules), against, known), Source("a&b.jsonl", "0" * 64)))


def large(number: int = 1, **fields: Any) -> Any:
    return make_instruction(instruction_id=f"PI-{number}", amount="500000.00", **fields)


EVERYTHING = {
    "nothing": lambda: page(),
    "no rule hit": lambda: page(make_instruction()),
    "no rule at all": lambda: page(large(), rules=()),
    "one rule, one hit": lambda: page(large()),
    "against": lambda: page(large(), old=(make_rule("AMT-001", LARGE.when, mode="shadow"),)),
    "against the same": lambda: page(large(), old=(LARGE,)),
    "labels": lambda: page(large(), labels=b'{"instruction_id":"PI-1","kind":"x","rule_ids":["AMT-001","GONE-001"]}'),
    "answers": lambda: page(large(), labels=b'{"instruction_id":"PI-1","label":"false_alarm"}'),
}


@pytest.mark.parametrize("case", EVERYTHING)
def test_the_page_is_well_formed_and_loads_and_runs_nothing(case: str) -> None:
    html = EVERYTHING[case]()
    read = Page(html)
    assert html.startswith('<!DOCTYPE html>\n<html lang="zh-CN">')
    assert not {"script", "img", "link", "iframe", "object", "a", "form"} & {tag for tag, _ in read.tags}
    assert not {"src", "href", "style", "onclick", "onload"} & {name for _, attrs in read.tags for name in attrs}
    assert "//" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    assert "url(" not in html
    assert "@import" not in html


def test_its_policy_allows_its_own_style_sheet_alone() -> None:
    html = page(large())
    policy = next(attrs["content"] for tag, attrs in Page(html).tags if "http-equiv" in attrs)
    style = re.search(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_texts_of_payments_and_rules_cannot_become_markup() -> None:
    hostile = '"><script>alert(1)</script>'
    rule = make_rule("AMT-001", LARGE.when, title=Text(hostile, hostile), reason=Text(hostile, hostile))
    html = page(large(payee_name=hostile, purpose=hostile, budget_unit_name=hostile), rules=(rule,), old=(LARGE,))
    assert "<script" not in html
    assert Page(html).text.count("<script>alert(1)</script>") > 5


def test_headlines_come_first_then_changes_then_rules_then_examples() -> None:
    text = Page(page(large(), old=(make_rule("AMT-001", LARGE.when, mode="shadow"),))).text
    order = ["规则回测报告", "拦截金额", "新增拦截", "变化", "需要关注的规则", "实例"]
    assert [text.index(each) for each in order] == sorted(text.index(each) for each in order)


def test_accounts_are_masked_and_chinese_stands_before_english() -> None:
    html = page(large(payee_account="42002000000000002222", payer_account="42001000000000001111"))
    assert "****************2222" in html
    assert "42002000000000002222" not in html
    assert "42001000000000001111" not in html
    assert re.search(r'lang="zh">规则回测报告</span> <span class="e" lang="en">Rule back-test<', html)


def test_a_broken_expectation_is_told_at_the_top_with_its_numbers() -> None:
    text = Page(page(large(), rules=(make_rule("AMT-001", LARGE.when, max_share=Decimal("0.005")),))).text
    assert "1 of 1 payments, 100%, expected at most 0.5%" in text
    assert text.index("expected at most") < text.index("payments judged")


def test_a_file_without_payments_is_said_to_show_nothing() -> None:
    html = page()
    assert "没有可判定的支付" in html
    assert Page(html).count("svg") == 0


def test_the_same_result_gives_the_same_page() -> None:
    assert page(large(), old=(LARGE,)) == page(large(), old=(LARGE,))


# --- charts ---


def rule_numbers(*hits: int) -> list[dict[str, Any]]:
    title = {"zh": "规则", "en": "rule"}
    return [
        {"id": f"R-{at:03}", "title": title, "mode": "live", "hits": each, "payments": 1000, "share": each / 1000}
        for at, each in enumerate(hits)
    ]


def test_bars_are_in_proportion_and_the_smallest_can_be_seen() -> None:
    chart = rules_chart(rule_numbers(500, 1000, 1, 0), [])
    assert chart is not None
    first, second, third = chart.bars
    assert first.width == 2 * second.width
    assert third.width == 1.0
    assert all(bar.x + bar.width < WIDTH for bar in chart.bars)


def test_only_the_rules_with_most_hits_are_drawn() -> None:
    chart = rules_chart(rule_numbers(*range(1, 101)), [])
    assert chart is not None
    assert len(chart.bars) == 40
    assert chart.labels[0].text == "R-099"


def test_a_long_id_is_cut_where_it_would_run_out_of_the_chart() -> None:
    chart = rules_chart([rule_numbers(5)[0] | {"id": "LONG-" + "X" * 60}], [])
    assert chart is not None
    assert chart.labels[0].text.endswith("…")
    assert len(chart.labels[0].text) * 8 <= chart.bars[0].x


def test_months_are_stacked_up_to_the_busiest_one() -> None:
    def month(warn: int, held: int) -> dict[str, int]:
        return {"pass": 9, "warn": warn, "intercept": held, "prohibit": 0}

    chart = months_chart({"2025-12": month(3, 1), "2026-01": month(1, 1)})
    assert chart is not None
    assert [bar.height for bar in chart.bars] == [135.0, 45.0, 45.0, 45.0]
    assert chart.bars[1].y + chart.bars[1].height == chart.bars[0].y
    assert months_chart({"2025-12": month(0, 0)}) is None


@pytest.mark.parametrize(
    ("share", "said"),
    [(None, "–"), (0.0, "0%"), (1e-07, "<0.0001%"), (1e-06, "0.0001%"), (0.119415, "11.94%"), (1.0, "100%")],
)
def test_a_share_that_is_there_is_never_said_to_be_nothing(share: float | None, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(
    ("amount", "said"),
    [("9999.99", "9,999.99元"), ("10000.00", "1.00万元"), ("-123456789.00", "-1.23亿元"), ("0.00", "0.00元")],
)
def test_amounts_are_said_in_ten_thousands_and_hundred_millions(amount: str, said: str) -> None:
    assert short_yuan(amount) == said
