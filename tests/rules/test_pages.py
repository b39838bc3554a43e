"""The pages made of a rule set; and that those in docs/ are made of the shipped one."""

from __future__ import annotations

from pathlib import Path

from tests.rules.texts import CARDS, HEAD, LISTS, REASON, RULE
from treasury_watch.adapters.rulefiles import default_rules, files_of, load
from treasury_watch.domain.verdict import Text
from treasury_watch.rules import read
from treasury_watch.rules.catalogue import Row
from treasury_watch.rules.coverage import coverage
from treasury_watch.rules.pages import catalogue_page, risk_points_page
from treasury_watch.rules.risk_points import RiskPoint
from treasury_watch.rules.sets import catalogue_of, risk_points_of

DOCS = Path(__file__).parents[2] / "docs"
WHEN = "  when: {field: amount, gt: 1.00}\n"
WORDS = "list: words\nowner: a\nbasis: b\nentries: [烟, 酒, ＡＢ, 茶]\n".encode()


def rewritten(option: str, page: str) -> str:
    return f"docs/{page} is not up to date: treasury-watch rules coverage {option} > docs/{page}"


def test_docs_risk_points_is_made_of_the_shipped_rules() -> None:
    directory = default_rules()
    page = risk_points_page(coverage(load(directory), risk_points_of(files_of(directory)) or ()))
    assert page == (DOCS / "risk-points.md").read_text("utf-8"), rewritten("--markdown", "risk-points.md")


def test_docs_catalogue_is_made_of_the_shipped_rules() -> None:
    directory = default_rules()
    page = catalogue_page(load(directory), catalogue_of(files_of(directory)) or ())
    assert page == (DOCS / "catalogue.md").read_text("utf-8"), rewritten("--catalogue", "catalogue.md")


# --- risk points ---


def risk_points_of_rules(*points: RiskPoint) -> str:
    text = HEAD + RULE + "  risk_point: RP-1\n  level: red\n" + WHEN + REASON
    ruleset, _ = read({"office.yaml": text.encode()})
    assert ruleset is not None
    return risk_points_page(coverage(ruleset, points))


def test_risk_points_stand_under_their_step_with_the_rules_that_answer_them() -> None:
    whole = RiskPoint(
        "RP-1", Text("风险", "Risk"), Text("措施", "Measure"), "card", Text("办法", "Rule"), Text("财务", "Unit")
    )
    page = risk_points_of_rules(RiskPoint("RP-2", Text("甲", "A"), Text("乙", "B|C"), "cash"), whole)
    assert page.index("## Official card 公务卡") < page.index("## Cash 现金")
    assert "| RP-1 | Risk<br>风险 | Measure<br>措施 | Rule<br>办法 | Unit<br>财务 | RULE-001 (live, red) |\n" in page
    assert "| RP-2 | A<br>甲 | B\\|C<br>乙 | — | — | none 无 |\n" in page
    assert "without a risk point" not in page


def test_a_risk_point_without_a_step_and_a_rule_without_a_risk_point_come_last() -> None:
    page = risk_points_of_rules(RiskPoint("RP-2", Text("甲", "A"), Text("乙", "B")))
    assert page.index("## Other 其他") < page.index("## Rules without a risk point 未对应风险点的规则")
    assert page.endswith("| RULE-001 | Rule<br>规则 | RP-1 | live, red |\n")


# --- the catalogue ---


def catalogue_of_rule(body: str, row: str = "rules: [RULE-001]") -> str:
    files = {"office.yaml": (HEAD + RULE + body + REASON).encode(), "lists/words.yaml": WORDS, **CARDS, **LISTS}
    ruleset, diagnostics = read(files)
    assert diagnostics == []
    assert ruleset is not None
    rows: tuple[Row, ...] = catalogue_of({"c.yaml": f"catalogue: [{{row: 7, {row}}}]\n".encode()}) or ()
    return catalogue_page(ruleset, rows)


def thresholds_of(params: str) -> str:
    page = catalogue_of_rule(
        f"  effective: {{from: 2025-01-01}}\n  params: {{limit: {params}}}\n  when: {{field: line_no, gt: $limit}}\n"
    )
    return page.splitlines()[-1].split(" | ")[2]


def test_thresholds_are_shown_with_their_days_and_segments() -> None:
    assert thresholds_of("5") == "`limit` 5"
    assert thresholds_of("[{from: 2025-01-01, value: 5000}]") == "`limit` from 2025-01-01: 5,000"
    assert (
        thresholds_of(
            "{segment_by: unit_level, default: [{from: 2025-01-01, value: 5}, {from: 2025-07-01, value: 8}],"
            " county: [{from: 2025-01-01, value: 2}]}"
        )
        == "`limit` from 2025-01-01: 5, county 2; from 2025-07-01: 8"
    )


def test_amounts_are_shown_to_the_fen() -> None:
    page = catalogue_of_rule("  params: {limit: 500000}\n  when: {field: amount, gte: $limit}\n")
    assert "`limit` 500,000.00" in page


def test_a_row_shows_names_rules_what_they_read_level_and_mode() -> None:
    page = catalogue_of_rule(
        "  mode: shadow\n  effective: {until: 2031-01-01}\n"
        "  features: {share: {lookup: official_cards, key: card_no, column: share}}\n"
        "  when: {all: [{feature: share, gt: 1}, {field: payee_account, in_list: debarred}]}\n",
        "title: {zh: 公务卡, en: Official card}, rules: [RULE-001]",
    )
    assert "\n| 7 | 公务卡 | Official card | RULE-001 | yellow | shadow |\n" in page
    assert "\n## 7 公务卡 · Official card\n" in page
    assert page.endswith(
        "| RULE-001 | Rule<br>规则 | — | list debarred<br>table official_cards | yellow 黄 |"
        " shadow 试运行<br>until 2031-01-01 |\n"
    )


def test_a_row_says_why_it_is_left_out_what_it_does_not_cover_and_what_answers_false_alarms() -> None:
    assert catalogue_of_rule(WHEN, "left_out: {zh: 没有此项。, en: no such row}").endswith(
        "## 7\n\nLeft out 未列入: no such row. 没有此项。\n"
    )
    assert "\n| 7 | — | — | — | — | — |\n" in catalogue_of_rule(WHEN, "rules: []")
    assert catalogue_of_rule(WHEN, "rules: []").endswith("## 7\n\nNo rule yet. 尚无规则。\n")
    page = catalogue_of_rule(
        WHEN,
        "rules: [RULE-001], not_covered: [{zh: 图片, en: pictures}],"
        " false_alarms: [{source: {zh: 年末, en: year end}, answer: {zh: 核对, en: looked at}}]",
    )
    assert "\nNot covered 未覆盖:\n\n- pictures. 图片。\n" in page
    assert page.endswith("\nFalse alarms 误报来源:\n\n- year end. 年末。 → looked at. 核对。\n")


def test_words_inside_of_excepted_words_are_shown_from_the_rule() -> None:
    page = catalogue_of_rule("  when: {field: purpose, contains_any: {list: words, except: [酒店, 烟台, 酒泉, ABC]}}\n")
    assert [line for line in page.splitlines() if line.startswith("- ")] == [
        "- `烟` in `烟台` → excepted by RULE-001, 已排除",
        "- `酒` in `酒店` `酒泉` → excepted by RULE-001, 已排除",
        "- `ＡＢ` in `ABC` → excepted by RULE-001, 已排除",
    ]
