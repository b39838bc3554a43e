"""Replay (重放): a file of instructions through the same engine that the worker runs, without Kafka.

One engine judges all partition keys: verdicts do not depend on the number of partitions. What only a record of a topic
can be refused for is not checked: `future_event_time` and `wrong_key`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

from treasury_watch.adapters.jsonl import Line
from treasury_watch.adapters.shadow import Shadow, shadow_of
from treasury_watch.adapters.wire import OTHER_NAMES, UNKNOWN_NAMES, decode_batch, encode_decision
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import VERDICTS, Decision, Hit, Reason, Refusal
from treasury_watch.engine import Engine, Program

DEFAULT_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that got no verdict: where it stands and why."""

    line: int
    reason: Reason
    detail: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}: {self.detail}"


@dataclass
class ReplaySummary:
    """What became of the lines: `lines` is the decisions, the duplicates and everything in `refused`. `shadow` is the
    shadow detector that judged beside the model, if the rule set has one.
    """

    lines: int = 0
    duplicates: int = 0
    late: int = 0
    verdicts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(VERDICTS, 0)))
    rules: dict[str, Counter[str]] = field(default_factory=dict)  # rule → how often it hit, by `standing`
    refused: Counter[str] = field(default_factory=Counter)
    unknown_fields: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    ruleset: str = ""
    reference: str = ""
    shadow: Shadow | None = None

    @property
    def decisions(self) -> int:
        return self.verdicts.total()

    @property
    def per_second(self) -> float:
        return self.lines / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """The summary for machines."""
        return {
            "lines": self.lines,
            "decisions": self.decisions,
            "duplicates": self.duplicates,
            "late": self.late,
            "verdicts": dict(self.verdicts),
            "rules": {rule: dict(hits) for rule, hits in sorted(self.rules.items())},
            "refused": dict(sorted(self.refused.items())),
            "unknown_fields": dict(sorted(self.unknown_fields.items())),
            "seconds": round(self.seconds, 3),
            "per_second": round(self.per_second),
            "ruleset": self.ruleset,
            "reference": self.reference,
            "shadow": None if self.shadow is None else self.shadow.as_json(),
        }


def standing(hit: Hit) -> str:
    """How a hit counts: `live`, `excepted`, `shadow` or `warming`."""
    return "excepted" if hit.excepted else hit.mode


def replay(
    lines: Iterable[Line],
    program: Program,
    out: IO[bytes] | None,
    refused: Callable[[Refused], object] = lambda refused: None,
    progress: Callable[[int], object] = lambda lines: None,
    batch: int = DEFAULT_BATCH,
) -> ReplaySummary:
    """Judges the lines in order and returns the counts.

    Decisions go to `out` as JSON lines without `decided_at`, in the order of their instructions; refused lines go to
    `refused`. `progress` gets the number of lines judged after every batch. The split into batches changes nothing.
    """
    engine = Engine(program)
    shadow = shadow_of(program.model)
    if shadow is not None:
        engine.on_scored = shadow.see
    summary = ReplaySummary(ruleset=program.ruleset.hash, reference=program.ruleset.reference, shadow=shadow)
    started = time.perf_counter()
    remaining = iter(lines)
    while chunk := list(islice(remaining, batch)):
        _judge(chunk, engine, out, refused, summary)
        summary.seconds = time.perf_counter() - started
        progress(summary.lines)
    return summary


def _judge(
    chunk: list[Line],
    engine: Engine,
    out: IO[bytes] | None,
    refused: Callable[[Refused], object],
    summary: ReplaySummary,
) -> None:
    summary.lines += len(chunk)
    decoded = decode_batch([line.value for line in chunk])
    _add_bounded(summary.unknown_fields, decoded.unknown)
    outcomes = iter(engine.assess([each for each in decoded.outcomes if isinstance(each, Instruction)]))
    encoded: list[bytes] = []
    for line, found in zip(chunk, decoded.outcomes, strict=True):
        outcome = found if isinstance(found, Refusal) else next(outcomes)
        if isinstance(outcome, Decision):
            encoded.append(encode_decision(outcome))
            _count(outcome, summary)
        elif isinstance(outcome, Refusal):
            summary.refused[outcome.reason] += 1
            refused(Refused(line.number, outcome.reason, outcome.detail))
        else:
            summary.duplicates += 1
    if out is not None and encoded:
        out.write(b"\n".join(encoded) + b"\n")
    engine.absorb()


def _count(decision: Decision, summary: ReplaySummary) -> None:
    summary.verdicts[decision.verdict] += 1
    summary.late += decision.late
    for hit in decision.hits:
        summary.rules.setdefault(hit.rule, Counter())[standing(hit)] += 1


def _add_bounded(total: Counter[str], more: dict[str, int]) -> None:
    for name, count in more.items():
        total[name if name in total or len(total) < UNKNOWN_NAMES else OTHER_NAMES] += count
