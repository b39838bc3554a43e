"""A shadow detector beside the model of a partition: after the verdicts, counted, and never in their way."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.adapters.kafka.test_partition import Setting, records
from tests.adapters.test_metrics import samples
from tests.adapters.test_shadow import TREES, rules
from treasury_watch.adapters.kafka.partition import SHADOW_SLICE
from treasury_watch.adapters.shadow import Shadow
from treasury_watch.engine import Program
from treasury_watch.rules.schema import ModelBlock
from treasury_watch.rules.schema import Shadow as Block

PREFIX = "treasury_watch_anomaly_"


def counted(setting: Setting, name: str) -> float:
    return samples(setting.partition._metrics)[f"{PREFIX}{name}_total"]


async def judged(setting: Setting, start: int, count: int) -> None:
    await setting.judge(records(start, count))
    await setting.partition.idle()


async def test_it_sees_what_is_judged_and_nothing_of_what_was_before() -> None:
    setting = Setting(Program(rules()))
    setting.partition.rebuild(records(0, 10))
    await setting.partition.apply()
    await judged(setting, 10, SHADOW_SLICE + 5)
    assert counted(setting, "shadow_scored") == SHADOW_SLICE + 5
    assert (counted(setting, "shadow_errors"), setting.failures) == (0, [])


async def test_without_a_shadow_nothing_is_counted() -> None:
    setting = Setting(Program(rules(None)))
    await setting.partition.apply()
    await judged(setting, 0, 5)
    assert (counted(setting, "scored"), counted(setting, "shadow_scored")) == (5, 0)


async def test_it_begins_once_and_goes_on_with_what_it_knows() -> None:
    setting = Setting(Program(rules()))
    await setting.partition.apply()
    first = setting.partition._shadow
    await judged(setting, 0, 5)
    await setting.partition.apply()
    assert setting.partition._shadow is first is not None


async def test_one_that_fails_changes_no_verdict_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Shadow) -> Any:
        raise ImportError("no river")

    monkeypatch.setattr(Shadow, "_made", fails)
    setting = Setting(Program(rules()))
    await setting.partition.apply()
    await judged(setting, 0, 5)
    assert (setting.outbox.verdicts, setting.done, setting.failures) == (["pass"] * 5, [5], [])
    assert (counted(setting, "shadow_errors"), counted(setting, "shadow_scored")) == (6, 0)


async def test_verdicts_are_out_before_it_looks() -> None:
    setting = Setting(Program(rules()))
    await setting.partition.apply()
    setting.outbox.acknowledge = False
    await setting.judge(records(0, 5))
    await asyncio.sleep(0.01)
    assert counted(setting, "shadow_scored") == 0
    setting.outbox.answers[0].set_result(None)
    await setting.partition.idle()
    assert (setting.done, counted(setting, "shadow_scored")) == ([5], 5)


async def test_other_rules_end_it_and_begin_their_own() -> None:
    setting = Setting(Program(rules()))
    await setting.partition.apply()
    await judged(setting, 0, 5)
    await setting.partition._switch(Program(rules(None)))
    await setting.partition.apply()
    await judged(setting, 5, 5)
    assert counted(setting, "shadow_scored") == 5
    await setting.partition._switch(Program(rules(Block("HalfSpaceTrees", (("n_trees", 2),)))))
    await setting.partition.apply()
    await judged(setting, 10, 5)
    assert counted(setting, "shadow_scored") == 10


async def test_rules_with_the_same_model_let_it_go_on() -> None:
    setting = Setting(Program(rules()))
    await setting.partition.apply()
    first = setting.partition._shadow
    again = replace(rules(), model=replace(cast(ModelBlock, rules().model), shadow=replace(TREES)))
    await setting.partition._switch(Program(again))
    await setting.partition.apply()
    await judged(setting, 0, 5)
    assert setting.partition._shadow is first is not None
    assert counted(setting, "shadow_scored") == 5


def test_a_worker_without_one_does_not_wait_for_river() -> None:
    program = "import sys, treasury_watch.adapters.kafka.app; sys.exit('river' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
