"""What the applied log of a partition says, read without the worker's own code: which input counts from where on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple


class Step(NamedTuple):
    """A record of the log, at its own offset: topic, offset and digest of what is applied before payment `first`;
    `ruleset` is the hash of the rules that judge from there on.
    """

    at: int
    kind: str
    first: int
    topic: str
    offset: int
    hash: str
    ruleset: str


def steps(records: Sequence[Any]) -> list[Step]:
    """The steps of a partition's log, in order."""
    found = []
    for record in records:
        given = json.loads(record.value)
        place = given["input"]
        ruleset = given["standing"]["ruleset"]
        found.append(
            Step(record.offset, given["kind"], given["first"], place["topic"], place["offset"], place["hash"], ruleset)
        )
    return found


def wrongs(log: Sequence[Step], dispositions: Sequence[Any], topic: str, partition: int) -> list[str]:
    """What is wrong with a partition's log: an order that goes back, a disposition that is not there exactly once."""
    where = f"applied[{partition}]"
    findings = []
    if [each.first for each in log] != sorted(each.first for each in log):
        findings.append(f"{where}: goes back")
    told = [(each.offset, each.hash) for each in log if each.topic == topic]
    wanted = [(each.offset, f"sha256:{hashlib.sha256(each.value or b'').hexdigest()}") for each in dispositions]
    if told != wanted:
        odd = sorted(set(told) ^ set(wanted))[:3]
        findings.append(
            f"{where}: {len(told)} dispositions, {len(wanted)} were sent, each to be there once and in order; "
            f"the first that differ: {odd}"
        )
    switches = [each for each in log if each.kind == "rules"]
    for before, after in pairwise(switches):
        if (before.topic, before.offset) == (after.topic, after.offset):
            findings.append(f"{where}: applied twice: {after.topic} offset {after.offset}")
    return findings
