"""More than a worker can do: everything is judged in the end, once and in order; and hostile messages among Kafka's."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import fuzz_kafka, overload
from benchmarks.services import Broker

pytestmark = pytest.mark.kafka


@pytest.fixture
def broker(kafka: str, tmp_path: Path) -> Broker:
    return Broker(kafka, 0, tmp_path)


async def test_ten_times_what_a_worker_can_do_is_judged_in_the_end_once_and_in_order(broker: Broker) -> None:
    result = await overload.run(broker, seconds=0.3, times=10, first=2_000)
    assert result.published > 2_000
    assert (result.decided, result.twice, result.out_of_order) == (result.published, 0, 0)
    assert result.is_whole


async def test_every_hostile_message_has_the_one_outcome_that_the_contract_gives(broker: Broker) -> None:
    counts, wrong = await fuzz_kafka.run(broker, 5, range(1_000))
    assert wrong == []
    assert counts.total() == 1_000
    assert len(counts) > 5
