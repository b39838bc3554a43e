"""What a first run saw of one file: counted on the topics, held against the import and against replay."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from first_run.installation import Installation, Message, counted
from treasury_watch.adapters.wire import Published, decode_decision
from treasury_watch.cli.console import show_table
from treasury_watch.domain.verdict import SEVERITY, VERDICT_LABELS, VERDICTS

STAMP = re.compile(rb',"decided_at":"[^"]*"}$')  # the one part of a decision that is no function of its inputs


@dataclass
class Result:
    """The figures of one file; `differences` says what is not as it should be."""

    rows: int = 0
    imported: int = 0
    rejected: int = 0
    decisions: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    offsets: list[tuple[int, int]] = field(default_factory=list)  # committed and end, by partition
    by_worker: list[int] = field(default_factory=list)
    joined_after: int = 0  # decisions of the first worker when the second was ready
    restored: int = 0  # partitions that the second took over with their states
    verdicts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))
    told: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(VERDICTS, 0)
    )  # as if no rule had hit for want of a field
    hits: dict[str, int] = field(default_factory=dict)
    wanting: dict[str, int] = field(default_factory=dict)  # hits only because a field was missing
    seconds: float = 0.0  # from the first payment on the topic to the last decision
    seconds_alone: float = 0.0  # one worker, all payments being there: from its first decision to its last
    per_cpu_second: int = 0  # instructions that the worker alone judges in a second of its processor time
    replay_per_second: int = 0
    differences: list[str] = field(default_factory=list)

    def expect(self, found: object, expected: object, what: str) -> None:
        """Notes a difference where there is one."""
        if found != expected:
            self.differences.append(f"{what}: found {found}, expected {expected}")

    def count(self, decision: Published) -> None:
        """Counts a decision, and apart from it what the rules said that had all their fields."""
        self.verdicts[decision.verdict] += 1
        told = max((SEVERITY[hit.action] for hit in decision.hits if not hit.missing), default=0)
        self.told[VERDICTS[told]] += 1
        for hit in decision.hits:
            self.hits[hit.rule] = self.hits.get(hit.rule, 0) + 1
            self.wanting[hit.rule] = self.wanting.get(hit.rule, 0) + bool(hit.missing)


def compare(there: Installation, name: str, result: Result) -> None:
    """Counts what is on the topics; fills in the result and all differences."""
    instructions, replayed = there.folder / f"{name}.jsonl", there.folder / f"{name}.replayed.jsonl"
    messages, letters = there.read("decisions"), there.read("dead-letters")
    result.decisions = len(messages)
    result.refusals = dict(Counter(letter.headers["reason"] for letter in letters))
    result.seconds = max(message.moment for message in messages) - there.first_moment()
    judged, ids = _without_stamp(messages), Counter[str]()
    for each in judged:
        decision = decode_decision(each)
        result.count(decision)
        ids[decision.instruction_id] += 1
    _write(there.folder / f"{name}.decisions.jsonl", judged)

    summary = counted("replay", instructions, "--rules", there.folder / "rules", "--out", replayed)
    result.replay_per_second = summary["per_second"]

    result.expect(result.imported + result.rejected, result.rows, "imported and rejected rows")
    result.expect(sum(end for _, end in result.offsets), result.imported, "payments on the topic")
    result.expect(result.decisions + len(letters), result.imported, "decisions and dead letters")
    result.expect(result.refusals, {}, "dead letters")
    result.expect(len(ids), result.decisions, "instruction ids that have a decision")
    result.expect(ids.keys() ^ _ids(instructions), set(), "instruction ids on one side only")
    result.expect([done for done, _ in result.offsets], [end for _, end in result.offsets], "committed offsets")
    result.expect(sum(result.by_worker), result.decisions, "decisions that the workers counted")
    result.expect(min(result.by_worker) > 0, True, "both workers had something to judge")
    result.expect(summary["verdicts"], result.verdicts, "verdicts of replay")
    result.expect(len(there.read("warnings")), result.verdicts["warn"], "messages on the warnings topic")
    held = result.verdicts["intercept"] + result.verdicts["prohibit"]
    result.expect(len(there.read("intercepts")), held, "messages on the intercepts topic")
    ours, theirs = by_key(judged), by_key(replayed.read_bytes().splitlines())
    if ours != theirs:
        at = next(
            (n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
        )
        result.differences.append(f"workers and replay first differ in:\n{ours[at : at + 1]}\n{theirs[at : at + 1]}")


def by_key(decisions: Iterable[bytes]) -> list[bytes]:
    """Decisions by partition key, those of each key in the order in which they were made."""
    groups: defaultdict[str, list[bytes]] = defaultdict(list)
    for each in decisions:
        groups[decode_decision(each).jurisdiction].append(each)
    return [each for key in sorted(groups) for each in groups[key]]


def _without_stamp(messages: Iterable[Message]) -> list[bytes]:
    return [STAMP.sub(b"}", message.value) for message in messages]


def _write(path: Path, decisions: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(each + b"\n" for each in decisions)


def _ids(instructions: Path) -> set[str]:
    with instructions.open("rb") as lines:
        return {json.loads(line)["instruction_id"] for line in lines}


def show(name: str, result: Result) -> None:
    """Prints the figures."""
    total = max(result.decisions, 1)
    show_table(
        ("verdict", "判定", "decisions", "share", "missing fields aside"),
        [
            (verdict, VERDICT_LABELS[verdict], count, f"{count / total:.2%}", result.told[verdict])
            for verdict, count in result.verdicts.items()
        ],
        title=f"{name}: verdicts",
    )
    if result.hits:
        show_table(
            ("rule", "hits", "share", "for want of a field"),
            [(rule, n, f"{n / total:.2%}", result.wanting[rule]) for rule, n in sorted(result.hits.items())],
            title=f"{name}: hits by rule",
        )
    alone = ""
    if result.seconds_alone:
        alone = (
            f"one worker alone {total / result.seconds_alone:,.0f}/s, "
            f"{result.per_cpu_second:,} in a second of its processor time; "
        )
    refusals = sum(result.refusals.values())
    offsets = ", ".join(f"{done:,} / {end:,}" for done, end in result.offsets)
    print(
        f"{result.rows:,} rows = {result.imported:,} imported + {result.rejected:,} rejected\n"
        f"{result.imported:,} imported = {result.decisions:,} decisions + {refusals:,} dead letters\n"
        f"committed / end by partition: {offsets}\n"
        f"decisions by worker 1 {result.by_worker[0]:,}, by worker 2 {result.by_worker[1]:,}, which was ready when "
        f"{result.joined_after:,} were made, and took over {result.restored} partitions with their states\n"
        f"first payment to last decision {result.seconds:.1f} s, {total / result.seconds:,.0f}/s; {alone}"
        f"replay {result.replay_per_second:,}/s\n"
        f"workers and replay: {'the same decisions, byte for byte' if not result.differences else 'DIFFERENCES'}"
    )
    for difference in result.differences:
        print(f"  {difference}")
    print()
