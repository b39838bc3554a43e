"""`python -m benchmarks`: speed, latency and memory on this machine, in one run and one report."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import engine, latency, memory, recovery, rules, scaling, stages, throughput
from benchmarks.documents import DOCUMENT, with_figures
from benchmarks.figures import Report, Section, report_of, section_text
from benchmarks.services import ROOT, BenchmarkError, Broker, Unavailable, apache_kafka, processor
from benchmarks.sizes import FULL, QUICK, Sizes
from treasury_watch import __version__
from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.publisher import PublishError

ALONE: dict[str, Callable[[Sizes], Section]] = {
    "engine": engine.measure,
    "memory": memory.measure,
    "rules": rules.measure,
}
ON_KAFKA: dict[str, Callable[[Sizes, Broker], Section]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "recovery": recovery.measure,
    "scaling": scaling.measure,
}
NAMES = ("engine", "throughput", "latency", "memory", "stages", "rules", "recovery", "scaling")  # (a) to (h)


def main() -> int:
    """The command; its exit status is 0, 1 when something could not be measured, 2 for wrong use."""
    arguments = _parser().parse_args()
    unknown = [name for name in arguments.names if name not in NAMES]
    if unknown:
        return _fail(f"{', '.join(unknown)}: expected some of {', '.join(NAMES)}", 2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    try:
        if arguments.write_docs:
            return _write_docs(arguments.write_docs)
        report = run(arguments.names or NAMES, arguments.quick)
        if arguments.json:
            arguments.json.write_bytes(report.as_json())
    except (BenchmarkError, BrokerError, PublishError, OSError) as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return 130
    return 0


def run(names: Iterable[str], quick: bool) -> Report:
    """Measures, and prints each section when it is there. Raises BenchmarkError."""
    sizes = QUICK if quick else FULL
    wanted = [name for name in NAMES if name in set(names)]
    report = Report(_machine(), quick, ())
    print("\n".join(report.text()), flush=True)
    sections, skipped = [], []
    with ExitStack() as stack:
        broker: Broker | None = None
        if set(wanted) & {*ON_KAFKA, "stages"}:
            try:
                broker = stack.enter_context(apache_kafka())
            except Unavailable as why:
                skipped = [f"{name} is left out: {why}" for name in wanted if name in ON_KAFKA]
        for name in wanted:
            if name in ALONE:
                section = ALONE[name](sizes)
            elif name == "stages":
                section = stages.measure(sizes, broker)
            elif broker is not None:
                section = ON_KAFKA[name](sizes, broker)
            else:
                continue
            sections.append(section)
            print("\n".join(["", *section_text(section)]), flush=True)
    for line in skipped:
        print(f"\n{line}")
    return Report(report.machine, quick, tuple(sections), tuple(skipped))


def _machine() -> dict[str, str]:
    version = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "product": f"treasury-watch {__version__} {version.stdout.strip()}".strip(),
        "date": datetime.now(UTC).date().isoformat(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} × {processor()}",
        "load": f"{load} before the run",
    }


def _write_docs(source: Path) -> int:
    try:
        report = report_of(source.read_bytes())
    except ValueError as error:
        return _fail(f"{source}: not a report of --json: {error}", 2)
    if report.quick:
        return _fail(f"{source}: a quick run's figures mean nothing", 2)
    DOCUMENT.write_text(with_figures(DOCUMENT.read_text(encoding="utf-8"), report), encoding="utf-8")
    return 0


def _fail(line: str, status: int) -> int:
    print(f"benchmarks: {line}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)}; all when none is given")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: shows that everything runs, measures nothing"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the report for machines, too")
    parser.add_argument(
        "--write-docs", type=Path, metavar="FILE", help="measures nothing: puts a report's figures into docs/speed.md"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
