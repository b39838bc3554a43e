"""Topics without their beginning, and history that is fed. Where the topic is read, the integration tests look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from tests.adapters.kafka.records import NOON_MS, FakeRecord
from tests.builders import SHANGHAI, make_instruction
from tests.rulesets import HOUR, aggregate, leaf, make_rule, make_ruleset, modelled, ref
from treasury_watch.adapters.history import Feed, feed, feeds_of
from treasury_watch.adapters.jsonl import Line
from treasury_watch.adapters.kafka.admission import Admission, complete_from
from treasury_watch.adapters.kafka.feeding import Held, take_history
from treasury_watch.adapters.kafka.partition import Partition
from treasury_watch.adapters.kafka.publisher import Publisher
from treasury_watch.adapters.metrics import Metrics
from treasury_watch.adapters.settings import Settings, load_settings
from treasury_watch.adapters.wire import encode_instruction
from treasury_watch.domain.calendar import Days
from treasury_watch.domain.verdict import Anomaly, Decision
from treasury_watch.engine import Engine, Program

NOON = datetime(2025, 3, 5, 12, tzinfo=SHANGHAI)  # as of the records
COUNT = aggregate("count", "instruction_id", window_us=48 * HOUR)
RULESET = make_ruleset(
    make_rule("R", leaf(ref(COUNT), "gte", 1), action="warn", on_missing="warn", features={"f": COUNT})
)
NO_PUBLISHER = cast(Publisher, None)  # nothing is published here
PROGRAM = Program(RULESET, max_lateness=timedelta(days=31))


def pay(number: int, hours: float, **fields: Any) -> Any:
    """A payment so many hours after noon."""
    return make_instruction(**{"instruction_id": f"I{number}", "event_time": NOON + timedelta(hours=hours)} | fields)


def record(number: int, hours: float, offset: int = 0, timestamp: int = NOON_MS) -> FakeRecord:
    return FakeRecord(encode_instruction(pay(number, hours)), offset=offset, timestamp=timestamp)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path, partitions=1)


def feeds(settings: Settings, *instructions: Any, **days: Any) -> list[Feed]:
    lines = [Line(number, encode_instruction(each)) for number, each in enumerate(instructions)]
    feed(lines, settings, "jurisdiction", Days("Asia/Shanghai"), **days)
    return feeds_of(settings, "jurisdiction")


class Setting:
    """A partition whose topic begins at an offset."""

    def __init__(self, position: int, fed: Sequence[Feed] = (), program: Program = PROGRAM) -> None:
        self.engine = Engine(program)
        admission = Admission("jurisdiction", lambda key: 0, 0)
        self.partition = Partition(0, self.engine, admission, Metrics(RULESET), position, self.fail, NO_PUBLISHER, fed)
        self.fed = fed

    def fail(self, error: Exception) -> None:
        raise error

    async def take(self, begin: int | None, *late: tuple[str, str]) -> None:
        await take_history(self.partition, self.fed, Held(begin, set(late)))

    def judged(self, number: int, hours: float) -> tuple[str, str, dict[str, str]]:
        """Verdict, mode of the hit, and evidence."""
        (outcome,) = self.engine.assess([pay(number, hours)])
        self.engine.absorb()
        assert isinstance(outcome, Decision)
        (hit,) = outcome.hits
        return outcome.verdict, hit.mode, {name: text for name, text in hit.evidence.items() if name == "f"}


BEGIN = complete_from(NOON_MS)


async def test_from_offset_0_on_history_is_whole() -> None:
    setting = Setting(0)
    setting.partition.rebuild([record(1, 0)])
    assert setting.partition.warming == 0
    assert setting.judged(2, 1) == ("warn", "live", {"f": "2"})


async def test_without_its_beginning_a_topic_is_whole_from_five_minutes_after_its_first_record_on() -> None:
    setting = Setting(7)
    setting.partition.rebuild([record(1, 0, offset=7)])
    assert setting.partition.warming == 1
    whole = 48 + 5 / 60
    assert setting.judged(2, whole - 1 / 3600) == ("pass", "warming", {})
    assert setting.judged(3, whole) == ("warn", "live", {"f": "2"})


async def test_what_the_first_record_says_is_said_once() -> None:
    setting = Setting(7)
    setting.partition.rebuild([record(1, 0, offset=7)])
    setting.partition.rebuild([record(2, 60, offset=8, timestamp=NOON_MS + 60 * 3_600_000)])
    assert setting.judged(3, 61) == ("warn", "live", {"f": "2"})


async def test_a_first_record_without_a_timestamp_says_nothing_so_everything_warms() -> None:
    setting = Setting(7)
    setting.partition.rebuild([record(1, 0, offset=7, timestamp=-1)])
    assert setting.judged(2, 24 * 365)[1] == "warming"


async def test_history_up_to_the_topic_makes_windows_whole(settings: Settings) -> None:
    setting = Setting(7, feeds(settings, pay(1, -72), pay(2, -1)))
    await setting.take(BEGIN)
    setting.partition.rebuild([record(3, 0, offset=7)])
    assert setting.judged(4, 1) == ("warn", "live", {"f": "3"})


async def test_history_that_ends_a_day_before_the_topic_begins_does_not(settings: Settings) -> None:
    setting = Setting(7, feeds(settings, pay(1, -72), pay(2, -24)))
    await setting.take(BEGIN)
    setting.partition.rebuild([record(3, 0, offset=7)])
    assert setting.judged(4, 1) == ("pass", "warming", {})


async def test_nor_does_history_that_begins_within_the_window(settings: Settings) -> None:
    setting = Setting(7, feeds(settings, pay(1, -1)))
    await setting.take(BEGIN)
    setting.partition.rebuild([record(3, 0, offset=7)])
    assert setting.judged(4, 1)[1] == "warming"
    assert setting.judged(5, 36) == ("warn", "live", {"f": "4"})  # 48 h reach back to the start of the day


async def test_the_days_that_are_said_count_though_nothing_was_paid_on_them(settings: Settings) -> None:
    setting = Setting(7, feeds(settings, pay(1, -24), first=date(2025, 3, 1), last=date(2025, 3, 5)))
    await setting.take(BEGIN)
    setting.partition.rebuild([record(3, 0, offset=7)])
    assert setting.judged(4, 1) == ("warn", "live", {"f": "3"})


async def test_before_the_first_start_history_only_adds_to_the_windows(settings: Settings) -> None:
    setting = Setting(0, feeds(settings, pay(1, -1)))
    await setting.take(None)
    assert setting.partition.warming == 0
    assert setting.judged(2, 1) == ("warn", "live", {"f": "2"})


async def test_history_warms_while_nothing_is_left_on_the_topic_and_its_first_record_decides(
    settings: Settings,
) -> None:
    setting = Setting(7, feeds(settings, pay(1, -72), pay(2, -1)))
    await setting.take(None)
    later = NOON_MS + 30 * 24 * 3_600_000
    setting.partition.rebuild([record(3, 30 * 24, offset=7, timestamp=later)])
    assert setting.judged(4, 30 * 24 + 1)[1] == "warming"  # a month is in neither


async def test_what_the_topic_holds_counts_once_and_as_the_topic_has_it(settings: Settings) -> None:
    setting = Setting(0, feeds(settings, pay(1, -1, amount="9.00"), pay(2, -1)))
    await setting.take(BEGIN, ("420100", "I1"))
    setting.partition.rebuild([record(1, -1)])
    assert setting.judged(3, 1) == ("warn", "live", {"f": "3"})


async def test_history_of_after_the_topics_beginning_is_left_out(settings: Settings) -> None:
    setting = Setting(0, feeds(settings, pay(1, 4 / 60), pay(2, 6 / 60)))
    await setting.take(BEGIN)
    assert setting.judged(3, 1) == ("warn", "live", {"f": "2"})


async def test_a_payment_that_two_feeds_hold_counts_once(settings: Settings) -> None:
    feeds(settings, pay(1, -1), pay(2, -2))
    setting = Setting(0, feeds(settings, pay(2, -2), pay(3, -3)))
    assert len(setting.fed) == 2
    await setting.take(None)
    assert setting.judged(4, 1) == ("warn", "live", {"f": "4"})


async def test_a_payment_of_history_that_comes_on_the_topic_is_noticed_and_would_get_its_decision(
    settings: Settings,
) -> None:
    setting = Setting(0, feeds(settings, pay(1, -1), pay(2, -1)))
    await setting.take(None)
    partition = setting.partition
    assert partition.fed_again([record(3, 0), record(1, -1), record(2, -1)]) == 2
    assert partition.fed_again([record(3, 0)]) == 0
    assert setting.judged(1, -1)[0] == "warn"  # judged, and no duplicate
    setting.judged(4, 31 * 24 - 1)
    assert partition.fed_again([record(2, -1)]) == 1
    setting.judged(5, 31 * 24)
    assert partition.fed_again([record(2, -1)]) == 0  # it would be too late


async def test_taking_history_is_abandoned_when_told_so(settings: Settings) -> None:
    setting = Setting(0, feeds(settings, pay(1, -1)))
    await take_history(setting.partition, setting.fed, Held(None, set()), lambda: True)
    assert setting.engine.state.entries()["entries"] == 0


@pytest.mark.parametrize(("count", "warm"), [(1_999, False), (2_000, True)])
async def test_the_model_learns_history_so_that_the_next_payment_has_a_p_value(
    settings: Settings, count: int, warm: bool
) -> None:
    history = [pay(number, -number / 60, budget_unit=f"U{number % 7}") for number in range(1, count + 1)]
    setting = Setting(7, feeds(settings, *history), Program(modelled(RULESET), max_lateness=timedelta(days=31)))
    await setting.take(BEGIN)
    (outcome,) = setting.engine.assess([pay(0, 1)])
    assert isinstance(outcome, Decision)
    assert isinstance(outcome.anomaly, Anomaly)
    assert (outcome.anomaly.p_value is not None) == warm
