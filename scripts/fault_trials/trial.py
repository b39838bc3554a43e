"""One trial: topics, workers, load, a disturbance, and what came of it."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

from treasury_watch.adapters.rulefiles import load as load_rules
from treasury_watch.adapters.settings import Settings, load_settings
from treasury_watch.engine import Program

from . import applied, undisturbed, verification
from .broker import Broker
from .durable import Positions, Shown, shown
from .fleet import MOST_RESTARTS, Fleet, Stuck
from .inputs import Inputs
from .kinds import KINDS, START_SECONDS, TERM_SECONDS, Scene
from .load import messages
from .proxy import Proxy
from .topics import OUTPUTS, Load, Watch, delete_topics, make_topics, records

RULES = Path(__file__).parent / "rules"
RULE_SETS = [RULES / "second", RULES]  # as they are published in turn; workers begin with the last one
PARTITIONS = 4
RATES = (500, 550, 650)
SETTLE_SECONDS = 120.0
LOAD_SECONDS = 5.0  # at least
STANDBY_EVERY = 4  # trials, by seed

Result = Literal["passed", "failed", "stuck"]


@dataclass
class Outcome:
    """What came of a trial. `findings` is empty if it passed; `restarts` says which workers stopped by themselves;
    `standby`, whether each followed the states of the others' partitions.
    """

    kind: str
    seed: int
    standby: bool = False
    workers: int = 0
    rate: int = 0
    messages: int = 0
    decisions: int = 0
    cases: int = 0
    dead_letters: int = 0
    duplicates: int = 0
    rule_changes: int = 0
    dispositions: int = 0
    samples: int = 0
    seconds: float = 0.0
    result: Result = "passed"
    findings: list[str] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)


async def run(kind: str, seed: int, broker: Broker, folder: Path, command: tuple[str, ...] | None = None) -> Outcome:
    """Runs a trial; everything in it but the machine's own pace follows from kind and seed.

    `command` starts all workers in place of the kind's own. The folder with the workers' logs goes if the trial passes.
    """
    chance = Random(f"{kind} {seed}")
    outcome = Outcome(
        kind, seed, standby=seed % STANDBY_EVERY == 0, workers=chance.choice((2, 2, 3)), rate=chance.choice(RATES)
    )
    folder.mkdir(parents=True)  # noqa: ASYNC240  # nothing else is to go on meanwhile
    settings = load_settings(
        bootstrap_servers=broker.address,
        topic_prefix=f"trial-{kind}-{seed}-{time.time_ns():x}.",
        group=f"trial-{kind}-{seed}-{time.time_ns():x}",
        partitions=PARTITIONS,
        rules_dir=RULES,
        data_dir=folder / "data",
        standby=outcome.standby,
    )
    started = time.monotonic()
    try:
        await make_topics(settings)
        await _disturbed(outcome, settings, broker, folder, chance, command)
    except Stuck as stuck:
        outcome.result = "stuck"
        outcome.findings.append(str(stuck))
    finally:
        await broker.whole()
    outcome.seconds = time.monotonic() - started
    (folder / "done.txt").write_text("\n".join([*outcome.done, *outcome.restarts, *outcome.findings]) + "\n")
    if outcome.result == "passed":
        shutil.rmtree(folder)
        await delete_topics(settings)
    return outcome


async def _disturbed(
    outcome: Outcome,
    settings: Settings,
    broker: Broker,
    folder: Path,
    chance: Random,
    command: tuple[str, ...] | None,
) -> None:
    kind = KINDS[outcome.kind]
    started = time.monotonic()

    def log(what: str) -> None:
        outcome.done.append(f"{time.monotonic() - started:6.2f} s  {what}")

    fleet = Fleet(settings, folder, command or kind.command)
    proxies = [Proxy(broker.address) for _ in range(outcome.workers if kind.proxied else 0)]
    load = Load(settings, messages(outcome.seed, settings.partitions), outcome.rate)
    inputs = Inputs(settings, RULE_SETS, Random(f"{outcome.kind} {outcome.seed} inputs"))
    watch = Watch(settings)
    positions = Positions(settings)
    try:
        for number in range(outcome.workers):
            if proxies:
                await proxies[number].start()
            await fleet.start(proxies[number].address if proxies else None)
        await fleet.ready(START_SECONDS, least=outcome.workers)
        log("all workers are ready")
        least = asyncio.create_task(asyncio.sleep(LOAD_SECONDS))
        await kind.disturb(Scene(fleet, broker, load, proxies, chance, log))
        await least
        await inputs.stop()
        await load.stop()
        log("everything is sent")
        ends = await watch.done(SETTLE_SECONDS)
        log("everything is committed")
        states = await shown(fleet, ends, SETTLE_SECONDS)
        for worker in fleet.living:
            await worker.terminate(TERM_SECONDS)
    finally:
        await watch.stop()
        await positions.stop()
        await inputs.stop()
        await fleet.close()
        for proxy in proxies:
            await proxy.stop()
        outcome.restarts = fleet.restarts
    outcome.rule_changes, outcome.dispositions, outcome.samples = inputs.rules, inputs.dispositions, watch.seen
    await _verify(outcome, settings, watch, positions, states)
    for worker in fleet.workers:
        outcome.findings += worker.wrongs()
    if len(fleet.restarts) > MOST_RESTARTS:
        outcome.findings.append(f"workers stopped by themselves {len(fleet.restarts)} times")
    if outcome.findings:
        outcome.result = "failed"


async def _verify(outcome: Outcome, settings: Settings, watch: Watch, positions: Positions, states: Shown) -> None:
    made = [Program(load_rules(each), max_lateness=settings.max_lateness) for each in reversed(RULE_SETS)]
    programs = {program.ruleset.hash: program for program in made}
    there = await records(settings, ("payments", "dispositions", "applied", *OUTPUTS))
    for partition in range(settings.partitions):
        payments = there["payments"][partition]
        published = {name: there[name][partition] for name in OUTPUTS}
        letters = published["dead-letters"]
        published["dead-letters"] = verification.dead_letters_of(letters, "payments")
        log = applied.steps(there["applied"][partition])
        dispositions = there["dispositions"][partition]
        seen = sum(step.at < states.applied[partition] for step in log)
        run = undisturbed.Judge(partition, programs, settings).run(payments, log, dispositions, seen)
        outcome.messages += len(payments)
        outcome.decisions += len(run.outputs["decisions"])
        outcome.cases += len(run.outputs["intercepts"]) + len(run.outputs["warnings"])
        outcome.dead_letters += len(run.outputs["dead-letters"])
        outcome.duplicates += run.duplicates
        outcome.findings += applied.wrongs(log, dispositions, settings.topic("dispositions"), partition)
        outcome.findings += run.untrue
        outcome.findings += verification.compare(run, published, partition)
        of_dispositions = verification.dead_letters_of(letters, "dispositions")
        outcome.findings += verification.refusals(run, of_dispositions, partition)
        outcome.findings += verification.committed_early(run, published, watch.samples, partition)
        written = positions.written[partition]
        outcome.findings += verification.committed_before_written(written, watch.samples, partition)
        if states.digests[partition] != run.digest:
            outcome.findings.append(f"state[{partition}]: its digest is not that of the undisturbed run")
