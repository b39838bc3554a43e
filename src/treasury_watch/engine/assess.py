"""Assessment (判定): batches of instructions in, one outcome each out.

`assess` judges in order, each instruction against the state plus the effects of all before it; `absorb` keeps those
effects once the decisions are published, `discard` drops them. Any split of the same instructions into batches gives
the same outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from msgspec import UNSET, UnsetType

from treasury_watch import __version__
from treasury_watch.domain.calendar import LocalDay
from treasury_watch.domain.payment import HOME_CURRENCY, Instruction, fen_of, microseconds, moment_of
from treasury_watch.domain.verdict import (
    SEVERITY,
    VERDICTS,
    Anomaly,
    Decision,
    Duplicate,
    Hit,
    Outcome,
    Refusal,
    Verdict,
)
from treasury_watch.engine import encoding
from treasury_watch.engine.anomaly import Scored, exact
from treasury_watch.engine.conditions import Judged
from treasury_watch.engine.failsafe import failure_hit, must_stop, tell_nobody
from treasury_watch.engine.ids import fingerprint_in, fingerprint_of, seen_of, us_in
from treasury_watch.engine.program import Program
from treasury_watch.engine.reasons import hit
from treasury_watch.engine.scopes import Disposed, Scope
from treasury_watch.engine.scoring import named, score_of, told
from treasury_watch.engine.state import Applied, Label, State

_NOTHING: frozenset[int] = frozenset()
_CONFLICT = Refusal("conflicting_duplicate", "this instruction_id was accepted before with other content")


@dataclass(frozen=True, slots=True)
class Settled:
    """What the rules that fired come to; `failed`: that judging did."""

    verdict: Verdict
    evidence_required: bool
    hits: tuple[Hit, ...]
    failed: bool = False

    @property
    def executed(self) -> bool:
        return self.verdict in ("pass", "warn")


class Engine:
    """Judges the instructions of one partition. Holds its state; knows no clock and does no IO.

    `on_failure` is told of each instruction on which the rules failed, and of the error; it gets the safe verdict.
    `given_p_value` is what rules see of the next ones where the model says nothing: for tests of rules.
    `on_scored` is told of each score in order, with the partition-key value; what it does changes nothing.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.state = State([*program.series.values()], program.max_lateness_us, program.model)
        self.on_failure: Callable[[Instruction, Exception], None] = tell_nobody
        self.given_p_value: Fraction | None = None
        self.on_scored: Callable[[str, Scored], None] | None = None

    def assess(self, batch: Sequence[Instruction]) -> list[Outcome]:
        """One outcome for each instruction, in order. Instructions are valid as `wire` makes them; any order of event
        times will do.

        Refuses `too_late` what is older than the newest accepted of its partition-key value by more than
        `max_lateness`, and `conflicting_duplicate` what carries a known id with other content.
        """
        program, state, settle, log = self.program, self.state, self._settle, self.state.log
        partition_key, max_lateness_us, ruleset = program.partition_key, program.max_lateness_us, program.ruleset
        new_ids, touched = state.new_ids, state.touched
        mark = "-" + ruleset.hash[7:23]
        model_name = named(program.model)
        # What was touched since the last `absorb` is not asked again.
        day, judge, warming = None, None, state.warming if touched else _NOTHING
        outcomes: list[Outcome] = []
        for instruction in batch:
            us = microseconds(instruction.event_time)
            key = partition_key(instruction)
            if key in touched:
                scope = touched[key][0]
            else:  # once for each scope in a batch, so that nothing is asked for each payment
                scope = state.scope(key)
                if scope.warming and warming is not state.warming:
                    day, warming = None, state.warming
            watermark = scope.watermark
            if us < watermark - max_lateness_us:
                outcomes.append(_too_late(instruction, watermark))
                continue
            instruction_id = instruction.instruction_id
            fingerprint = fingerprint_of(instruction)
            ids = scope.ids
            seen = ids.newest.get(instruction_id)
            if seen is None and ids.older:
                seen = ids.find(instruction_id)
            if seen is not None:
                if us_in(seen) >= watermark - max_lateness_us:
                    same = fingerprint_in(seen) == fingerprint
                    outcomes.append(Duplicate(instruction_id) if same else _CONFLICT)
                    continue
                ids.drop(instruction_id)
            ids.newest[instruction_id] = seen_of(fingerprint, us)
            new_ids += (scope, instruction_id, seen)
            if us > watermark:
                scope.watermark = us
            found, learned, effect = None, False, None
            anomaly: Anomaly | UnsetType = UNSET
            try:
                today = program.days.of(us)
                if today is not day:
                    day, judge = today, program.judge(today, warming)
                fen = fen_of(instruction.amount)
                amount = fen if instruction.currency is None else program.amount(instruction, fen, today.ordinal)
                scope.p_value = self.given_p_value
                if scope.model is not None and amount is not None:
                    found = score_of(scope.model, instruction, us, amount, today)
                    p_value = found[1].p_value
                    if p_value is not None:
                        scope.p_value = exact(p_value)
                settled = judge(instruction, us, amount, today, scope, settle, log)  # type: ignore[misc]
            except Exception as error:
                if must_stop(error):
                    raise
                settled = self._unjudged(instruction, us, scope, error)
            if found is not None:
                learned = settled is None or (settled.executed and not settled.failed)
                effect = state.score(scope, *found, learned)
                anomaly = told(*found, model_name, settled is not None)
                if self.on_scored is not None:
                    self.on_scored(key, found[1])
            if settled is not None and settled.verdict != "pass":
                state.open_case(scope, instruction_id, fingerprint, us, settled.executed, effect, learned)
            outcomes.append(
                Decision(
                    1,
                    fingerprint.hex() + mark,
                    instruction_id,
                    instruction.jurisdiction,
                    instruction.budget_unit,
                    instruction.amount,
                    HOME_CURRENCY if instruction.currency is None else instruction.currency,
                    instruction.event_time,
                    "pass" if settled is None else settled.verdict,
                    False if settled is None else settled.evidence_required,
                    us < watermark,
                    () if settled is None else settled.hits,
                    anomaly,
                    ruleset.hash,
                    ruleset.reference,
                    __version__,
                )
            )
        return outcomes

    def absorb(self) -> None:
        """Keeps the effects of everything assessed since the last `absorb` or `discard`."""
        self.state.absorb()

    def discard(self) -> None:
        """Drops the effects of everything assessed since the last `absorb` or `discard`."""
        self.state.discard()

    def starts_at(self, us: int) -> None:
        """Says that nothing is known of before this event time (microseconds): earlier windows are missing."""
        self.state.starts_at(us)

    def forget_ids(self) -> dict[str, tuple[frozenset[str], int]]:
        """Takes what was absorbed for history: its ids may come again, to be judged.

        Returned are, for each partition-key value, those that could still be accepted, and the newest event time among
        them.
        """
        return self.state.forget_ids()

    def accepts(self, key: str, us: int) -> bool:
        """Whether an instruction of that partition-key value and event time (microseconds) would not be too late."""
        return self.state.accepts(key, us)

    def dump(self) -> bytes:
        """The absorbed state as bytes, equal for equal histories."""
        return encoding.dump(self.state)

    @classmethod
    def load(cls, program: Program, data: bytes) -> Engine:
        """An engine with the state of a `dump`, of another rule set too: what that did not keep is warming.

        Raises StateError on bytes that are damaged, of another version or of a shorter `max_lateness`.
        """
        engine = cls(program)
        encoding.load(engine.state, data)
        return engine

    def switch(self, program: Program) -> None:
        """Goes on with another rule set between two batches: what it asks beyond what was kept is warming.

        Raises ValueError if it would need ids that are forgotten: its `max_lateness` is longer.
        """
        if program.max_lateness_us > self.program.max_lateness_us:
            raise ValueError("a longer max_lateness: ids that may still come again are not remembered")
        recorder = self.state.recorder
        state = State([*program.series.values()], program.max_lateness_us, program.model).taken_over(self.state)
        self.program, self.state = program, state
        if recorder is not None:
            recorder.switched(state)

    def dispose(
        self,
        key: str,
        instruction_id: str,
        disposition_id: str,
        disposition: Disposed,
        label: Label | None = None,
        decision_id: str | None = None,
    ) -> Applied:
        """Applies what a person decided about an instruction of a partition-key value, between two batches; whether
        that had not been applied before, and whether a case of the instruction is known that takes more (see
        `State.dispose`).
        """
        return self.state.dispose(key, instruction_id, disposition_id, disposition, label, decision_id)

    def _unjudged(self, instruction: Instruction, us: int, scope: Scope, error: Exception) -> Settled:
        """What an instruction comes to on which the rules failed; it adds nothing to any window."""
        self.on_failure(instruction, error)
        if self.state.series:
            self.state.log += (scope, 0, self.state.rows.nothing(us))
        action = self.program.on_error
        return Settled(action, False, (failure_hit(action, error),), True)

    def _settle(
        self,
        fired: tuple[tuple[int, bool], ...],
        instruction: Instruction,
        us: int,
        amount: int | None,
        day: LocalDay,
        scope: Scope,
    ) -> Settled:
        """The hits of the rules that fired, and the verdict that the live ones among them come to."""
        judged = Judged(self.program, instruction, us, amount, day, scope, scope.p_value)
        hits, severity, evidence_required = [], 0, False
        for index, certain in fired:
            rule = self.program.rules[index]
            found = hit(rule, judged, certain)
            hits.append(found)
            if found.mode == "live" and found.excepted is None:
                severity = max(severity, SEVERITY[found.action])
                # Evidence is filed with a case, and what is only recorded opens none.
                evidence_required |= rule.evidence_required and SEVERITY[found.action] > 0
        return Settled(VERDICTS[severity], evidence_required, tuple(hits))


def _too_late(instruction: Instruction, watermark: int) -> Refusal:
    newest = moment_of(watermark).isoformat(timespec="seconds")
    return Refusal(
        "too_late", f"event_time {instruction.event_time.isoformat()} is too far behind the newest, {newest}"
    )
