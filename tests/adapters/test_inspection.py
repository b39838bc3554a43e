"""What models know: of a file as an evaluation learns it, of an engine's state, and on a page that stands alone."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.adapters.test_report import Page
from tests.adapters.test_shadow import MONDAY, lines, payments, rules
from tests.builders import make_instruction
from tests.rulesets import leaf, make_rule, make_ruleset, modelled, yuan
from treasury_watch.adapters import inspection
from treasury_watch.adapters.history import feed, feeds_of
from treasury_watch.adapters.inspection import Known, alerts_from, as_json, details, given, held, learned, overview
from treasury_watch.adapters.inspection_page import page_of, weights_chart
from treasury_watch.adapters.jsonl import Line
from treasury_watch.adapters.kafka import restore
from treasury_watch.adapters.settings import load_settings
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.calendar import Days
from treasury_watch.domain.payment import Instruction
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.anomaly import calibration
from treasury_watch.engine.anomaly.features import NAMES

ZONE = ZoneInfo("Asia/Shanghai")
TARGET = 0.05


@pytest.fixture
def _soon_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (calibration, inspection):
        monkeypatch.setattr(module, "WARM", 40)


def of_file(count: int) -> Known:
    (found,), _ = learned(lines(count), "jurisdiction", ZONE, TARGET)
    return found


def of_engine(engine: Engine, key: str = "420100") -> dict[str, Any]:
    return next(overview(each, ZONE) for each in held(engine, 3) if each.key == key)


def engine_of(instructions: Sequence[Instruction]) -> Engine:
    engine = Engine(Program(rules(None)))
    engine.assess(instructions)
    engine.absorb()
    return engine


def result(count: int) -> dict[str, Any]:
    known = of_file(count) if count else None
    models = [] if known is None else [known]
    shown = None if known is None else overview(known, ZONE) | details(known)
    source = {"name": "a&<b>.jsonl", "sha256": "sha256:0"}
    return as_json(models, ZONE, "jurisdiction", TARGET) | {
        "source": source,
        "damaged": [],
        "refused": {},
        "shown": shown,
    }


@pytest.mark.usefixtures("_soon_warm")
def test_a_file_says_how_much_was_scored_and_how_often_it_alerted() -> None:
    found = overview(of_file(300), ZONE)
    assert (found["scored"], found["learned"], found["scores"], found["lacking"], found["warm"]) == (
        300,
        300,
        300,
        0,
        True,
    )
    assert found["entities"] == {"units": 3, "payees": 5, "pairs": 15, "subjects": 0, "habits": 0}
    assert found["newest"] == (MONDAY + timedelta(hours=299)).isoformat(timespec="minutes")
    assert 0.02 < found["alert_rate"] < 0.08
    assert (found["target"], found["wrong_share"], found["drift"]) == (0.05, 0.1, [])
    assert [(each["feature"], each["first"]) for each in found["weights"]] == [
        (each["feature"], each["now"]) for each in found["weights"]
    ]


@pytest.mark.parametrize(("count", "lacking"), [(39, 1), (40, 0)])
@pytest.mark.usefixtures("_soon_warm")
def test_a_model_is_warm_from_the_last_score_on_that_it_lacked(count: int, lacking: int) -> None:
    found = overview(of_file(count), ZONE)
    assert (found["lacking"], found["warm"]) == (lacking, lacking == 0)
    assert found["alert_rate"] is None


def test_the_state_of_an_engine_says_the_same_but_for_what_it_does_not_keep() -> None:
    file, state = overview(of_file(60), ZONE), of_engine(engine_of(payments(60)))
    assert state | {"partition": None} == file
    assert state["partition"] == 3


def test_of_a_full_window_a_state_does_not_say_how_much_was_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(payments(60))
    assert of_engine(engine)["scored"] == 60
    monkeypatch.setattr(inspection, "WINDOW", 60)
    assert of_engine(engine)["scored"] is None


def test_what_is_held_is_scored_and_not_learned() -> None:
    engine = Engine(Program(modelled(make_ruleset(make_rule("HELD", leaf("amount", "gt", yuan("1000.00")))))))
    engine.assess(payments(50))
    found = of_engine(engine)
    assert (found["scored"], found["learned"]) == (50, 48)


def test_there_is_one_model_for_each_key_and_bad_lines_are_told() -> None:
    refused: list[Any] = []
    file = [*lines(3), *([Line(4, encode_instruction(make_instruction(jurisdiction="420200")))]), Line(5, b"{")]
    found, reading = learned(file, "jurisdiction", ZONE, TARGET, refused.append)
    assert [each.key for each in found] == ["420100", "420200"]
    assert (reading.payments, [each.line for each in refused]) == (4, [5])


@pytest.mark.usefixtures("_soon_warm")
def test_scores_alert_from_the_lowest_one_on_that_would() -> None:
    scores = of_file(300).model.core.calibration
    least = alerts_from(scores)
    assert least is not None
    below = max(each for each in scores.sizes if each < least)
    assert (scores.p_value(least) or 1) <= TARGET < (scores.p_value(below) or 1)
    scores.level = 0.0
    assert alerts_from(scores) is None
    assert alerts_from(of_file(10).model.core.calibration) is None


def test_details_have_the_histogram_and_the_tail_of_every_feature() -> None:
    known = of_file(200)
    found = details(known)
    assert [each["feature"] for each in found["histograms"]] == list(NAMES)
    assert found["scores"] == sorted(found["scores"])
    assert len(found["scores"]) == 200
    amount = found["histograms"][0]
    tail = known.model.core.counted.tails[0]
    assert len(amount["counts"]) == len(amount["surprises"]) == 120
    assert amount["surprises"][-1] == min(20.0, tail.base + tail.steep * (29.875 - tail.cut))
    assert sum(amount["counts"]) > 100


# --- states of workers ---


class Broker:
    """States by partition: an engine, nothing, or what is damaged."""

    def __init__(self, *states: Any) -> None:
        self.states = states

    async def restore(self, settings: Any, program: Program, partition: int) -> Any:
        found = self.states[partition]
        if isinstance(found, str):
            raise restore.StateDamaged(found)
        return found


def test_states_of_all_partitions_are_read_and_damage_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = restore.Restored(engine_of(payments(5)), 5, 0, 0, 0, None)
    torn = restore.Restored(engine_of(payments(7, jurisdiction="420200")), 7, 0, 0, 0, "offset 3: torn")
    monkeypatch.setattr(restore, "restore", Broker(whole, None, torn, "nothing is left").restore)
    done: list[int] = []
    work = inspection.restored(load_settings(), Program(rules(None)), range(4), done.append)
    found, damaged = asyncio.run(work)
    assert [(each.key, each.partition, each.model.core.whole[0]) for each in found] == [
        ("420100", 0, 5),
        ("420200", 2, 7),
    ]
    assert [(each.partition, each.problem) for each in damaged] == [(2, "offset 3: torn"), (3, "nothing is left")]
    assert done == [1, 2, 3, 4]


# --- history ---


def test_history_gives_a_score_for_each_payment_that_the_engine_would_score(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    program = Program(rules(None))
    extra = [
        make_instruction(instruction_id="GOLD", currency="XAU", event_time=MONDAY),
        make_instruction(instruction_id="ELSEWHERE", jurisdiction="420200", event_time=MONDAY),
    ]
    for part in (payments(10), [*payments(12), *extra]):
        file = [Line(number, encode_instruction(each)) for number, each in enumerate(part)]
        assert feed(file, settings, "jurisdiction", Days("Asia/Shanghai"))[0] is not None
    counts = given(feeds_of(settings, "jurisdiction"), program)
    engine = engine_of([*payments(12), *extra])
    assert dict(counts) == {each.key: len(each.model.core.calibration.ring) for each in held(engine, 0)}
    assert dict(counts) == {"420100": 12, "420200": 1}


# --- the page ---


@pytest.mark.parametrize("count", [0, 1, 60, 300])
@pytest.mark.usefixtures("_soon_warm")
def test_the_page_is_well_formed_and_loads_and_runs_nothing(count: int) -> None:
    html = page_of(result(count))
    read = Page(html)
    assert not {"script", "img", "link", "iframe", "object", "a", "form"} & {tag for tag, _ in read.tags}
    assert not {"src", "href", "style", "onclick", "onload"} & {name for _, attrs in read.tags for name in attrs}
    assert "//" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    assert "a&<b>.jsonl" in read.text
    style = re.search(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    assert style is not None
    assert f"sha256-{base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()}" in html
    for rect in (attrs for tag, attrs in read.tags if tag == "rect"):
        assert float(rect["x"] or "") >= 0.0
        assert float(rect["height"] or "") > 0.0
        assert float(rect["x"] or "") + float(rect["width"] or "") <= 720.01


@pytest.mark.usefixtures("_soon_warm")
def test_the_page_draws_every_feature_and_says_from_where_on_it_alerts() -> None:
    of = result(300)
    html = page_of(of)
    assert [html.count(f'aria-label="{name}"') for name in NAMES] == [1] * len(NAMES)
    text = Page(html).text
    assert f"scores from {of['shown']['alerts_from']:.4g} on alert now" in text
    assert "预热" in text


def test_the_page_of_a_model_that_is_warming_says_what_it_lacks() -> None:
    assert "lacks 1,940 scores" in Page(page_of(result(60))).text


def test_weights_that_moved_are_drawn_to_their_side() -> None:
    of = result(60)
    still = page_of(of)
    of["shown"]["weights"][0]["now"] *= 4
    of["shown"]["weights"][1]["now"] /= 4
    moved = page_of(of)
    assert "amount: 2 → 8" in moved
    assert "amount: 2 → 8" not in still
    more, less = weights_chart(of["shown"]["weights"]).bars[:2]
    assert (more.css, less.css, more.width) == ("live", "shadow", less.width)
    assert less.x + less.width == more.x


def test_damaged_states_are_on_the_page() -> None:
    html = page_of(result(0) | {"damaged": [{"partition": 2, "problem": "offset <3>: torn"}]})
    assert "the state of partition 2 is damaged" in html
    assert "offset &lt;3&gt;: torn" in html
