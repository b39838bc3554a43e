"""(h) Two workers against one, on messages that were published beforehand.

Where broker and workers share the cores there is less than a core for each: what counts for scaling out is then the CPU
that an instruction costs, which says how many a second the same workers would judge with a core each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from time import monotonic

from benchmarks.figures import Aim, Figure, Section
from benchmarks.metricspage import metrics_of
from benchmarks.services import BenchmarkError, Broker, Process, cpu_seconds
from benchmarks.sizes import Sizes
from benchmarks.throughput import messages_of, publish
from benchmarks.workload import values
from treasury_watch.adapters.embedded import free_port
from treasury_watch.adapters.kafka.publish import Message
from treasury_watch.adapters.settings import Settings

AIM = Aim(1.8)
_POLL_SECONDS = 0.25
_PATIENCE_SECONDS = 120.0
_JUDGED = "treasury_watch_instructions_total"


@dataclass(frozen=True, slots=True)
class _Run:
    """Between the moment at which every worker had judged something and the end."""

    judged: int
    seconds: float
    cpu: float  # seconds, of the workers
    broker_cpu: float

    @property
    def rate(self) -> float:
        return self.judged / self.seconds

    @property
    def cost(self) -> float:
        return self.cpu / self.judged


def measure(sizes: Sizes, broker: Broker) -> Section:
    messages = messages_of(values(sizes.scaling))
    one, two = (asyncio.run(_run(broker, count, messages)) for count in (1, 2))
    figures = []
    for name, run in (("one worker", one), ("two workers", two)):
        figures += [
            Figure(name, run.rate, "instructions/s"),
            Figure(f"{name}: CPU for each instruction", run.cost * 1e6, "µs"),
            Figure(f"{name}: broker's CPU for each instruction", run.broker_cpu / run.judged * 1e6, "µs"),
        ]
    return Section(
        "scaling",
        f"(h) Two workers against one, {len(messages):,} instructions",
        (
            *figures,
            Figure("two ÷ one, as they share the cores with the broker", two.rate / one.rate, "times"),
            Figure("two ÷ one, with a core for each worker", 2 * one.cost / two.cost, "times", AIM),
        ),
        ("with a core for each: twice what one costs ÷ what two cost, in CPU for each instruction",),
    )


async def _run(broker: Broker, count: int, messages: Sequence[Message]) -> _Run:
    settings = await broker.topics(f"scaling-{count}")
    await publish(settings, messages)
    several = [
        settings.model_copy(update={"web_port": free_port(), "data_dir": settings.data_dir / str(number)})
        for number in range(count)
    ]
    with ExitStack() as stack:
        processes = [stack.enter_context(broker.worker(each)) for each in several]
        begun: tuple[int, float, float, float] | None = None
        deadline = monotonic() + _PATIENCE_SECONDS
        while True:
            judged = [await asyncio.to_thread(_judged, each) for each in several]
            now = (sum(judged), monotonic(), _cpu(processes), cpu_seconds(broker.pid) or 0.0)
            if begun is None and all(judged):
                begun = now
            if now[0] == len(messages):
                break
            for process in processes:
                process.check()
            if monotonic() > deadline:
                raise BenchmarkError(f"{now[0]:,} of {len(messages):,} judged: {processes[0].last_words()}")
            await asyncio.sleep(_POLL_SECONDS)
    if begun is None or begun[0] == now[0]:
        raise BenchmarkError("one worker judged everything before the other began: too few instructions to measure")
    return _Run(*(after - before for before, after in zip(begun, now, strict=True)))  # type: ignore[arg-type]


def _judged(settings: Settings) -> int:
    try:
        return round(metrics_of(settings)[_JUDGED])
    except OSError:
        return 0  # it has not begun


def _cpu(processes: Sequence[Process]) -> float:
    return sum(cpu_seconds(process.pid) or 0.0 for process in processes)
