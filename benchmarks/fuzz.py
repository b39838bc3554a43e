"""Hostile messages through the worker's own path, without Kafka: each is accepted or refused for a true reason.

`python -m benchmarks.fuzz --count 1000000 --seed 1` decodes, admits and judges them by the default pack, makes the
records that would be published, and holds every outcome against `contract`, which reads the contract anew. A message is
known by seed and number: `--only N` shows one. Exit status 1 when any was treated otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.contract import ACCEPTED, DUPLICATE, Contract
from benchmarks.drafts import Message
from benchmarks.hostile import ELSEWHERE, KINDS, message
from benchmarks.workload import default_program
from treasury_watch.adapters.kafka.admission import Admission
from treasury_watch.adapters.kafka.publisher import Judged, Output, outputs_of, utc_now
from treasury_watch.adapters.kafka.topics import MAX_MESSAGE_BYTES
from treasury_watch.adapters.wire import decode_batch, decode_decision
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import REASONS, Decision, Outcome, Refusal
from treasury_watch.engine import Engine, Program

BATCH = 500
MOST_DETAIL = 2_000  # bytes of what a refusal says
SHOWN = 10
_SAMPLES = 20  # of the memory, in the course of a run


def partition_of(key: bytes) -> int:
    """All keys belong to partition 0 but one."""
    return int(key == ELSEWHERE.encode())


@dataclass
class Result:
    """What became of the messages: by kind, and those that were treated otherwise than the contract says."""

    messages: int = 0
    seconds: float = 0.0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    largest: Counter[str] = field(default_factory=Counter)  # topic → bytes of its largest record
    wrong: list[str] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)


class Course:
    """A partition without its brokers."""

    def __init__(self, program: Program) -> None:
        self.engine = Engine(program)
        self.engine.on_failure = lambda instruction, error: self.failures.append(error)
        self.failures: list[Exception] = []
        self.admission = Admission(program.ruleset.partition_by, partition_of, 0)
        self.contract = Contract(partition_of, 0)

    def run(self, batch: list[Message], result: Result) -> None:
        """Takes a batch as the worker does, and looks at all that comes of it."""
        decoded, _ = decode_batch([each.value for each in batch])
        admitted = self.admission.check(batch, decoded)
        judged = iter(self.engine.assess([each for each in admitted if isinstance(each, Instruction)]))
        outcomes = [each if isinstance(each, Refusal) else next(judged) for each in admitted]
        outputs = outputs_of(Judged(batch, admitted, outcomes), "payments", 0, utc_now())
        self.engine.absorb()
        for each, outcome in zip(batch, outcomes, strict=True):
            told = label_of(outcome)
            result.outcomes[each.kind, told] += 1
            expected = self.contract.expects(each)
            if told != expected:
                result.wrong.append(f"{each.offset} ({each.kind}): {told}, by the contract {expected}")
            elif told not in each.may:
                result.wrong.append(f"{each.offset} ({each.kind}): {told}, expected {', '.join(sorted(each.may))}")
            if isinstance(outcome, Decision):
                result.verdicts[outcome.verdict] += 1
        result.wrong += [f"{batch[0].offset} and after: judging failed: {error!r}" for error in self.failures]
        self.failures.clear()
        result.wrong += outside(batch, outcomes, outputs, result.largest)
        result.messages += len(batch)


def label_of(outcome: Outcome) -> str:
    if isinstance(outcome, Refusal):
        return outcome.reason
    return ACCEPTED if isinstance(outcome, Decision) else DUPLICATE


def outside(
    batch: list[Message], outcomes: list[Outcome], outputs: dict[str, list[Output]], largest: Counter[str]
) -> Iterator[str]:
    """What is wrong with the records that would be published, and how large they are."""
    for topic, records in outputs.items():
        for _, value, headers in records:
            size = len(value or b"") + sum(len(each) for _, each in headers)
            largest[topic] = max(largest[topic], size)
            if size > MAX_MESSAGE_BYTES and topic != "dead-letters":
                yield f"{dict(headers)['source_offset']!r}: {size} bytes for {topic}"
    decided = [dict(headers)["source_offset"] for _, _, headers in outputs["decisions"]]
    if decided != [
        str(each.offset).encode()
        for each, outcome in zip(batch, outcomes, strict=True)
        if isinstance(outcome, Decision)
    ]:
        yield f"{batch[0].offset} and after: decisions of {decided}"
    for _, value, _ in (*outputs["decisions"], *outputs["intercepts"], *outputs["warnings"]):
        decode_decision(value or b"")
    refused = [each for each, outcome in zip(batch, outcomes, strict=True) if isinstance(outcome, Refusal)]
    for each, (key, value, headers) in zip(refused, outputs["dead-letters"], strict=True):
        said = {name: text.decode() for name, text in headers}
        if (key, value, said["source_offset"]) != (each.key, each.value, str(each.offset)):
            yield f"{each.offset} ({each.kind}): its dead letter is that of another"
        if not said["detail"].isprintable() or not 0 < len(said["detail"].encode()) <= MOST_DETAIL:
            yield f"{each.offset} ({each.kind}): detail of {len(said['detail'])} characters: {said['detail'][:200]!a}"


def tally(
    program: Program, seed: int, numbers: Iterable[int], progress: Callable[[Result], None] = lambda result: None
) -> Result:
    """What becomes of the messages of these numbers."""
    result = Result()
    course = Course(program)
    remaining = iter(numbers)
    started = time.perf_counter()
    while batch := [message(seed, number) for number in islice(remaining, BATCH)]:
        try:
            course.run(batch, result)
        except Exception:
            result.wrong.append(f"{batch[0].offset} to {batch[-1].offset}: {traceback.format_exc()}")
            break
        result.seconds = time.perf_counter() - started
        progress(result)
    result.held = course.engine.state.entries()
    return result


def resident_mb() -> float | None:
    """What the system says the process holds, where it says so."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def table_of(result: Result) -> list[str]:
    """The outcomes by kind, as a table in Markdown."""
    refusals = [each for each in REASONS if any(told == each for _, told in result.outcomes)]
    columns = [ACCEPTED, DUPLICATE, *refusals]
    lines = [f"| kind | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for kind in (*KINDS, None):
        cells = [
            sum(count for (of, told), count in result.outcomes.items() if told == column and kind in (of, None))
            for column in columns
        ]
        lines.append(f"| {kind or 'all'} | " + " | ".join(f"{each:,}" if each else "" for each in cells) + " |")
    return lines


def report_of(result: Result) -> dict[str, Any]:
    """The result for machines."""
    by_kind: dict[str, dict[str, int]] = {}
    for (kind, told), count in sorted(result.outcomes.items()):
        by_kind.setdefault(kind, {})[told] = count
    return {
        "messages": result.messages,
        "seconds": round(result.seconds, 1),
        "outcomes": by_kind,
        "verdicts": dict(sorted(result.verdicts.items())),
        "largest": dict(sorted(result.largest.items())),
        "resident_mb": result.resident_mb,
        "held": result.held,
        "wrong": result.wrong,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="how many messages")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", type=int, metavar="N", help="show the message of that number and what may become of it"
    )
    parser.add_argument("--json", action="store_true", help="the result as one JSON object")
    arguments = parser.parse_args()
    if arguments.only is not None:
        shown = message(arguments.seed, arguments.only)
        print(f"{shown.kind}; timestamp {shown.timestamp}; may be {', '.join(sorted(shown.may))}")
        print(f"key {(shown.key or b'')[:200]!r}\nvalue {(shown.value or b'')[:5_000]!r}")
        return 0
    step = max(BATCH, arguments.count // _SAMPLES)

    def progress(result: Result) -> None:
        if result.messages % step < BATCH:
            result.resident_mb += [each for each in [resident_mb()] if each is not None]
            held = f"{result.resident_mb[-1]:,.0f} MB" if result.resident_mb else "memory unknown"
            print(f"{result.messages:,} messages in {result.seconds:,.0f} s, {held}", file=sys.stderr)

    result = tally(default_program(), arguments.seed, range(arguments.count), progress)
    if arguments.json:
        print(json.dumps(report_of(result), ensure_ascii=False))
    else:
        print("\n".join(table_of(result)))
        print(f"\n{result.messages:,} messages in {result.seconds:,.0f} s; verdicts {dict(result.verdicts)}")
        print(
            f"largest records, bytes: {dict(result.largest)}\nresident, MB: {result.resident_mb}; held: {result.held}"
        )
        print(f"treated otherwise: {len(result.wrong)}")
    for each in result.wrong[:SHOWN]:
        print(each, file=sys.stderr)
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
