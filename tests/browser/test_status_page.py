"""The status page in a real browser: before a running worker, and before answers that no worker would give."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Route, expect

from tests.adapters.statuspage.test_last_cases import HELD, judged, paid
from tests.browser.tabs import Tab
from tests.integration.installation import Installation, payments
from tests.rulesets import make_rule
from treasury_watch.adapters.embedded import EmbeddedBrokerError, embedded_broker
from treasury_watch.adapters.statuspage.cases import LastCases
from treasury_watch.adapters.statuspage.page import page
from treasury_watch.domain.verdict import Text

pytestmark = pytest.mark.asyncio(loop_scope="session")
expect.set_options(timeout=60_000)

MADE_UP = "http://worker"  # where the answers of a test come from; nobody listens there
HOSTILE = [
    "<script>document.title = 'taken'</script>",
    "<img src=x onerror=\"document.title = 'taken'\">",
    "\u202e限公司有\u2066甲",
    "长" * 20_000,
    "W" * 20_000,
    "👩\u200d👩\u200d👧🏦💴",
    "شركة المدينة",
    "&lt;b&gt; \" ' ` ${1} {{7*7}}",
]
QUIET: dict[str, Any] = {
    "status": "ready",
    "version": "0",
    "started_at": "2026-09-20T00:00:00+00:00",
    "now": "2026-09-20T00:00:00+00:00",
    "ruleset": "sha256:" + "0" * 64,
    "verdicts": {"pass": 0, "warn": 0, "intercept": 0, "prohibit": 0},
    "refused": 0,
    "held_cny": "0.00",
    "per_second": None,
    "latency_ms": {"p50": None, "p99": None},
    "lag": 0,
    "partitions": [{"number": number, "judged": number != 1, "lag": 0, "warming": 0} for number in range(4)],
    "seen": 0,
    "held": [],
    "warned": [],
}


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    try:
        with embedded_broker() as broker:
            made = Installation.on(broker, tmp_path, "status", idempotence=False)
            yield made
            made.close()
    except EmbeddedBrokerError as error:
        pytest.skip(str(error))


class Answers:
    """What a made-up worker answers: `figures` with `status`, or nothing at all while that is `None`."""

    def __init__(self, **figures: Any) -> None:
        self.figures = QUIET | figures
        self.status: int | None = 200

    async def __call__(self, route: Route) -> None:
        if route.request.url.endswith("/status.json"):
            if self.status is None:
                await route.abort()
            else:
                await route.fulfill(status=self.status, body=json.dumps(self.figures), content_type="application/json")
        else:
            document, headers = page("zh")
            await route.fulfill(body=document, headers={**headers, "Content-Type": "text/html; charset=utf-8"})


async def opened(tab: Tab, answers: Answers) -> None:
    await tab.page.route(f"{MADE_UP}/**", answers)
    await tab.page.goto(f"{MADE_UP}/status")


def hostile_cases() -> dict[str, Any]:
    """Cases of which every text that comes from outside is hostile."""
    rule = make_rule("HOLD-001", HELD.when, reason=Text("付给{payee_name}", "paid to {payee_name}"))
    cases = LastCases()
    given = [
        paid(number, "9999999999999999.99", payee_name=text, purpose=text, budget_unit_name=text)
        for number, text in enumerate(HOSTILE * 6)
    ]
    cases.take(judged(*given, rules=(rule,)))
    found = cases.as_json()
    for each in found["held"][::2]:
        each["currency"] = "<b>"
    return found


@pytest.mark.slow
async def test_a_person_sees_counts_grow_and_why_a_payment_is_held_until_the_worker_is_gone(
    installation: Installation, tab: Tab
) -> None:
    await installation.topics()
    worker = await installation.worker(status_page=True).ready()
    open_page = tab.page
    banner, held = open_page.locator("#banner"), open_page.locator("#held tbody tr")

    await open_page.goto(f"{worker.web}/status?lang=zh")
    await expect(banner).to_have_text(re.compile("就绪：正在判定，尚无支付"))
    await expect(open_page.locator("#partitions li.judged")).to_have_count(4)

    await installation.pay(payments(300))
    for verdict, count in {"pass": "294", "warn": "3", "intercept": "3", "prohibit": "0"}.items():
        await expect(open_page.locator(f"#{verdict}")).to_have_text(count)
    await expect(open_page.locator("#held_cny")).to_have_text("180,000.00")
    await expect(open_page.locator("#p99")).to_have_text(re.compile(r"\d m?s$"))
    await expect(held).to_have_count(3)
    await expect(open_page.locator("#warned tbody tr")).to_have_count(3)
    chinese, english = (held.first.get_by_text(text) for text in ("支付60000.00元", "CNY 60000.00"))
    await expect(chinese).to_be_visible()
    await expect(english).to_be_hidden()
    await expect(held.first).to_contain_text("INT-002")
    await expect(held.first).to_contain_text("红色")

    await open_page.get_by_role("button", name="English").click()
    assert open_page.url == f"{worker.web}/status?lang=en"
    await expect(english).to_be_visible()
    await expect(chinese).to_be_hidden()
    await expect(open_page.locator("html")).to_have_attribute("lang", "en")

    await installation.pay(payments(300, start=300))
    await expect(open_page.locator("#intercept")).to_have_text("6")
    await expect(held).to_have_count(6)
    assert tab.errors == []
    assert {url.partition("?")[0] for url in tab.requests} == {f"{worker.web}/status", f"{worker.web}/status.json"}

    await open_page.goto(f"{worker.web}/status")
    await expect(open_page.locator("html")).to_have_attribute("lang", "en")
    await expect(held).to_have_count(6)
    assert _asked_as("rebound.example", f"{worker.web}/status.json") == 421

    assert worker.stop() == 0
    await expect(banner).to_have_text(re.compile(r"lost the worker, its last answer came at [\d:]{8}; still trying"))
    await expect(held).to_have_count(6)

    await installation.worker(web_port=int(worker.web.rpartition(":")[2])).ready()
    await expect(banner).to_have_text(re.compile("the worker answers with status 404"))


def _asked_as(host: str, url: str) -> int:
    try:
        urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}), timeout=30)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


async def test_what_comes_from_outside_is_shown_as_text_whatever_it_is(tab: Tab) -> None:
    await opened(tab, Answers(**hostile_cases()))
    rows = tab.page.locator("#held tbody tr")
    await expect(rows).to_have_count(6 * len(HOSTILE))
    last = await rows.nth(-1).inner_text()
    assert last.count(HOSTILE[0]) == 4, "unit, payee, purpose, reason"
    assert await tab.page.locator("main :is(script, img, b:not(.rules b))").count() == 0
    assert await tab.page.title() == "国库动态监控 · treasury-watch"
    assert "\u202e" not in await tab.page.locator("main").inner_text()
    assert await tab.page.locator("main").inner_text() != ""
    assert tab.errors == []


SIZE = "[document.scrollingElement.scrollWidth, document.scrollingElement.scrollHeight]"
CUT_OFF = """
[...document.querySelectorAll("dd, dt, td, th, li, button")]
  .filter((each) => each.offsetParent && each.scrollWidth > each.clientWidth + 1)
  .map((each) => each.textContent.slice(0, 40))
"""


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1366, 768), (1024, 700)])
async def test_the_page_fits_its_window_however_long_the_texts_are(tab: Tab, width: int, height: int) -> None:
    await tab.page.set_viewport_size({"width": width, "height": height})
    await opened(tab, Answers(**hostile_cases(), held_cny="9999999999999999.99"))
    await expect(tab.page.locator("#held tbody tr")).to_have_count(6 * len(HOSTILE))
    for language in ("zh", "en"):
        wide, high = await tab.page.evaluate(SIZE)
        assert wide <= width, language
        assert width < 1920 or high <= height, "on the wall nobody scrolls the page"
        assert await tab.page.evaluate(CUT_OFF) == [], language
        await tab.page.locator("#language").click()


async def test_a_worker_that_is_not_ready_or_does_not_answer_says_so_until_it_is_back(tab: Tab) -> None:
    answers = Answers()
    banner = tab.page.locator("#banner")
    await opened(tab, answers)
    await expect(banner).to_have_text(re.compile("就绪：正在判定，尚无支付"))
    await expect(tab.page.locator("#partitions li").nth(1)).to_contain_text("其他进程")
    assert tab.errors == []

    answers.figures |= {"status": "taking over partitions"}
    await expect(banner).to_have_text(re.compile("未就绪：正在接管分区"))
    await expect(tab.page.locator("#partitions li").nth(1)).to_contain_text("未判定")
    answers.figures, answers.status = {"status": "waiting for brokers"}, 503
    await expect(banner).to_have_text(re.compile("未就绪：等待消息服务器"))
    answers.status = None
    await expect(banner).to_have_text(re.compile("与工作进程失去联系"))
    answers.figures, answers.status = QUIET, 200
    await expect(banner).to_have_text(re.compile("就绪：正在判定"))


CONTRAST = """
() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const background = (each) => {
    for (; each; each = each.parentElement) {
      const found = parts(getComputedStyle(each).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  return [...document.body.querySelectorAll("*")]
    .filter((each) => each.offsetParent && [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((each) => {
      const colors = [parts(getComputedStyle(each).color), background(each)];
      const [a, b] = colors.map(luminance).sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), each.textContent.slice(0, 30)];
    })
    .filter(([contrast]) => contrast < 4.5);
}
"""


@pytest.mark.parametrize("state", ["ready", "taking over partitions", None])
async def test_it_can_be_read_without_good_eyes_or_by_a_reader_of_screens(tab: Tab, state: str | None) -> None:
    cases = LastCases()
    cases.take(judged(paid(1, "60000.00"), paid(2, "30000.00")))
    answers = Answers(**cases.as_json(), status=state or "ready")
    await opened(tab, answers)
    await expect(tab.page.locator("#held tbody tr")).to_have_count(1)
    if state is None:
        answers.status = None
        await expect(tab.page.locator("#banner")).to_have_text(re.compile("失去联系"))
    assert await tab.page.evaluate(CONTRAST) == []
    page = tab.page
    assert await page.locator("h1").count() == 1
    assert await page.locator("h2").count() == 4
    for table in ("#held", "#warned"):
        assert await page.locator(f"{table} thead th[scope=col]").count() == 5
    assert await page.locator("#held .mark").inner_text() == "■ 拦截", "the verdict is said, not only coloured"
    assert await page.locator("#warned .mark").inner_text() == "▲ 预警"
    assert await page.locator("#banner[role=status]").count() == 1
