"""What would have been published if nothing had been disturbed: the payments, judged by one engine a partition."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from treasury_watch.adapters.kafka.admission import Admission
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.wire import decode_batch, encode_case, encode_decision
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Refusal
from treasury_watch.engine import Engine, Program

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
    """The outputs of one partition, by topic of the contract, in order; how many messages were duplicates; the digest
    of the state after the last.
    """

    outputs: dict[str, list[Expected]]
    duplicates: int
    digest: str


def judge(records: Sequence[Any], partition: int, program: Program, settings: Settings) -> Run:
    """Judges the records of a partition of the payments topic, all of them, in order."""
    admission = Admission(
        program.ruleset.partition_by, partitioner_of(settings.partitioner, settings.partitions), partition
    )
    engine = Engine(program)
    outputs: dict[str, list[Expected]] = {"decisions": [], "intercepts": [], "warnings": [], "dead-letters": []}
    duplicates = 0
    for start in range(0, len(records), BATCH):
        batch = records[start : start + BATCH]
        admitted = admission.check(batch, decode_batch([each.value for each in batch]).outcomes)
        outcomes = iter(engine.assess([each for each in admitted if isinstance(each, Instruction)]))
        for record, given in zip(batch, admitted, strict=True):
            outcome = given if isinstance(given, Refusal) else next(outcomes)
            headers = {"source_partition": str(partition), "source_offset": str(record.offset)}
            if isinstance(outcome, Refusal):
                why = {"reason": outcome.reason, "detail": outcome.detail, "source_topic": settings.topic("payments")}
                outputs["dead-letters"].append(Expected(record.offset, record.key, record.value, why | headers))
            elif isinstance(outcome, Decision):
                key = outcome.instruction_id.encode()
                outputs["decisions"].append(Expected(record.offset, key, encode_decision(outcome), headers))
                if outcome.verdict in CASES:
                    case = encode_case(outcome, given)  # type: ignore[arg-type]  # what is decided is an instruction
                    outputs[CASES[outcome.verdict]].append(Expected(record.offset, key, case, headers))
            else:
                duplicates += 1
        engine.absorb()
    return Run(outputs, duplicates, "sha256:" + hashlib.sha256(engine.dump()).hexdigest())
