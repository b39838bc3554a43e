"""The last cases (最近案件): the newest held and warned payments that this worker published, as a page may show them.

They are kept for looking at: they are no part of the state, and gone with the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from treasury_watch.adapters.kafka.publisher import Judged
from treasury_watch.domain.payment import Instruction, account_form, masked
from treasury_watch.domain.verdict import SEVERITY, Decision, Hit

KEPT: Final = 50  # held payments, and as many warned
HITS: Final = 3  # shown of one payment, the gravest first
CHARACTERS: Final = 300  # of a text; a message may hold 64 KiB of one
_HELD: Final = SEVERITY["intercept"]
_JOINER: Final = "\u200d"  # in emoji of several parts; all else that cannot be seen is shown as what it is

Case = tuple[int, Instruction, Decision]  # with its number since this worker started


class LastCases:
    """The last held payments and the last warned ones, each at most KEPT."""

    def __init__(self) -> None:
        self.seen = 0  # cases since this worker started
        self._held: deque[Case] = deque(maxlen=KEPT)
        self._warned: deque[Case] = deque(maxlen=KEPT)

    def take(self, judged: Judged) -> None:
        """Remembers the cases among what was acknowledged; the payment and its decision are kept as they are."""
        for instruction, outcome in zip(judged.admitted, judged.outcomes, strict=True):
            if isinstance(outcome, Decision) and outcome.verdict != "pass" and isinstance(instruction, Instruction):
                self.seen += 1
                kept = self._held if SEVERITY[outcome.verdict] >= _HELD else self._warned
                kept.append((self.seen, instruction, outcome))

    def as_json(self) -> dict[str, Any]:
        """`seen`, and `held` and `warned`, the newest first: fields of a payment, with accounts masked and all texts
        short and fit to be shown.
        """
        return {"seen": self.seen, "held": list(_shown(self._held)), "warned": list(_shown(self._warned))}


def _shown(cases: deque[Case]) -> Iterator[dict[str, Any]]:
    for number, instruction, decision in reversed(cases):
        hits = sorted(filter(_counts, decision.hits), key=lambda hit: -SEVERITY[hit.action])
        yield {
            "number": number,
            "event_time": decision.event_time.isoformat(timespec="seconds"),
            "instruction_id": visible(decision.instruction_id),
            "verdict": decision.verdict,
            "level": hits[0].level,
            "budget_unit": visible(instruction.budget_unit_name or decision.budget_unit),
            "payee": _maybe(instruction.payee_name),
            "payee_account": None if instruction.payee_account is None else _account(instruction.payee_account),
            "purpose": _maybe(instruction.purpose),
            "amount": decision.amount,
            "currency": visible(decision.currency),
            "hits": [
                {"rule": hit.rule, "zh": visible(hit.reason.zh), "en": visible(hit.reason.en)} for hit in hits[:HITS]
            ],
            "more_hits": max(len(hits) - HITS, 0),
        }


def _counts(hit: Hit) -> bool:
    """Whether a hit is a reason for the verdict on a case."""
    return hit.mode == "live" and hit.excepted is None and SEVERITY[hit.action] > 0


def _maybe(text: str | None) -> str | None:
    return None if text is None else visible(text)


def _account(number: str) -> str:
    return visible(masked(account_form(number)))


def visible(text: str) -> str:
    """A text from outside on one line, of at most CHARACTERS: what would turn or hide its neighbours, such as
    U+202E, is written as `\\u202e`.
    """
    text = " ".join(text[: CHARACTERS + 1].split())
    if len(text) > CHARACTERS:
        text = text[: CHARACTERS - 1] + "…"
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == _JOINER else ascii(each)[1:-1] for each in text)
