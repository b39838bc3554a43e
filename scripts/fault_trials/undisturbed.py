"""What would have been published if nothing had been disturbed: the payments, judged by one engine a partition.

Rules change and dispositions count from those payments on that the applied log names; that this log is as it must be is
looked at elsewhere (`applied`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from treasury_watch.adapters.kafka.admission import Admission
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.wire import decode_batch, encode_case, encode_decision
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Refusal
from treasury_watch.engine import Engine, Program

from .applied import Step

BATCH = 1000
CASES = {"warn": "warnings", "intercept": "intercepts", "prohibit": "intercepts"}


class Expected(NamedTuple):
    """A record that is to be published: the offset of its payment, its key, its value without the time at which it was
    decided, its headers without the time at which it was refused.
    """

    source: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]


class Run(NamedTuple):
    """What comes of one partition: outputs by topic of the contract, in order; how many messages were duplicates; the
    offsets of dispositions that are refused; what the log says of them that is not so; the state's digest.
    """

    outputs: dict[str, list[Expected]]
    duplicates: int
    refused: list[int]
    untrue: list[str]
    digest: str


class Judge:
    """One partition. `programs` are the rule sets that may be named, by hash; the first is that of the beginning."""

    def __init__(self, partition: int, programs: Mapping[str, Program], settings: Settings) -> None:
        self._partition = partition
        self._programs = programs
        self._settings = settings
        program = next(iter(programs.values()))
        partitioner = partitioner_of(settings.partitioner, settings.partitions)
        self._admission = Admission(program.ruleset.partition_by, partitioner, partition)
        self._engine = Engine(program)
        self._outputs: dict[str, list[Expected]] = {
            name: [] for name in ("decisions", "intercepts", "warnings", "dead-letters")
        }
        self._duplicates = 0
        self._refused: list[int] = []
        self._untrue: list[str] = []

    def run(
        self,
        payments: Sequence[Any],
        log: Sequence[Step] = (),
        dispositions: Sequence[Any] = (),
        seen: int | None = None,
    ) -> Run:
        """Judges all payments, in order, with what the log says; dispositions are those of the partition, all.

        The digest is that of the state after all payments and so many steps of the log, by default after all.
        """
        by_offset = {each.offset: each for each in dispositions}
        at, digest = 0, None
        for number, step in enumerate(log):
            if number == seen:
                self._judge(payments[at:])
                at, digest = len(payments), self._digest()
            upto = next((index for index in range(at, len(payments)) if payments[index].offset >= step.first), None)
            end = len(payments) if upto is None else upto
            self._judge(payments[at:end])
            at = end
            self._apply(step, by_offset)
        self._judge(payments[at:])
        return Run(self._outputs, self._duplicates, self._refused, self._untrue, digest or self._digest())

    def _digest(self) -> str:
        return "sha256:" + hashlib.sha256(self._engine.dump()).hexdigest()

    def _apply(self, step: Step, dispositions: Mapping[int, Any]) -> None:
        if step.kind == "rules":
            program = self._programs[step.ruleset]
            if program is not self._engine.program:
                self._engine.switch(program)
        elif step.topic == self._settings.topic("dispositions"):
            found = _dispose(self._engine, dispositions[step.offset]) if step.offset in dispositions else "not there"
            right = "disposition" if found in ("applied", "repeated") else "refused"
            if right == "refused":
                self._refused.append(step.offset)
            if step.kind != right:
                self._untrue.append(
                    f"applied[{self._partition}]: says {step.kind} of disposition {step.offset}, which is {found}"
                )

    def _judge(self, payments: Sequence[Any]) -> None:
        for start in range(0, len(payments), BATCH):
            batch = payments[start : start + BATCH]
            admitted = self._admission.check(batch, decode_batch([each.value for each in batch]).outcomes)
            outcomes = iter(self._engine.assess([each for each in admitted if isinstance(each, Instruction)]))
            for record, given in zip(batch, admitted, strict=True):
                if isinstance(given, Refusal):
                    self._refuse(record, given)
                else:
                    self._take(record, given, outcomes)
            self._engine.absorb()

    def _take(self, record: Any, instruction: Instruction, outcomes: Iterator[Any]) -> None:
        outcome = next(outcomes)
        if isinstance(outcome, Refusal):
            self._refuse(record, outcome)
        elif isinstance(outcome, Decision):
            key, headers = outcome.instruction_id.encode(), self._headers(record)
            self._outputs["decisions"].append(Expected(record.offset, key, encode_decision(outcome), headers))
            if outcome.verdict in CASES:
                case = encode_case(outcome, instruction)
                self._outputs[CASES[outcome.verdict]].append(Expected(record.offset, key, case, headers))
        else:
            self._duplicates += 1

    def _refuse(self, record: Any, refusal: Refusal) -> None:
        why = {
            "reason": refusal.reason,
            "detail": refusal.detail,
            "source_topic": self._settings.topic("payments"),
        }
        headers = why | self._headers(record)
        self._outputs["dead-letters"].append(Expected(record.offset, record.key, record.value, headers))

    def _headers(self, record: Any) -> dict[str, str]:
        return {"source_partition": str(self._partition), "source_offset": str(record.offset)}


def _dispose(engine: Engine, record: Any) -> str:
    """What becomes of a disposition: `wrong` if it is none, or as the engine says."""
    try:
        given = msgspec.json.decode(record.value)
        key = record.key.decode()
        if key != given["jurisdiction"]:
            return "wrong"
        applied = engine.dispose(
            key,
            given["instruction_id"],
            given["disposition_id"],
            given["disposition"],
            given.get("label"),
            given["decision_id"],
        )
    except (msgspec.DecodeError, KeyError, AttributeError, TypeError):
        return "wrong"
    return str(applied)
