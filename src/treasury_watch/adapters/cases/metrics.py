"""What a sink counts, as Prometheus metrics `treasury_watch_sink_…`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from treasury_watch.adapters.cases.rows import COLUMNS
from treasury_watch.adapters.cases.store import Place

_BUCKETS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

disable_created_metrics()  # type: ignore[no-untyped-call]  # as in a worker's metrics


class Metrics:
    """One sink's metrics. Series exist from the start, but for those of partitions, which come with them."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        rows = Counter("treasury_watch_sink_rows", "Rows added, by table", ["table"], registry=registry)
        self._rows = {table: rows.labels(table) for table in COLUMNS}
        self._lag = Gauge(
            "treasury_watch_sink_lag",
            "Records of an assigned partition that are not written yet",
            ["topic", "partition"],
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "treasury_watch_sink_batch_seconds",
            "From a batch in hand to its commit, without waiting for the database",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.waiting = Gauge(
            "treasury_watch_sink_waiting", "1 while the database is away and waited for, else 0", registry=registry
        )

        self._ready = Gauge(
            "treasury_watch_sink_ready",
            "1 while the sink writes what comes, 0 while it waits for PostgreSQL, brokers or partitions",
            registry=registry,
        )

    def watch_ready(self, ready: Callable[[], bool]) -> None:
        """Exposes what is asked at each scrape."""
        self._ready.set_function(ready)

    def count(self, rows: Mapping[str, int]) -> None:
        """Counts rows added, by table."""
        for table, n in rows.items():
            self._rows[table].inc(n)

    def show_lag(self, lag: Mapping[Place, int]) -> None:
        """The partitions that are assigned now, and how far each is behind."""
        self._lag.clear()
        for (topic, partition), records in lag.items():
            self._lag.labels(topic, str(partition)).set(records)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)
