"""`python -m benchmarks.anomaly`: the quality of the anomaly model, side by side with river's and offline detectors.

Prequential: each payment is scored by what was seen before it, and counted after the first fifth of its stream, on
which river's parameters are chosen and the offline detectors are fitted. Streams whose file is absent are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from benchmarks.anomaly_detectors import RIVER, model_run, offline_runs, river_run
from benchmarks.anomaly_planting import kinds_of
from benchmarks.anomaly_quality import A_DAY, Quality, quality
from benchmarks.anomaly_streams import STREAMS, Stream, simulated_year

SEED = 1
QUICK = 6_000  # payments of each stream
OURS, FEEDBACK, ON_ALERTS = "treasury-watch", "… told of all wrong ones", "… told of alerts only"
WITH_LABELS = "labelled"  # the stream whose labels are given back


def measured(stream: Stream, told: bool) -> Iterator[Quality]:
    """Each detector on one stream."""
    ours = model_run(stream)
    assert ours.values is not None
    yield quality(OURS, stream, ours)
    for name in RIVER:
        run, best = river_run(name, ours.values, stream.payments)
        parameters = " ".join(f"{key}={value}" for key, value in best.items())
        yield quality(f"river {name} {parameters}", stream, run)
    for name, run in offline_runs(ours.values):
        yield quality(f"{name}, offline", stream, run)
    if told:
        yield quality(FEEDBACK, stream, model_run(stream, "all"))
        yield quality(ON_ALERTS, stream, model_run(stream, "alerted"))


def table(stream: Stream, found: list[Quality]) -> Iterator[str]:
    """A stream's figures as a Markdown table, and whether the aims are reached."""
    planted = ", ".join(f"{kind} {count}" for kind, count in kinds_of(stream.payments))
    yield f"\n### {stream.name}: {len(stream.payments):,} payments ({planted})\n"
    yield f"| detector | average precision | ROC AUC | precision, {A_DAY} a day | alerts | by 10,000 | µs a payment |"
    yield "|---|---|---|---|---|---|---|"
    for each in found:
        rate = "" if each.alert_rate is None else f"{each.alert_rate:.2%}"
        blocks = f"{min(each.by_block):.2%}–{max(each.by_block):.2%}" if each.by_block else ""
        yield (
            f"| {each.detector} | {each.average_precision:.3f} | {each.roc_auc:.3f} | {each.precision_a_day:.3f} |"
            f" {rate} | {blocks} | {each.us:.1f} |"
        )
    yield ""
    yield from aims(found)


def aims(found: list[Quality]) -> Iterator[str]:
    """One line for each aim: what was reached."""
    by_name = {each.detector: each for each in found}
    ours = by_name[OURS].average_precision
    offline = max(each.average_precision for each in found if each.detector.endswith(", offline"))
    river = max(each.average_precision for each in found if each.detector.startswith("river "))
    yield f"- {_met(ours >= offline)}: {ours / offline:.2f} times the best offline detector (aim 1)"
    yield f"- {_met(ours >= 1.5 * river)}: {ours / river:.2f} times the best of river's (aim 1.5)"
    if FEEDBACK in by_name:
        told = by_name[FEEDBACK].average_precision
        yield f"- {_met(told >= 2 * ours)}: {told / ours:.2f} times as good with feedback (aim 2)"
    rates = [rate for each in found for rate in each.by_block]
    if rates:
        off = max(abs(rate / 0.01 - 1) for rate in rates)
        yield f"- {_met(off <= 0.1)}: alerts at most {off:.0%} off the target in any 10,000 payments (aim 10 %)"


def _met(met: bool) -> str:
    return "met" if met else "MISSED"


def main() -> int:
    """The command; its exit status is 0, or 2 for wrong use."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anomaly", description=__doc__)
    parser.add_argument("streams", nargs="*", metavar="STREAM", help=f"some of {', '.join(STREAMS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a few payments of each, to see that it runs")
    parser.add_argument("--seed", type=int, default=SEED, help="of what is planted and simulated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.streams if name not in STREAMS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: expected some of {', '.join(STREAMS)}")
    report: dict[str, list[Quality]] = {}
    for name in arguments.streams or STREAMS:
        try:
            stream = _stream(name, arguments.seed, arguments.quick)
        except FileNotFoundError as error:
            print(f"\n{name} is left out: {error.filename} is absent")
            continue
        report[name] = list(measured(stream, name == WITH_LABELS))
        print("\n".join(table(stream, report[name])), flush=True)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.encode(report))
    return 0


def _stream(name: str, seed: int, quick: bool) -> Stream:
    if not quick:
        return STREAMS[name](seed)
    if STREAMS[name] is simulated_year:
        return simulated_year(seed, QUICK)
    stream = STREAMS[name](seed)
    return replace(stream, payments=stream.payments[-QUICK:], keys=stream.keys[-QUICK:])


if __name__ == "__main__":
    sys.exit(main())
