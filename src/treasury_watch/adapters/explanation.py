"""Explanations from files (文件解释): an instruction of a file with its history, and an explanation as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice, takewhile
from typing import Any

import msgspec

from treasury_watch.adapters.jsonl import Line, Lines
from treasury_watch.adapters.replay import DEFAULT_BATCH
from treasury_watch.adapters.wire import decode
from treasury_watch.domain.payment import Instruction, Kind
from treasury_watch.domain.verdict import Decision, Duplicate, Refusal, Text
from treasury_watch.engine import Engine
from treasury_watch.engine.explain import Entries, Explanation, Node, Term, explain, judged_by
from treasury_watch.engine.shown import Shown
from treasury_watch.engine.turns import Edge, Turn
from treasury_watch.rules.diagnostics import did_you_mean
from treasury_watch.rules.schema import Rule

TRUTHS = {True: "true", False: "false", None: "missing"}
_NEAREST = 8


class Unexplained(ValueError):
    """There is nothing to explain: one line that says why."""


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation, and what the whole rule set says of the instruction."""

    explanation: Explanation
    decision: Decision


def explained(engine: Engine, rule: Rule, instruction: Instruction) -> Explained:
    """Explains an instruction as the next one of the engine, which is left as it was.

    Raises Unexplained if it gets no verdict.
    """
    (outcome,) = engine.assess([instruction])
    engine.discard()
    if isinstance(outcome, Refusal):
        raise Unexplained(
            f"{instruction.instruction_id} gets no verdict, refused as {outcome.reason}: {outcome.detail}"
        )
    if isinstance(outcome, Duplicate):
        raise Unexplained(f"{outcome.instruction_id} gets no verdict: it was judged before, with the same content")
    if rule.mode in ("draft", "retired"):  # it was judged to be explained only
        outcome = msgspec.structs.replace(outcome, hits=tuple(hit for hit in outcome.hits if hit.rule != rule.id))
    return Explained(explain(rule, judged_by(engine, instruction)), outcome)


@dataclass(frozen=True, slots=True)
class Found:
    """An instruction in a file, and the number of its line."""

    line: int
    instruction: Instruction


def find(lines: Lines, instruction_id: str, progress: Callable[[], object] = lambda: None) -> Found:
    """The first valid instruction with that id. Raises Unexplained, with the nearest id, if there is none.

    `progress` is called now and then.
    """
    nearest: dict[str, int] = {}
    for at, line in enumerate(lines):
        if at % DEFAULT_BATCH == 0:
            progress()
        instruction = decode(line.value)
        if isinstance(instruction, Refusal):
            continue
        if instruction.instruction_id == instruction_id:
            return Found(line.number, instruction)
        _keep_nearest(nearest, instruction.instruction_id, instruction_id)
    hint = did_you_mean(instruction_id, nearest, otherwise="ids are compared as they stand")
    raise Unexplained(f"{lines.name}: no instruction `{instruction_id}`; {hint}")


def _keep_nearest(nearest: dict[str, int], candidate: str, wanted: str) -> None:
    """Keeps the few ids that have most in common with the wanted one at both ends."""
    pairs = list(zip(candidate, wanted, strict=False))
    head = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    pairs = list(zip(reversed(candidate[head:]), reversed(wanted[head:]), strict=False))
    alike = head + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    nearest[candidate] = 2 * alike - len(candidate)
    if len(nearest) > _NEAREST:
        del nearest[min(nearest, key=lambda each: nearest[each])]


def feed(
    engine: Engine, lines: Iterable[Line], found: Found, progress: Callable[[int], object] = lambda line: None
) -> int:
    """Judges what stands before an instruction in its file, so that the windows are those of that moment; how many
    instructions that were. Other values of the partition key have no part in it, and are passed over.
    """
    program, fed = engine.program, 0
    key = program.partition_key(found.instruction)
    before = takewhile(lambda line: line.number < found.line, lines)
    while chunk := list(islice(before, DEFAULT_BATCH)):
        decoded = (decode(line.value) for line in chunk)
        batch = [each for each in decoded if isinstance(each, Instruction) and program.partition_key(each) == key]
        engine.assess(batch)
        engine.absorb()
        fed += len(batch)
        progress(chunk[-1].number)
    return fed


# --- JSON ---


def as_json(explanation: Explanation) -> dict[str, Any]:
    """An explanation for machines: amounts in yuan as text, as in decisions; accounts and card numbers masked."""
    rule, instruction = explanation.rule, explanation.instruction
    return {
        "rule": rule.id,
        "revision": rule.revision,
        "title": _text(rule.title),
        "mode": rule.mode,
        "action": rule.action,
        "on_missing": rule.on_missing,
        "effective": {"from": _day(rule.effective_from), "until": _day(rule.effective_until)},
        "instruction_id": instruction.instruction_id,
        "event_time": explanation.event_time,
        "outcome": explanation.outcome,
        "truth": TRUTHS[explanation.node.truth],
        "missing": list(explanation.missing),
        "reason": None if explanation.hit is None else _text(explanation.hit.reason),
        "evidence": None if explanation.hit is None else explanation.hit.evidence,
        "condition": _node(explanation.node),
        "params": [_term(each) for each in explanation.params],
        "features": [_term(each) for each in explanation.features],
        "exceptions": [
            {
                "owner": each.owner,
                "basis": each.basis,
                "expires": each.expires.isoformat(),
                "expired": each.expired,
                "applies": each.applies,
                "condition": _node(each.node),
            }
            for each in explanation.exceptions
        ],
        "turns": [_turn(turn, text) for turn, text in explanation.turns],
    }


def decision_as_json(decision: Decision) -> dict[str, Any]:
    """What the whole rule set says, in short."""
    return {"verdict": decision.verdict, "late": decision.late, "hits": [[hit.rule, hit.mode] for hit in decision.hits]}


def _node(node: Node) -> dict[str, Any]:
    if node.subject is None:
        return {"form": node.form, "truth": TRUTHS[node.truth], "items": [_node(item) for item in node.items]}
    return {
        "form": node.form,
        "truth": TRUTHS[node.truth],
        "subject": _term(node.subject),
        "test": node.test,
        "values": [_term(each) for each in node.terms],
        "line": None if node.span is None else node.span.line,
    }


def _term(term: Term) -> dict[str, Any]:
    result: dict[str, Any] = {"name": term.phrase, "source": term.source, "value": _plain(term.value)}
    if term.source == "param":
        result |= {"since": _day(term.since), "segment": _plain(term.segment)}
    if term.source == "feature":
        result |= {"formula": term.formula, "entries": _entries(term.entries)}
    return result


def _entries(entries: Entries | None) -> dict[str, Any] | None:
    if entries is None:
        return None
    return {
        "count": entries.count,
        "own": entries.own,
        "first": _moment(entries.first),
        "last": _moment(entries.last),
        "by": {name: shown.plain for name, shown in entries.by},
    }


def _turn(turn: Turn, text: Text) -> dict[str, Any]:
    return {
        "subject": turn.subject,
        "value": turn.shown(turn.value).plain,
        "fires": turn.fires,
        "edge": _edge(turn.edge, turn.kind, turn),
        "amount": None if turn.amount is None else _edge(turn.amount, Kind.MONEY, turn),
        "text": _text(text),
    }


def _edge(edge: Edge, kind: Kind, turn: Turn) -> dict[str, Any]:
    return {"at": turn.shown(edge.value, kind).plain, "direction": edge.direction, "inclusive": edge.inclusive}


def _text(text: Text) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}


def _plain(shown: Shown | None) -> str | None:
    return None if shown is None else shown.plain


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
