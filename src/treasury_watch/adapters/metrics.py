"""What a worker counts, as Prometheus metrics `treasury_watch_…`. No label names a payment, payee, card or unit."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from time import time

import numpy as np
from msgspec import UNSET
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from treasury_watch.adapters.shadow import Counts
from treasury_watch.domain.payment import HOME_CURRENCY
from treasury_watch.domain.verdict import (
    DISPOSITION_REASONS,
    REASONS,
    SEVERITY,
    VERDICTS,
    Anomaly,
    Decision,
    Duplicate,
    Outcome,
    Refusal,
)
from treasury_watch.engine.failsafe import RULE as ENGINE
from treasury_watch.rules.schema import RuleSet

LATENCY_BUCKETS = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
_EVENT_BUCKETS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0)
_ENGINE_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25)
_P_VALUE_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_SIZE_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_HIT_MODES = ("live", "shadow", "warming")
CONTROL_INPUTS = ("rules", "reference", "dispositions")
_HELD = SEVERITY["intercept"]

disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series for a time that nobody asks for


class BatchHistogram(Collector):
    """A histogram that takes a whole batch at once: observing one by one costs a microsecond each."""

    def __init__(self, name: str, documentation: str, buckets: Sequence[float]) -> None:
        self._name, self._documentation = name, documentation
        self._edges = np.array(buckets)
        self._labels = [*(str(edge) for edge in buckets), "+Inf"]
        self._counts = np.zeros(len(buckets) + 1, dtype=np.int64)
        self._sum = 0.0

    def observe(self, values: np.ndarray) -> None:
        """Counts every value of a float64 array."""
        self._counts += np.bincount(np.searchsorted(self._edges, values), minlength=len(self._counts))
        self._sum += float(values.sum())

    def collect(self) -> Iterator[HistogramMetricFamily]:
        up_to = np.cumsum(self._counts).tolist()
        yield HistogramMetricFamily(
            self._name, self._documentation, list(zip(self._labels, up_to, strict=True)), sum_value=self._sum
        )


@dataclass(frozen=True, slots=True)
class Watched:
    """What is asked of an assigned partition at each scrape."""

    lag: Callable[[], float]
    warming: Callable[[], float]
    keys: Callable[[], float]
    drift: Callable[[], float]
    snapshot_age: Callable[[], float]  # seconds
    snapshot_bytes: Callable[[], float]


class Metrics:
    """One worker's metrics. Every series exists from the start: children are bound here, once."""

    def __init__(self, ruleset: RuleSet, clock: Callable[[], float] = time) -> None:
        """`clock`: seconds since 1970, by which it is known how long ago an event was."""
        self._clock = clock
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)

        def counter(name: str, documentation: str, *labels: str) -> Counter:
            return Counter(f"treasury_watch_{name}", documentation, labels, registry=registry)

        instructions = counter("instructions", "Instructions judged, by verdict", "verdict")
        self._instructions = {verdict: instructions.labels(verdict) for verdict in VERDICTS}
        hits = counter("hits", "Rules that matched, by rule and mode", "rule", "mode")
        self._hits: dict[tuple[str, str], Counter] = {}
        self._held = counter("held_cny", "Yuan of the instructions intercepted or prohibited, refunds not counted")
        dead_letters = counter("dead_letters", "Messages refused, by reason", "reason")
        self._dead_letters = {reason: dead_letters.labels(reason) for reason in (*REASONS, *DISPOSITION_REASONS)}
        self._duplicates = counter("duplicates", "Instructions delivered again, which got no second decision")
        self._late = counter("late", "Instructions judged that came later than newer ones of their partition key")
        self._engine_errors = counter(
            "engine_errors", "Instructions that judging failed on, which got the verdict that is set for such cases"
        )
        self.unknown_fields = counter("unknown_fields", "Fields in messages that the contract does not know")
        self.latency = BatchHistogram(
            "treasury_watch_decision_latency_seconds",
            "From the message's timestamp to its decision acknowledged by the brokers",
            LATENCY_BUCKETS,
        )
        registry.register(self.latency)
        self._event_latency = BatchHistogram(
            "treasury_watch_event_latency_seconds",
            "From event_time, which the payment system's clock says, to the decision acknowledged; below 0 counts as 0",
            _EVENT_BUCKETS,
        )
        registry.register(self._event_latency)
        self.engine = Histogram(
            "treasury_watch_engine_seconds", "Engine alone, per batch", buckets=_ENGINE_BUCKETS, registry=registry
        )
        self._p_values = BatchHistogram(
            "treasury_watch_anomaly_p_value",
            "p-values of the anomaly model: spread evenly over 0 to 1",
            _P_VALUE_BUCKETS,
        )
        registry.register(self._p_values)
        self._scored = counter("anomaly_scored", "Instructions that the anomaly model has scored, also while warming")
        self._alerts = counter("anomaly_alerts", "Instructions whose p-value is within the share that is to alert")
        self._creeping = counter("anomaly_creeping", "Instructions at which the amounts of a unit have slowly grown")
        self._shadow = {
            "scored": counter(
                "anomaly_shadow_scored", "Instructions that the shadow detector has scored beside the model"
            ),
            "alerts": counter("anomaly_shadow_alerts", "Instructions that the shadow detector would alert of"),
            "both": counter("anomaly_shadow_agreed", "Instructions that both model and shadow detector alert of"),
            "errors": counter("anomaly_shadow_errors", "Instructions on which the shadow detector failed"),
        }
        self.batch_size = Histogram(
            "treasury_watch_batch_size", "Messages per batch", buckets=_SIZE_BUCKETS, registry=registry
        )

        def gauge(name: str, documentation: str) -> Gauge:
            return Gauge(f"treasury_watch_{name}", documentation, ["partition"], registry=registry)

        self._ready = Gauge(
            "treasury_watch_ready", "1 while it judges what it is assigned and has brokers, else 0", registry=registry
        )
        self._partitions = {
            "lag": gauge("lag", "Messages on an assigned partition not yet judged"),
            "warming": gauge(
                "warming_windows",
                "Windows of the rules for which the history of an assigned partition is too short for payments on time",
            ),
            "keys": gauge("state_keys", "Keys of windows and instruction ids that an assigned partition remembers"),
            "drift": gauge(
                "anomaly_drift_events",
                "Drift events that the models of an assigned partition remember, at most 20 each",
            ),
            "snapshot_age": gauge(
                "snapshot_age_seconds",
                "How long ago all that an assigned partition had judged was with its state on the brokers",
            ),
            "snapshot_bytes": gauge(
                "snapshot_bytes", "Bytes of state that a restore of an assigned partition would have to read"
            ),
        }
        self.state_bytes = counter("state_bytes", "Bytes of state written to the brokers")
        self._rebuild = Gauge(
            "treasury_watch_rebuild_seconds", "How long the last rebuild of windows took", registry=registry
        )
        self._rebuilt = counter("rebuilt_instructions", "Messages read again to rebuild windows")
        self.restored = counter("restored_partitions", "Partitions taken over with the state that was written of them")
        self._standby = Gauge(
            "treasury_watch_standby_partitions",
            "Partitions of other workers whose state is followed",
            registry=registry,
        )
        self.fenced = counter("fenced", "Partitions that another worker took over while this one still worked for them")
        self.suppressed = counter("suppressed_outputs", "Outputs judged again and not published, as they were there")
        self._control = counter("control_inputs", "Control inputs, partition by partition", "input", "outcome")
        for each in CONTROL_INPUTS:
            for outcome in ("applied", "refused"):
                self._control.labels(each, outcome)
        self._hit_counter = hits
        self._ruleset = Info("treasury_watch_ruleset", "The rules in force", registry=registry)
        self.judges_by(ruleset)

    def judges_by(self, ruleset: RuleSet) -> None:
        """From now on these are the rules in force."""
        self._hits |= {
            (rule.id, mode): self._hit_counter.labels(rule.id, mode) for rule in ruleset.rules for mode in _HIT_MODES
        }
        self._ruleset.info({"hash": ruleset.hash})

    def count_control(self, topics: Iterable[tuple[str, str]]) -> None:
        """Counts control inputs by topic of the contract and outcome, applied or refused."""
        for topic, outcome in topics:
            self._control.labels(topic, outcome).inc()

    def count_refused(self, reasons: Iterable[str]) -> None:
        """Counts dead letters of control inputs by their reasons."""
        for reason in reasons:
            self._dead_letters[reason].inc()  # type: ignore[index]

    def count(self, outcomes: Sequence[Outcome]) -> None:
        """Counts what was just published."""
        decisions = [each for each in outcomes if isinstance(each, Decision)]
        if decisions:
            self._count_decisions(decisions)
        if len(decisions) < len(outcomes):
            for each in outcomes:
                if isinstance(each, Refusal):
                    self._dead_letters[each.reason].inc()
                elif isinstance(each, Duplicate):
                    self._duplicates.inc()

    def _count_decisions(self, decisions: Sequence[Decision]) -> None:
        """One pass for each figure: lists are made and added up much faster than one loop goes through it all."""
        for verdict, n in Tally([each.verdict for each in decisions]).items():
            self._instructions[verdict].inc(n)
        self._late.inc(sum([each.late for each in decisions]))
        self._count_hits([each for each in decisions if each.hits])
        self._count_scores([each.anomaly for each in decisions if each.anomaly is not UNSET])
        # Times of the same zone are subtracted much faster than others: so now is told in the one of the payments.
        now = datetime.fromtimestamp(self._clock(), decisions[0].event_time.tzinfo)
        ago = np.array([(now - each.event_time).total_seconds() for each in decisions])
        self._event_latency.observe(np.maximum(ago, 0.0))

    def _count_hits(self, decisions: Sequence[Decision]) -> None:
        judged = [each for each in decisions if each.hits[0].rule != ENGINE]
        self._engine_errors.inc(len(decisions) - len(judged))
        hits = [(hit.rule, hit.mode) for each in judged for hit in each.hits if not hit.excepted]
        for hit, n in Tally(hits).items():
            self._hits[hit].inc(n)
        held = [
            max(Decimal(each.amount), Decimal(0))
            for each in decisions
            if SEVERITY[each.verdict] >= _HELD and each.currency == HOME_CURRENCY
        ]
        self._held.inc(float(sum(held)))

    def count_shadow(self, counts: Counts) -> None:
        """Counts what a shadow detector saw."""
        for name, metric in self._shadow.items():
            metric.inc(getattr(counts, name))

    def _count_scores(self, scores: Sequence[Anomaly]) -> None:
        p_values = [each.p_value for each in scores if each.p_value is not None]
        if p_values:
            self._p_values.observe(np.array(p_values))
        self._scored.inc(len(scores))
        self._alerts.inc(sum([each.alert for each in scores]))
        self._creeping.inc(sum([each.creeping for each in scores]))

    def watch_partition(self, partition: int, watched: Watched) -> None:
        """Exposes what is asked of an assigned partition at each scrape."""
        for name, metric in self._partitions.items():
            metric.labels(str(partition)).set_function(getattr(watched, name))

    def watch_ready(self, ready: Callable[[], bool]) -> None:
        """Exposes whether the worker is ready."""
        self._ready.set_function(ready)

    def watch_standby(self, partitions: Callable[[], float]) -> None:
        """Exposes of how many partitions a standby follows the state."""
        self._standby.set_function(partitions)

    def forget_partition(self, partition: int) -> None:
        """The partition is no longer assigned."""
        for metric in self._partitions.values():
            metric.remove(str(partition))

    def rebuilt(self, messages: int, seconds: float) -> None:
        self._rebuilt.inc(messages)
        self._rebuild.set(seconds)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)
