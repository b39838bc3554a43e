"""The HTML reports in a real browser: they load nothing, complain of nothing, and their charts can be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.tabs import Tab
from tests.conftest import ROOT
from treasury_watch.cli import run

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAYMENTS, DAYS = 4_000, 20
REPORTS = {
    "back-test": ["rules", "backtest", str(ROOT / "rules"), "--labels", "{labels}"],
    "evaluation": ["model", "evaluate", "--labels", "{labels}", "--detector", "TailSurprise"],
    "inspection": ["model", "inspect"],
}
# Of each chart: its size on the screen, and which of its texts reach beyond it.
CHARTS = """
() => [...document.querySelectorAll("svg")].map((svg) => {
  const frame = svg.getBoundingClientRect();
  const beyond = [...svg.querySelectorAll("text")].filter((text) => {
    const own = text.getBoundingClientRect();
    const seen = own.width > 0;
    return seen && (own.left < frame.left - 1 || own.right > frame.right + 1 || own.top < frame.top - 1 || own.bottom > frame.bottom + 1);
  });
  return { width: frame.width, height: frame.height, beyond: beyond.map((text) => text.textContent) };
})
"""  # noqa: E501
CUT_TABLES = """
[...document.querySelectorAll(".wide")]
  .filter((each) => each.scrollWidth > each.clientWidth)
  .map((each) => each.querySelector("caption")?.textContent ?? each.textContent.slice(0, 80))
"""


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Payments of a made-up city, and the labels of what was planted in them."""
    folder = tmp_path_factory.mktemp("simulated")
    payments, labels = folder / "payments.jsonl", folder / "labels.jsonl"
    size = ["--seed", "7", "--payments", str(PAYMENTS), "--days", str(DAYS)]
    assert run(["simulate", *size, "--out", str(payments), "--labels", str(labels)]) == 0
    return payments, labels


@pytest.mark.slow
@pytest.mark.parametrize("report", REPORTS)
async def test_a_report_opens_without_a_complaint_and_its_charts_are_whole(
    report: str, simulated: tuple[Path, Path], tmp_path: Path, tab: Tab
) -> None:
    payments, labels = simulated
    page = tmp_path / "page.html"
    command = [each.format(labels=labels) for each in REPORTS[report]]
    assert run([*command, "--on", str(payments), "--html", str(page)]) in (0, 1)

    await tab.page.set_viewport_size({"width": 1366, "height": 768})
    await tab.page.goto(page.as_uri())
    for language in ("both", "zh", "en"):
        await tab.page.locator(f"label[for={language}]").click()
        charts = await tab.page.evaluate(CHARTS)
        assert charts
        assert all(each["width"] > 300 and each["height"] > 20 for each in charts)
        assert [text for each in charts for text in each["beyond"]] == []
        assert await tab.page.evaluate("document.scrollingElement.scrollWidth") <= 1366
        assert await tab.page.evaluate(CUT_TABLES) == [], language
    assert tab.errors == []
    assert tab.requests == [page.as_uri()]
