"""The steps of a first run, and its command line."""

from __future__ import annotations

import argparse
import csv
import fcntl
import gzip
import json
import os
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

import first_run
from first_run.installation import Failed, Installation, await_that, counted, end_debris, kafka, run
from first_run.result import Result, compare, show
from treasury_watch.adapters.rulefiles import default_rules
from treasury_watch.adapters.settings import PREFIX, load_settings

ROOT = Path(__file__).resolve().parents[2]
PARTITIONS = 4
SWITCHED_OFF = (
    "chinese-text.yaml",  # the files are in English
    "hours.yaml",  # days without a time of day, of a country with other holidays
    "allotment.yaml",  # no payment names an allotment
)
SHIPPED_ONLY = ("catalogue.yaml", "rules.lock")  # name every rule of the pack; a treasury has its own
CARD_LIMIT = "2500.00"  # the cards' file shows it: 950 payments of 2,400.01 to 2,500.00, and 27 in the next hundred
HELD_BACK = 0.2  # of the payments, until the second worker is there: on any machine it joins in the middle
SAMPLE_SECONDS = 6.0  # over which a sample is published; the whole goes as fast as it can
SAMPLE_LEAST = 100
LOCK = ".lock-of-scripts-first-run"


@dataclass(frozen=True)
class Source:
    """A real file: its name here, which its topics begin with, and the mapping that reads it."""

    name: str
    file: str
    mapping: str


SOURCES = (
    Source("cards", "government_purchase_cards_2010.csv.gz", "purchase-cards-2010.yaml"),
    Source("council", "council_payments_2017_2018.csv.gz", "council-payments-2017-2018.yaml"),
)


def run_all(data: Path, work: Path, limit: int | None) -> dict[str, Result]:
    """Imports, publishes, judges and compares both files; one result for each."""
    clear(work)
    results = {source.name: Result() for source in SOURCES}
    for source in SOURCES:
        say(f"importing {source.file}")
        import_source(source, data, work, limit, results[source.name])
    make_pack(work / "rules", work / "cards.jsonl")
    say("starting Apache Kafka")
    with kafka(work / "kafka") as address, ExitStack() as children:
        for name, result in results.items():
            say(f"{name}: two workers judge")
            there = install(name, address, work, children)
            judge(there, work / f"{name}.jsonl", result, sampled=limit is not None)
            say(f"{name}: comparing with replay")
            compare(there, name, result)
            if limit is None:  # a sample says nothing of speed
                say(f"{name}: one worker judges alone")
                there = install(f"{name}-alone", address, work, children)
                judge_alone(there, work / f"{name}.jsonl", result)
    return results


def import_source(source: Source, data: Path, work: Path, limit: int | None, result: Result) -> None:
    """Imports a file, or a sample of it: its last rows, since the council's first are older than the rules."""
    path = data / source.file
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:  # counted by other code than the importer's
        header, *rows = csv.reader(text) if limit is None else _last(csv.reader(text), limit)
    if limit is not None:
        path = work / f"{source.name}.csv"
        with path.open("w", encoding="utf-8", newline="") as sample:
            csv.writer(sample).writerows([header, *rows])
    result.rows = len(rows)
    out = work / f"{source.name}.jsonl"
    summary = counted("import", path, "--mapping", source.mapping, "--out", out)
    result.imported, result.rejected = summary["imported"], sum(summary["rejected"].values())


def _last(rows: Iterator[list[str]], limit: int) -> Iterator[list[str]]:
    yield next(rows)
    yield from deque(rows, limit)


def make_pack(folder: Path, cards: Path) -> None:
    """The default pack without what makes no sense here, and with the file's cards in the register of cards.

    Its lock is its own; its inline tests still pass.
    """
    shutil.copytree(default_rules(), folder, ignore=shutil.ignore_patterns(*SWITCHED_OFF, *SHIPPED_ONLY))
    with cards.open("rb") as lines:
        numbers = sorted({json.loads(line)["card_no"] for line in lines})
    with (folder / "tables" / "official_cards.csv").open("a", encoding="utf-8") as register:
        register.writelines(f"{number},purchase-cards,,{CARD_LIMIT}\n" for number in numbers)
    run("rules", "check", folder, "--fix")
    run("rules", "test", folder)


def install(name: str, address: str, work: Path, children: ExitStack) -> Installation:
    """Topics of their own for one file."""
    settings = load_settings(
        bootstrap_servers=address, topic_prefix=f"{name}.", group=name, partitions=PARTITIONS, rules_dir=work / "rules"
    )
    there = Installation(settings, work, children)
    there.create_topics()
    return there


def judge(there: Installation, instructions: Path, result: Result, *, sampled: bool) -> None:
    """Publishes and judges with two workers; the second starts when the first has begun to judge."""
    lines = instructions.read_bytes().splitlines(keepends=True)
    cut = round(len(lines) * (1 - HELD_BACK))
    parts = [there.folder / "published-first.jsonl", there.folder / "published-last.jsonl"]
    for part, content in zip(parts, (lines[:cut], lines[cut:]), strict=True):
        part.write_bytes(b"".join(content))
    rate = round(len(lines) / SAMPLE_SECONDS) if sampled else None

    first = there.start_worker(1)
    await_that(first.ready, "the worker is not ready", first)
    with there.publishing(parts[0], rate):
        await_that(lambda: first.judged() > 0, "nothing is judged", first)
        second = there.start_worker(2)
        await_that(second.ready, "the second worker is not ready", first, second)
        result.joined_after = first.judged()
    with there.publishing(parts[1], rate):
        pass
    there.await_judged(len(lines), first, second)
    result.by_worker = [first.judged(), second.judged()]
    result.restored = second.restored()
    for number, worker in enumerate((first, second), 1):
        result.expect(worker.stop(), 0, f"exit status of worker {number} after SIGTERM")
    result.offsets = there.offsets()


def judge_alone(there: Installation, instructions: Path, result: Result) -> None:
    """Judges with one worker that finds all payments there when it starts; fills in how long that takes."""
    with there.publishing(instructions):
        pass
    worker = there.start_worker(1)
    await_that(worker.ready, "the worker is not ready", worker)
    begun, used = worker.judged(), worker.cpu_seconds()
    there.await_judged(result.imported, worker)
    result.per_cpu_second = round((worker.judged() - begun) / (worker.cpu_seconds() - used))
    worker.stop()
    moments = [message.moment for message in there.read("decisions")]
    result.seconds_alone = max(moments) - min(moments)


def clear(work: Path) -> None:
    """Ends and deletes what an earlier run has left; a broker is `kafka`'s to end."""
    end_debris(work)
    for pattern in ("*.jsonl", "*.csv", "*.log", "*.pid", "result.json"):
        for file in work.glob(pattern):
            file.unlink()
    for folder in ("rules", "faust"):
        shutil.rmtree(work / folder, ignore_errors=True)


@contextmanager
def owned(work: Path) -> Iterator[None]:
    """Only one run at a time works in the folder, and only in one that holds nothing of other people."""
    if work.exists() and any(work.iterdir()) and not (work / LOCK).exists():
        raise Failed(f"{work} holds files that are not from here; name an empty or a new folder", 2)
    work.mkdir(parents=True, exist_ok=True)
    with (work / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(f"another first run is at work in {work}") from None
        yield


def say(sentence: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {sentence} ...", file=sys.stderr, flush=True)


def rows(text: str) -> int:
    if not text.isdecimal() or int(text) < SAMPLE_LEAST:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least {SAMPLE_LEAST}")
    return int(text)


def interrupt(*_: object) -> NoReturn:
    """Ends the run once; while it cleans up, nothing interrupts it again."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="first-run", description=first_run.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, metavar="DIR", help="where the two real files are")
    own = ROOT / ".kafka" / "first-run"
    parser.add_argument("--work", type=Path, default=own, metavar="DIR", help="a folder of its own")
    parser.add_argument("--limit", type=rows, metavar="N", help="a sample: the last N rows of each file")
    arguments = parser.parse_args()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, interrupt)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]  # settings of another installation
    data, work = arguments.data.resolve(), arguments.work.resolve()
    try:
        for source in SOURCES:
            if not (data / source.file).is_file():
                raise Failed(f"no {data / source.file}; name the folder of the real payment files by --data", 2)
        with owned(work):
            results = run_all(data, work, arguments.limit)
            told = {name: asdict(result) for name, result in results.items()}
            (work / "result.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    except Failed as failed:
        print(f"scripts/first-run: {failed}", file=sys.stderr)
        return failed.status
    except KeyboardInterrupt:
        return 130
    for name, result in results.items():
        show(name, result)
    return 1 if any(result.differences for result in results.values()) else 0
