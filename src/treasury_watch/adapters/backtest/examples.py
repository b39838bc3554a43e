"""Examples (实例): a handful of payments out of any number of them, the same whenever the same file is judged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, NamedTuple

from treasury_watch.domain.payment import Instruction, masked
from treasury_watch.domain.verdict import Decision

_LONG_NUMBER = re.compile(r"[0-9](?:[ -]?[0-9]){10,}")  # in a text: an account, a card, a person's number


class Seen(NamedTuple):
    """A payment with what was decided of it; `before`: what the other rule set decided."""

    line: int
    fen: int | None
    instruction: Instruction
    decision: Decision
    before: Decision | None = None


@dataclass(slots=True)
class Extremes:
    """The first and the last of the payments shown to it, the smallest and the largest by amount; of equal ones the
    first.
    """

    first: Seen | None = None
    last: Seen | None = None
    smallest: Seen | None = None
    largest: Seen | None = None

    def add(self, seen: Seen) -> None:
        if self.first is None:
            self.first = seen
        self.last = seen
        if seen.fen is None:
            return
        if self.smallest is None or seen.fen < self.smallest.fen:  # type: ignore[operator]
            self.smallest = seen
        if self.largest is None or seen.fen > self.largest.fen:  # type: ignore[operator]
            self.largest = seen

    def as_json(self, zone: tzinfo, modes: Mapping[str, str], before: Mapping[str, str] | None) -> list[dict[str, Any]]:
        """The payments in the order of the file, each once, with accounts masked. `modes`: the mode of each rule, and
        `before` of each of the other set.
        """
        why: dict[int, list[str]] = {}
        found: dict[int, Seen] = {}
        for name in ("first", "last", "smallest", "largest"):
            seen: Seen | None = getattr(self, name)
            if seen is not None:
                found[seen.line] = seen
                why.setdefault(seen.line, []).append(name)
        return [_example(found[line], why[line], zone, modes, before) for line in sorted(found)]


def _example(
    seen: Seen, why: list[str], zone: tzinfo, modes: Mapping[str, str], before: Mapping[str, str] | None
) -> dict[str, Any]:
    paid = seen.instruction
    example = {
        "line": seen.line,
        "why": why,
        "instruction_id": paid.instruction_id,
        "event_time": paid.event_time.astimezone(zone).isoformat(timespec="seconds"),
        "jurisdiction": paid.jurisdiction,
        "budget_unit": paid.budget_unit,
        "budget_unit_name": paid.budget_unit_name,
        "payee_name": _shown(paid.payee_name),
        "payee_account": None if paid.payee_account is None else masked(paid.payee_account),
        "amount": paid.amount,
        "currency": seen.decision.currency,
        "purpose": _shown(paid.purpose),
        "new": _judged(seen.decision, modes),
    }
    if seen.before is not None and before is not None:
        example["old"] = _judged(seen.before, before)
    return example


def _judged(decision: Decision, modes: Mapping[str, str]) -> dict[str, Any]:
    return {
        "verdict": decision.verdict,
        "hits": [
            {
                "rule": hit.rule,
                "mode": "excepted" if hit.excepted else modes[hit.rule],
                "action": hit.action,
                "reason": {"zh": hit.reason.zh, "en": hit.reason.en},
            }
            for hit in decision.hits
        ],
    }


def _shown(text: str | None) -> str | None:
    return None if text is None else _LONG_NUMBER.sub(lambda number: masked(number.group()), text)
