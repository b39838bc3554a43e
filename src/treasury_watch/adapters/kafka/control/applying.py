"""Control inputs on their way into one partition: what was applied is applied again, then what is due, each on record.

`take` and `redo` are called between two batches only, while nothing is being judged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from treasury_watch.adapters.kafka.control.applied import (
    Applied,
    Disposed,
    Place,
    Seen,
    Standing,
    Switched,
    Unused,
    encode,
)
from treasury_watch.adapters.kafka.control.dispositions import Coming, dead_letter
from treasury_watch.adapters.kafka.control.inputs import Ready, Refused, offsets_of
from treasury_watch.adapters.kafka.publisher import Output
from treasury_watch.adapters.messages import DispositionMessage
from treasury_watch.adapters.metrics import CONTROL_INPUTS
from treasury_watch.domain.verdict import Refusal
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.state import MOST_DISPOSITIONS

_REFUSED: Mapping[str, Refusal] = {
    "unknown": Refusal(
        "unknown_instruction", "no case of this instruction is known here, or none that a window can still ask for"
    ),
    "other": Refusal(
        "unknown_instruction", "the case of this instruction is of another payment than the decision that is answered"
    ),
    "full": Refusal("too_large", f"there are {MOST_DISPOSITIONS:,} dispositions of this instruction already"),
}


class Inputs(Protocol):
    """What `ControlInputs` says."""

    @property
    def newest(self) -> Ready | None: ...
    @property
    def refused(self) -> Sequence[Refused]: ...
    @property
    def seen(self) -> tuple[int, int]: ...


class Waiting(Protocol):
    """What `Dispositions` says."""

    def waiting(self, partition: int) -> Sequence[Coming]: ...
    def done(self, partition: int, count: int) -> None: ...


class Again(NamedTuple):
    """What was applied before the payment of offset `first`: other rules, or a disposition under its key."""

    first: int
    program: Program | None = None
    key: str = ""
    disposition: DispositionMessage | None = None


@dataclass(slots=True)
class Due:
    """What is to be done: records to write, then dead letters to send, then rules to go on with."""

    records: list[Applied] = field(default_factory=list)
    letters: list[Output] = field(default_factory=list)
    program: Program | None = None
    dispositions: int = 0

    def counts(self) -> list[tuple[str, str]]:
        """Topic of the contract and outcome, `applied` or `refused`, of each record."""
        return [
            (_name(each.input.topic), "refused" if isinstance(each, Unused) else "applied") for each in self.records
        ]

    def refused(self) -> list[tuple[Place, str]]:
        """What is not used, and why."""
        return [(each.input, each.reason) for each in self.records if isinstance(each, Unused)]

    def outputs(self) -> list[Output]:
        """The records of the applied log."""
        return [(str(each.input.partition).encode(), encode(each), []) for each in self.records]


class Applying:
    """Where one partition stands. `standing` is by what it is judged; `None` before anything was applied. `owed` are
    dead letters of what is on record as refused, to be sent before anything else.
    """

    def __init__(
        self,
        partition: int,
        inputs: Inputs,
        dispositions: Waiting,
        now: Callable[[], str],
        standing: Standing | None = None,
        seen: Seen = Seen(),  # noqa: B008  # it cannot change
        again: Iterable[Again] = (),
        owed: Sequence[Output] = (),
    ) -> None:
        """`again` is what was applied behind the state that the partition has, in order."""
        self.standing = standing
        self.seen = seen
        self.owed = owed
        self._partition = partition
        self._inputs = inputs
        self._dispositions = dispositions
        self._now = now
        self._again = deque(again)

    @property
    def next_again(self) -> int | None:
        """The offset of the payment before which something is to be applied again; `None` for none any more."""
        return self._again[0].first if self._again else None

    def firsts_before(self, offset: int) -> list[int]:
        """The offsets below this one before whose payments something is to be applied again, ascending."""
        return sorted({each.first for each in self._again if each.first < offset})

    def redo(self, position: int) -> list[Again]:
        """What was applied up to the payment of an offset and is to be applied again now, in order."""
        found = []
        while self._again and self._again[0].first <= position:
            found.append(self._again.popleft())
        return found

    @property
    def is_due(self) -> bool:
        """Whether there is anything that `take` would do."""
        if self._again:
            return False
        return self._switch() is not None or bool(self._refused()) or bool(self._dispositions.waiting(self._partition))

    def take(self, engine: Engine, position: int) -> Due:
        """Applies the dispositions that wait, and says what is to be on record before payment `position` is judged.

        Where the rules change, nothing else is taken with it: dispositions come after it in the log, and whether a case
        is still known depends on the rules.
        """
        due, now = Due(), self._now()
        standing, seen = self.standing, self.seen
        ready = self._switch()
        rules, reference = (max(pair) for pair in zip(self._inputs.seen, (seen.rules, seen.reference), strict=True))
        if ready is not None:
            standing = ready.standing
            due.program = ready.program
        if standing is None:
            return due
        refused = self._refused()
        if ready is not None or refused:
            seen = Seen(rules, reference, seen.dispositions)
        if ready is not None:
            due.records.append(
                Switched(input=ready.input, first=position, applied_at=now, standing=standing, seen=seen)
            )
        for each in refused:
            due.records.append(
                Unused(
                    input=each.input,
                    first=position,
                    applied_at=now,
                    standing=standing,
                    seen=seen,
                    reason=each.reason,
                )
            )
        for coming in () if ready is not None else self._dispositions.waiting(self._partition):
            due.dispositions += 1
            if coming.place.offset <= seen.dispositions:
                continue  # read when this worker had the partition before, and done by another since
            seen = Seen(seen.rules, seen.reference, coming.place.offset)
            refusal = _dispose(engine, coming)
            if refusal is None and isinstance(coming.message, DispositionMessage):
                due.records.append(
                    Disposed(
                        input=coming.place,
                        first=position,
                        applied_at=now,
                        standing=standing,
                        seen=seen,
                        disposition_id=coming.message.disposition_id,
                    )
                )
            elif refusal is not None:
                reason = f"{refusal.reason}: {refusal.detail}"
                due.records.append(
                    Unused(
                        input=coming.place,
                        first=position,
                        applied_at=now,
                        standing=standing,
                        seen=seen,
                        reason=reason,
                    )
                )
                due.letters.append(dead_letter(coming, refusal, now))
        return due

    def done(self, due: Due) -> None:
        """All of it is on record, and done."""
        if due.records:
            self.standing, self.seen = due.records[-1].standing, due.records[-1].seen
        self._dispositions.done(self._partition, due.dispositions)

    def _switch(self) -> Ready | None:
        """What is to be judged by from now on, if it is newer and not the same."""
        newest, standing = self._inputs.newest, self.standing
        if newest is None or standing is None:
            return newest
        if (newest.standing.ruleset, newest.standing.reference_hash) == (standing.ruleset, standing.reference_hash):
            return None
        newer = all(new >= old for new, old in zip(newest.made_at, offsets_of(standing), strict=True))
        return newest if newer else None

    def _refused(self) -> list[Refused]:
        seen = {"rules": self.seen.rules, "reference": self.seen.reference}
        return [each for each in self._inputs.refused if each.input.offset > seen[_name(each.input.topic)]]


def _name(topic: str) -> str:
    return next(name for name in CONTROL_INPUTS if topic.endswith(name))


def _dispose(engine: Engine, coming: Coming) -> Refusal | None:
    message = coming.message
    if isinstance(message, Refusal):
        return message
    applied = engine.dispose(
        coming.key,
        message.instruction_id,
        message.disposition_id,
        message.disposition,
        message.label,
        message.decision_id,
    )
    return _REFUSED.get(applied)
