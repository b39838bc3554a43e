"""`/status` and `/status.json` on the worker's web server, where the settings allow them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import faust
from faust import web

from treasury_watch import __version__
from treasury_watch.adapters.metrics import Metrics
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.statuspage.cases import LastCases
from treasury_watch.adapters.statuspage.page import data_headers, language_of, own_name, page
from treasury_watch.adapters.statuspage.pulse import NOTED_SECONDS, Pulse
from treasury_watch.domain.verdict import VERDICTS

if TYPE_CHECKING:
    from treasury_watch.adapters.kafka.assignment import Assignment

_INSTRUCTIONS: Final = "treasury_watch_instructions_total"
_REFUSED: Final = "treasury_watch_dead_letters_total"
_HELD: Final = "treasury_watch_held_cny_total"
_LAG: Final = "treasury_watch_lag"
_WARMING: Final = "treasury_watch_warming_windows"
_RULES: Final = "treasury_watch_ruleset_info"

Samples = Mapping[str, list[tuple[Mapping[str, str], float]]]


def serve_status(
    app: faust.App, settings: Settings, metrics: Metrics, assignment: Assignment, condition: Callable[[], str]
) -> None:
    """Serves the page and its figures, and has `assignment` tell what it published from now on; to be called before the
    app starts. `condition` is what `/readyz` says.
    """
    status = Status(settings, metrics, assignment, condition)
    assignment.on_published = status.cases.take

    async def note() -> None:
        while not app.should_stop:
            status.note(monotonic())
            await asyncio.sleep(NOTED_SECONDS)

    app.task(note)

    @app.page("/status")
    async def html(self: web.View, request: web.Request) -> web.Response:
        if not own_name(request.headers.get("Host", ""), settings.web_host):
            return _misdirected(self)
        language = language_of(request.query.get("lang"), request.headers.get("Accept-Language", ""))
        document, headers = page(language)
        return self.html(document, headers=dict(headers))

    @app.page("/status.json")
    async def figures(self: web.View, request: web.Request) -> web.Response:
        if not own_name(request.headers.get("Host", ""), settings.web_host):
            return _misdirected(self)
        return self.json(status.as_json(), headers=dict(data_headers()))


class Status:
    """What one worker shows of itself. Everything counts since it started, but the pulse."""

    def __init__(
        self, settings: Settings, metrics: Metrics, assignment: Assignment, condition: Callable[[], str]
    ) -> None:
        self.cases = LastCases()
        self._pulse = Pulse([float(edge) for edge, _ in _buckets(metrics)])
        self._metrics = metrics
        self._assignment = assignment
        self._condition = condition
        self._partitions = settings.partitions
        self._started = _now()

    def note(self, at: float) -> None:
        """Notes how many decisions there are; to be called about once a second, with a monotonic clock's seconds."""
        self._pulse.note(at, [count for _, count in _buckets(self._metrics)])

    def as_json(self) -> dict[str, Any]:
        found = self._samples()
        lag, warming = _by(found[_LAG], "partition"), _by(found[_WARMING], "partition")
        judged = {tp.partition for tp in self._assignment.positions()}
        return {
            "status": self._condition(),
            "version": __version__,
            "started_at": self._started,
            "now": _now(),
            "ruleset": next((labels["hash"] for labels, _ in found[_RULES]), ""),
            "verdicts": {verdict: _by(found[_INSTRUCTIONS], "verdict").get(verdict, 0) for verdict in VERDICTS},
            "refused": sum(value for _, value in found[_REFUSED]),
            "held_cny": f"{sum(value for _, value in found[_HELD]):.2f}",
            "per_second": self._pulse.per_second(),
            "latency_ms": {"p50": self._pulse.latency_ms(0.5), "p99": self._pulse.latency_ms(0.99)},
            "lag": sum(lag.values()),
            "partitions": [
                {
                    "number": number,
                    "judged": number in judged,
                    "lag": lag.get(str(number), 0),
                    "warming": warming.get(str(number), 0),
                }
                for number in range(self._partitions)
            ],
            **self.cases.as_json(),
        }

    def _samples(self) -> Samples:
        names = (_INSTRUCTIONS, _REFUSED, _HELD, _LAG, _WARMING, _RULES)
        found: dict[str, list[tuple[Mapping[str, str], float]]] = {name: [] for name in names}
        for family in self._metrics.registry.restricted_registry(names).collect():
            for sample in family.samples:
                if sample.name in found:
                    found[sample.name].append((sample.labels, sample.value))
        return found


def _buckets(metrics: Metrics) -> list[tuple[str, float]]:
    """The edge of each bucket of the decisions' latency in seconds, and how many took at most so long."""
    return [
        (sample.labels["le"], sample.value)
        for family in metrics.latency.collect()
        for sample in family.samples
        if sample.name.endswith("_bucket")
    ]


def _by(samples: list[tuple[Mapping[str, str], float]], label: str) -> dict[str, float]:
    return {labels[label]: value for labels, value in samples}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _misdirected(view: web.View) -> web.Response:
    return view.json({"status": "not asked for under a name of this worker"}, status=421)
