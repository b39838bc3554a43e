"""An old decision, derived again from what is on the topics, and compared with what was published."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import TopicPartition

from treasury_watch.adapters.approvals import Approvals
from treasury_watch.adapters.bundles import Bundle, texts
from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.control.applied import Standing
from treasury_watch.adapters.kafka.control.past import Past
from treasury_watch.adapters.kafka.control.topic import record_at, there
from treasury_watch.adapters.kafka.control.versions import decode as decode_rules
from treasury_watch.adapters.kafka.reader import reader, until_now
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.wire import encode_decision
from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Decision, Duplicate, Outcome
from treasury_watch.engine.explain import Explanation, explain, judged_by
from treasury_watch.rules.schema import Rule

_NEXT_ITEM = re.compile(r"\s*- id:|\S")


class NoDecision(Exception):
    """There is no decision of that id: one line."""


@dataclass(frozen=True, slots=True)
class RuleThen:
    """A rule that hit, as it stood in its file, and the truth of its conditions with the values of that moment."""

    rule: Rule
    text: str
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class Audited:
    """A decision as it was published and as it is derived again, both without `decided_at`.

    `derived` is `None` where the payment gets no decision any more; `why` then says why.
    """

    partition: int
    offset: int
    decided_at: str
    published: Mapping[str, Any]
    derived: Mapping[str, Any] | None
    why: str
    standing: Standing
    since: int
    rules: tuple[RuleThen, ...]

    @property
    def differences(self) -> list[tuple[str, Any, Any]]:
        """Fields that differ: name, as published, as derived."""
        derived = self.derived or {}
        names = sorted({*self.published, *derived})
        return [
            (name, self.published.get(name), derived.get(name))
            for name in names
            if self.published.get(name) != derived.get(name)
        ]

    @property
    def equal(self) -> bool:
        return self.derived is not None and not self.differences


async def audit(
    settings: Settings, approvals: Approvals, decision_id: str, progress: Callable[[int, int], None] = lambda *_: None
) -> Audited:
    """Derives a decision again, from all payments of its partition before it.

    `progress` is told how many payments are judged, and of how many. Raises NoDecision and BrokerError.
    """
    await there(settings, "decisions", "payments", "rules", "reference", "dispositions", "applied")
    record = await _find(settings, decision_id)
    headers = {name: value.decode() for name, value in record.headers}
    partition, offset = int(headers["source_partition"]), int(headers["source_offset"])
    past = await Past.of(settings, partition, approvals)
    async for each in past.judge(offset):
        progress(each.offset, offset)
    admitted = past.admit(await record_at(settings, "payments", offset, partition))
    standing = past.log.standing_at(offset)
    assert standing is not None
    published = msgspec.json.decode(record.value, type=dict[str, Any])
    decided_at = published.pop("decided_at", "")
    outcome: Outcome = admitted if not isinstance(admitted, Instruction) else past.engine.assess([admitted])[0]
    past.engine.discard()
    derived, why = None, ""
    rules: list[RuleThen] = []
    if isinstance(outcome, Decision) and isinstance(admitted, Instruction):
        derived = msgspec.json.decode(encode_decision(outcome), type=dict[str, Any])
        derived.pop("decided_at", None)
        files = await _files(settings, standing)
        judged = judged_by(past.engine, admitted)
        wanted = {hit.rule for hit in outcome.hits} | {hit.get("rule") for hit in published.get("hits", ())}
        for rule in past.engine.program.ruleset.running:
            if rule.id in wanted:
                rules.append(RuleThen(rule, _text(rule, files), explain(rule, judged)))
    elif isinstance(outcome, Duplicate):
        why = "the same instruction stands before it, and has its decision"
    else:
        why = f"{outcome.reason}: {outcome.detail}"  # type: ignore[union-attr]
    firsts = [each.applied.first for each in past.log.entries if each.applied.standing == standing]
    return Audited(partition, offset, decided_at, published, derived, why, standing, firsts[0], tuple(rules))


async def _find(settings: Settings, decision_id: str) -> Any:
    """The first record of a decision."""
    wanted = decision_id.encode()
    tps = [TopicPartition(settings.topic("decisions"), number) for number in range(settings.partitions)]
    async with reader(settings, tps) as consumer:
        ends = await consumer.end_offsets(tps)
        begins = await consumer.beginning_offsets(tps)
        for tp in tps:
            if ends[tp] == begins[tp]:
                continue
            async for record in until_now(consumer, tp):
                if wanted not in (record.value or b""):
                    continue
                found = msgspec.json.decode(record.value, type=dict[str, Any])
                if found.get("decision_id") == decision_id:
                    return record
    raise NoDecision(f"{settings.topic('decisions')} has no decision {decision_id}")


async def _files(settings: Settings, standing: Standing) -> Mapping[str, str]:
    bundle = decode_rules((await record_at(settings, "rules", standing.held_at)).value)
    if not isinstance(bundle, Bundle):
        raise BrokerError(f"{standing.rules.topic} has no rule bundle at offset {standing.held_at}")
    return texts(bundle)


def _text(rule: Rule, files: Mapping[str, str]) -> str:
    """The lines of a rule in its file."""
    if rule.span is None or rule.span.file not in files:
        return ""
    lines = files[rule.span.file].splitlines()
    start = rule.span.line - 1
    end = next((at for at in range(start + 1, len(lines)) if _NEXT_ITEM.match(lines[at])), len(lines))
    return "\n".join(lines[start:end]).rstrip()
