"""The command line of the fault trials."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import fault_trials
from treasury_watch.adapters.settings import PREFIX

from .broker import Broker, NoKafka
from .kinds import KINDS
from .sabotage import SABOTAGES
from .table import complaint, line, table
from .trial import Outcome, run

HANG_SECONDS = 1_200.0  # all that a trial waits for has limits, which come to less


async def run_all(
    trials: Sequence[tuple[str, int]], work: Path, out: Path | None, command: tuple[str, ...] | None
) -> list[Outcome]:
    """Runs trials one after the other on one broker; each is told when it is done, and appended to `out`."""
    outcomes: list[Outcome] = []
    broker = Broker(work / "broker")
    try:
        await broker.start()
        for number, (kind, seed) in enumerate(trials, 1):
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
            outcome = await run(kind, seed, broker, work / f"{number:04d}-{kind}-{seed}", command)
            faulthandler.cancel_dump_traceback_later()
            outcomes.append(outcome)
            say(line(number, outcome))
            for told in [*outcome.findings, *outcome.restarts]:
                say(f"      {told}")
            if out is not None:
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\n")
    finally:
        await broker.close()
    return outcomes


def show(files: Sequence[Path]) -> int:
    """Prints the table of trials that were made; the exit status is theirs."""
    outcomes = [Outcome(**json.loads(each)) for file in files for each in file.read_text(encoding="utf-8").splitlines()]
    print(table(outcomes))
    for outcome in outcomes:
        if outcome.result != "passed":
            print(f"\n{complaint(outcome)}")
    return int(any(outcome.result != "passed" for outcome in outcomes))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _kinds(text: str) -> list[str]:
    kinds = [each.strip() for each in text.split(",") if each.strip()]
    for kind in kinds:
        if kind not in KINDS:
            raise argparse.ArgumentTypeError(f"{kind}: expected some of {', '.join(KINDS)}")
    if not kinds:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(KINDS)}")
    return kinds


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number from 1")
    return int(text)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/fault-trials",
        description=fault_trials.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="kinds:\n" + "\n".join(f"  {name:<18}{kind.about}" for name, kind in KINDS.items()),
    )
    parser.add_argument(
        "--trials", type=_count, default=len(KINDS), metavar="N", help="how many (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the first; the next have the next ones")
    parser.add_argument("--kinds", type=_kinds, default=list(KINDS), metavar="A,B", help="in turn (default: all)")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keeps the logs of trials that fail")
    parser.add_argument("--out", type=Path, metavar="F.jsonl", help="a line for each trial is appended")
    parser.add_argument(
        "--without", choices=SABOTAGES, metavar="SAFEGUARD", help=f"workers without one of: {', '.join(SABOTAGES)}"
    )
    parser.add_argument(
        "--table",
        type=Path,
        nargs="+",
        metavar="F.jsonl",
        help="only the table of trials that --out kept",
    )
    given = parser.parse_args()
    if given.table:
        return show(given.table)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]  # the settings of a trial are its own
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that brokers go away is what is tried
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background has it ignored
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    trials = [(given.kinds[number % len(given.kinds)], given.seed + number) for number in range(given.trials)]
    command = ("-m", "fault_trials.sabotage", given.without) if given.without else None
    work = (given.work or Path(tempfile.mkdtemp(prefix="fault-trials-"))).resolve()
    try:
        outcomes = asyncio.run(run_all(trials, work, given.out, command))
    except NoKafka as error:
        say(f"scripts/fault-trials: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    print(table(outcomes))
    failed = [outcome for outcome in outcomes if outcome.result != "passed"]
    if failed:
        print(f"\n{len(failed)} of {len(outcomes)} trials did not pass; the workers' logs are in {work}")
        print("\n".join(complaint(outcome) for outcome in failed))
    return 1 if failed else 0
