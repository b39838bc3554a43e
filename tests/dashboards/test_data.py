"""Every panel shows something: its queries are run on a site with workers, Prometheus, a sink and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.dashboards.checker import Checker, Sources
from tests.dashboards.site import Site, site
from tests.integration.installation import until
from treasury_watch.adapters.embedded import EmbeddedBrokerError
from treasury_watch.adapters.postgresql import NotInstalled

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

FOLDER = ROOT / "grafana" / "dashboards"
PAST = 12_000  # p-values come after 2,000 payments of a jurisdiction
SCRAPES = 8

# Panels in which nothing may be seen, and why.
MAY_BE_EMPTY = {
    "正在触发的告警": "nothing is wrong",
    "Alerts firing": "nothing is wrong",
    "磁盘剩余": "there is no node_exporter",
    "Disk left": "there is no node_exporter",
    "无法识别的记录": "all records are ours",
    "Records not understood": "all records are ours",
}
EMPTY_FOR_SOME = {
    "案件列表": "a status that no case has",
    "Cases": "a status that no case has",
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    """A site that has seen payments, good and bad, and people who decided some of them."""
    since = datetime.now(UTC)
    try:
        with site(tmp_path_factory.mktemp("site")) as there:
            now = asyncio.run(live(there))
            yield Sources(
                prometheus=there.prometheus,
                viewer=there.viewer,
                now=now,
                prometheus_since=since,
                cases_since=datetime.combine(there.first_day, time(), UTC) - timedelta(days=1),
                scrape_seconds=1.0,
            )
    except (NotInstalled, EmbeddedBrokerError) as why:
        pytest.skip(str(why))


async def live(there: Site) -> datetime:
    """Payments come until Prometheus has looked often enough, and cases are written and decided; when that was so."""
    await there.pay_the_past(PAST)
    await there.misbehave()
    todays = iter(list(there.todays(100 * SCRAPES)))
    await until(lambda: judged(there) > PAST / 2)
    for _ in range(SCRAPES):
        await there.pay_now([next(todays) for _ in range(100)])
        await asyncio.sleep(1)
    await until(lambda: there.rows("SELECT 1 FROM cases.open_cases LIMIT 8 OFFSET 7") != [])
    await there.decide(8)
    await until(lambda: there.rows("SELECT 1 FROM cases.all_cases WHERE status <> 'open' OFFSET 7") != [])
    return await there.seen()


def judged(there: Site) -> float:
    """How many payments the workers have judged."""
    return sum(
        value
        for worker in there.installation.workers
        for name, value in worker.metrics().items()
        if name.startswith("treasury_watch_instructions_total")
    )


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.json")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_query_of_every_panel_gives_something_for_every_choice(path: Path, sources: Sources) -> None:
    checker = Checker(json.loads(path.read_text(encoding="utf-8")), sources, MAY_BE_EMPTY, EMPTY_FOR_SOME)
    problems = list(checker.problems())
    assert not problems, "\n".join(problems)
    assert checker.asked
