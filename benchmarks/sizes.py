"""How much is measured: the full run takes about five minutes, the quick one only shows that everything runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    repetitions: int
    engine: int  # instructions of one repetition
    throughput: int  # instructions through our worker
    ordinary: int  # the first so many of them through the ordinary Faust app
    latency_seconds: int  # at each rate, after the warm-up
    warm_up_seconds: int
    memory_keys: int
    memory_entries: tuple[int, ...]  # of one key
    stages: int  # instructions of one repetition
    rules: int  # instructions of one repetition
    recovery: tuple[int, ...]  # instructions before the worker is killed
    scaling: int  # instructions


FULL = Sizes(
    repetitions=5,
    engine=100_000,
    throughput=200_000,
    ordinary=10_000,
    latency_seconds=25,
    warm_up_seconds=5,
    memory_keys=200_000,
    memory_entries=(10, 100, 1_000, 100_000),
    stages=20_000,
    rules=20_000,
    recovery=(1_500, 15_000, 150_000),
    scaling=150_000,
)
QUICK = Sizes(
    repetitions=2,
    engine=2_000,
    throughput=4_000,
    ordinary=500,
    latency_seconds=3,
    warm_up_seconds=1,
    memory_keys=2_000,
    memory_entries=(10, 100, 1_000),
    stages=1_000,
    rules=1_000,
    recovery=(500,),
    scaling=20_000,
)
RATES = (200, 1_000)  # instructions per second
BATCH = 500  # as the worker judges them
