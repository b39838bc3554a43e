"""State (状态): what is remembered of one partition's instructions, kept apart for each value of the partition key.

A scope is one such value. It remembers the ids it has seen, with the fingerprint of their content, the entries of every
series, and the cases: instructions that were held or warned of, until nothing asks for them any more. What is forgotten
is only what no acceptable instruction can ask for; when it is forgotten has no effect on any verdict.

A series of a scope is whole from an event time on, its `since`. Before that its entries are not all there, because the
rule that asks for them is newer than they are, or because what was before is gone: a window that begins earlier is
missing, and the series is *warming* until no acceptable instruction can ask for such a window (ADR 0016).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, Protocol

from treasury_watch.engine.anomaly import Effect, Observation, Scored
from treasury_watch.engine.ids import Ids, us_in
from treasury_watch.engine.rows import Layout, Rows, Translation, layout_of, longest_us
from treasury_watch.engine.scopes import Case, Disposed, Scope
from treasury_watch.engine.scoring import LOOKS, carried, started
from treasury_watch.engine.warming import ANCIENT, History
from treasury_watch.engine.windows import count, trim
from treasury_watch.rules.plan import Series
from treasury_watch.rules.schema import ModelBlock

_LOOKS = 4  # times in the time that an entry is kept its key is looked at: memory is held for a quarter more than that
_PASSING_BY = 8  # what it counts for, in keys, to find that a series need not be gone through

MOST_DISPOSITIONS = 1_000  # of one instruction: what was decided of it is in one record of the state
Applied = Literal["applied", "repeated", "unknown", "other", "full"]
Label = Literal["true_alarm", "false_alarm"]
# What happens to a model, as it is recorded: an effect with one of these.
SCORED, LEARNED, FINE, WRONG, FINE_AFTER_ALL, WRONG_AFTER_ALL = range(6)


class Recorder(Protocol):
    """What is told of every effect that is kept, so that it can be made durable."""

    def absorbed(self, state: State) -> None:
        """The log of the state, which is cleared after this."""
        ...

    def started(self) -> None:
        """Since when something is known of all scopes has changed."""
        ...

    def switched(self, state: State) -> None:
        """Another rule set's state has taken over; it is to be told to `absorbed` from now on."""
        ...

    def disposed(
        self, scope: Scope, instruction_id: str, change: int, series: int, told: Sequence[tuple[int, Effect]]
    ) -> None:
        """A case has another disposition; its row was added to (`change` 1) or taken back from (-1) these series, and
        its model was told this.
        """
        ...


class State:
    """All scopes of one partition, with the effects that are not absorbed yet kept on a log so that they can be
    undone.
    """

    def __init__(self, series: Sequence[Series], max_lateness_us: int, model: ModelBlock | None = None) -> None:
        self.series = series
        self.max_lateness_us = max_lateness_us
        self.model = model  # that each scope has
        self.history = History(series, max_lateness_us)
        self.rows = Rows(layout_of(series, self.history.reaches))
        self._executed = sum(1 << each.index for each in series if each.key.population == "executed")
        self._longest_us = longest_us(self.rows.layout, max_lateness_us)
        self.start = ANCIENT  # the event time before which nothing is known of any scope
        self.warming: frozenset[int] = frozenset()  # the series that are warming in any scope
        self.scopes: dict[str, Scope] = {}
        self.recorder: Recorder | None = None
        # Flat lists, since a tuple for each entry would keep the garbage collector busy. Instructions that were added,
        # oldest first: scope, the series that they were added to as bits, the row. Ids that were noted: scope, id, what
        # it replaced. Cases that were opened: the same. What models saw: scope, effect, how it is undone.
        self.log: list[Any] = []
        self.new_ids: list[Any] = []
        self.new_cases: list[Any] = []
        self.scored: list[Any] = []
        self.touched: dict[str, tuple[Scope, int]] = {}  # scopes judged in, with the watermark they had before
        # The round of forgetting: what is still to be gone through, the series that is, and its keys that are left.
        self._places: Iterator[tuple[Scope, int]] = iter(())
        self._place: tuple[Scope, int] = (Scope("", 0), 0)
        self._keys: list[str | bytes] = []

    def scope(self, key: str) -> Scope:
        """The scope of a partition-key value that is not among the touched ones, now noted as one of them."""
        scope = self.scopes.get(key) or self.new_scope(key)
        self.touched[key] = (scope, scope.watermark)
        return scope

    def new_scope(self, key: str) -> Scope:
        """A scope for a partition-key value that has none."""
        scope = self.scopes[key] = Scope(key, len(self.series), started(self.model))
        if self.start > ANCIENT:
            self._begin(scope)
        return scope

    def starts_at(self, us: int) -> None:
        """Says that what was before this event time is not known, of no scope: windows that begin earlier are missing.

        To be said before anything is judged; of two times the later one holds.
        """
        self.start = max(self.start, us)
        for scope in self.scopes.values():
            self._begin(scope)
        if self.recorder is not None:
            self.recorder.started()

    def _begin(self, scope: Scope) -> None:
        self.know(scope, (max(each, self.start) for each in scope.since))

    def know(self, scope: Scope, since: Iterable[int]) -> None:
        """Sets from when on a scope's series are kept; where that does not matter, they are whole, as they always
        were."""
        whole = self.history.whole_from(since, scope.watermark)
        warming = self.history.warming(whole, scope.watermark)
        scope.since = [us if index in warming else ANCIENT for index, us in enumerate(whole)]
        scope.warming = warming
        if not warming <= self.warming:
            self.warming |= warming

    def lacking(self) -> int:
        """How many series do not reach back far enough for a payment of now, in any scope: late ones are not asked."""
        lack = (self.history.warming(each.since, each.watermark, late=False) for each in self.scopes.values())
        return len(frozenset().union(*lack)) if self.warming else 0

    # --- effects ---

    def open_case(
        self,
        scope: Scope,
        instruction_id: str,
        fingerprint: bytes,
        us: int,
        passed: bool,
        effect: Effect | None,
        learned: bool,
    ) -> None:
        """Remembers the instruction that was judged last, since its verdict was not to pass it; `effect`: on the model,
        and whether that has learned it.
        """
        row = self.log[-1] if self.series else (us, 0)
        replaced = scope.cases.pop(instruction_id, None)  # of an id that may come again: its place is at the end now
        scope.cases[instruction_id] = Case(fingerprint, passed, row, effect=effect, learned=learned)
        self.new_cases += (scope, instruction_id, replaced)

    def score(self, scope: Scope, seen: Observation, scored: Scored, learned: bool) -> Effect:
        """Lets the scope's model see the payment that it has just scored, and learn it or not."""
        model = scope.model
        assert model is not None
        effect = model.effect(seen, scored, learned)
        self.scored += (scope, effect, model.apply(effect))
        return effect

    def absorb(self) -> None:
        """Keeps what the log says, and forgets some of what has expired: work in proportion to what was added."""
        if self.recorder is not None:
            self.recorder.absorbed(self)
        covered = False
        for scope, _ in self.touched.values():
            scope.ids.forget(scope.watermark, self.max_lateness_us)
            self._forget_cases(scope)
            if scope.warming and self.history.warming(scope.since, scope.watermark) != scope.warming:
                self.know(scope, scope.since)
                covered = True
        if covered:
            self.warming = frozenset().union(*(scope.warming for scope in self.scopes.values()))
        self._forget_entries(len(self.log) // 3 * len(self.series))
        for scope, times in Counter(self.scored[::3]).items():
            scope.model.forget(LOOKS * times)
        self._clear()

    def discard(self) -> None:
        """Undoes what the log says, newest first."""
        for scope, added, row in _rows(self.log, 3):
            scope.take_back(self.rows, added, row)
        for scope, _, undo in _rows(self.scored, 3):
            scope.model.undo(undo)
        for scope, instruction_id, replaced in _rows(self.new_ids, 3):
            del scope.ids.newest[instruction_id]
            if replaced is not None:
                scope.ids.newest[instruction_id] = replaced
        for scope, instruction_id, replaced in _rows(self.new_cases, 3):
            del scope.cases[instruction_id]
            if replaced is not None:
                scope.cases[instruction_id] = replaced
        for key, (scope, watermark) in self.touched.items():
            scope.watermark = watermark
            if watermark == ANCIENT:
                del self.scopes[key]
        self._clear()

    def _clear(self) -> None:
        self.log.clear()
        self.new_ids.clear()
        self.new_cases.clear()
        self.scored.clear()
        self.touched.clear()

    @property
    def settled(self) -> bool:
        """Whether there are no effects that are neither absorbed nor discarded."""
        return not (self.log or self.touched)

    def dispose(
        self,
        key: str,
        instruction_id: str,
        disposition_id: str,
        disposition: Disposed,
        label: Label | None = None,
        decision_id: str | None = None,
    ) -> Applied:
        """Applies what a person decided, at the instruction's own event time; to be said between batches.

        `decision_id`: the decision that was answered, where that is said. `unknown`: the instruction opened no case, or
        one that no window can ask for any more. `other`: an instruction of other content did, under the same id.
        `full`: of this one MOST_DISPOSITIONS were applied.
        """
        scope = self.scopes.get(key)
        case = None if scope is None else scope.cases.get(instruction_id)
        if scope is None or case is None or self.is_over(scope, case):
            return "unknown"
        if decision_id is not None and not decision_id.startswith(case.fingerprint.hex()):
            return "other"
        if disposition_id in case.dispositions:
            return "repeated"
        if len(case.dispositions) >= MOST_DISPOSITIONS:
            return "full"
        before = case.executed
        case.dispositions.append(disposition_id)
        if disposition != "confirm":
            case.last = disposition
        change, series = case.executed - before, case.row[1] & self._executed
        if change > 0:
            scope.add(self.rows, series, case.row)
        elif change < 0:
            scope.take_back(self.rows, series, case.row)
        told = [*_told(scope, case, disposition, label)]
        for what, effect in told:
            tell(scope, what, effect)
        if self.recorder is not None:
            self.recorder.disposed(scope, instruction_id, change, series, told)
        return "applied"

    def is_over(self, scope: Scope, case: Case) -> bool:
        """Whether no window can ask for a case's instruction any more."""
        return bool(case.row[0] < self.forgotten(scope))

    def forgotten(self, scope: Scope) -> int:
        """The event time before which no window can ask for a case of a scope, or could under rules of before."""
        return max(scope.forgotten, scope.watermark - self._longest_us)

    def settle(self, layout: Layout) -> None:
        """Notes which cases are over under the rules of a layout, which others follow: they come back under none."""
        longest = longest_us(layout, self.max_lateness_us)
        for scope in self.scopes.values():
            scope.forgotten = max(scope.forgotten, scope.watermark - longest)

    def forget_ids(self) -> dict[str, tuple[frozenset[str], int]]:
        """Forgets every id; returns, for each partition-key value, those that could still be accepted, and the newest
        event time among them.
        """
        known = {}
        for key, scope in self.scopes.items():
            found = {each: us_in(seen) for each, seen in scope.ids.items() if self.accepts(key, us_in(seen))}
            if found:
                known[key] = frozenset(found), max(found.values())
            scope.ids = Ids()
        return known

    def accepts(self, key: str, us: int) -> bool:
        """Whether an instruction of that event time would not be too late."""
        scope = self.scopes.get(key)
        return scope is None or us >= scope.watermark - self.max_lateness_us

    def taken_over(self, old: State) -> State:
        """Takes over what another rule set's state remembers, which is of no use after that; series that it does not
        hold, or not as far back, warm. Returns this state.
        """
        translation = Translation(old.rows.layout, self.rows.layout)
        self.start = old.start
        for key, scope in old.scopes.items():
            new = self.scopes[key] = Scope(key, len(self.series), carried(scope.model, self.model))
            new.watermark, new.ids, new.symbols = scope.watermark, scope.ids, scope.symbols
            new.cases, new.forgotten = scope.cases, old.forgotten(scope)
            for case in new.cases.values():
                case.row = translation.row(case.row)
            if self.model is None:
                new.forget_effects()
            for index, number in enumerate(translation.numbers):
                if number is not None:
                    new.series[number] = scope.series[index]
                elif old.series[index].symbolic:
                    scope.forget_symbols(index)
            self.know(new, self.kept_since(old.rows.layout, translation, scope.since, scope.watermark))
        return self

    def remodel(self, model: ModelBlock | None) -> None:
        """Goes on with another model in each scope, or none: see `scoring.carried`."""
        if model != self.model:
            self.model = model
            for scope in self.scopes.values():
                scope.model = carried(scope.model, model)
                if model is None:
                    scope.forget_effects()

    def kept_since(self, old: Layout, translation: Translation, since: Sequence[int], watermark: int) -> list[int]:
        """From when on this state's series are kept, taken over from a scope of another layout."""
        found = [watermark + 1] * len(self.series)
        for index, number in enumerate(translation.numbers):
            if number is not None:
                reach_us = old.series[index].reach_us
                reaches = reach_us >= self.history.reaches[number]
                found[number] = since[index] if reaches else max(since[index], watermark - reach_us)
        return found

    # --- forgetting ---

    def forget(self, keys: int) -> None:
        """Forgets some of what has expired: cases, and what so many keys hold. For who adds without `absorb`."""
        for scope in self.scopes.values():
            self._forget_cases(scope)
        self._forget_entries(keys)

    def _forget_cases(self, scope: Scope) -> None:
        while scope.cases:
            oldest = next(iter(scope.cases))
            if not self.is_over(scope, scope.cases[oldest]):
                break
            del scope.cases[oldest]

    def _forget_entries(self, keys: int) -> None:
        """Looks at that many keys for expired entries, going round all series of which much can have expired: at least
        as many as were added, so that memory is bounded by what was added in one round, also under keys that are never
        used again."""
        while keys > 0:
            if not self._keys:
                place = next(self._places, None)
                if place is None:
                    self._places = _round(list(self.scopes.values()))
                    place = next(self._places, None)
                    if place is None:
                        return
                scope, index = self._place = place
                if scope.watermark - scope.looked_at[index] < self.history.reaches[index] // _LOOKS:
                    keys -= _PASSING_BY
                    continue
                scope.looked_at[index] = scope.watermark
                self._keys = list(scope.series[index])[::-1]  # the oldest last: looked at first, it has expired
            scope, index = self._place
            keyed, series = scope.series[index], self.series[index]
            keeps = series.keeps
            before = scope.watermark - self.history.reaches[index]
            looked_at = self._keys[-keys:]
            del self._keys[-keys:]
            keys -= len(looked_at)
            for key in looked_at:
                entries = keyed.get(key)
                if entries is None:
                    continue
                if isinstance(entries, array):  # a call for each would be felt
                    first = entries[0]
                elif isinstance(entries, int):
                    first = entries >> 64 if keeps else entries
                else:
                    first = entries.firsts[0]
                if first < before:
                    gone = trim(keyed, key, before, keeps)
                    if series.symbolic:
                        for symbol in gone:
                            scope.symbols.release(symbol)

    # --- counting ---

    def size(self) -> int:
        """How many keys and ids are held, and entities of models; quick."""
        return sum(
            len(scope.ids) + sum(map(len, scope.series)) + (0 if scope.model is None else len(scope.model))
            for scope in self.scopes.values()
        )

    def drift_events(self) -> int:
        """How many drift events the anomaly models remember, at most 20 each."""
        return sum(len(scope.model.core.drift.events) for scope in self.scopes.values() if scope.model is not None)

    def entries(self) -> dict[str, int]:
        """How many scopes, cases, ids, keys and entries are held, expired ones that are not forgotten yet included."""
        scopes = list(self.scopes.values())
        return {
            "scopes": len(scopes),
            "cases": sum(len(scope.cases) for scope in scopes),
            "ids": sum(len(scope.ids) for scope in scopes),
            "keys": sum(len(series) for scope in scopes for series in scope.series),
            "entities": sum(len(scope.model) for scope in scopes if scope.model is not None),
            "entries": sum(
                count(entries, series.keeps)
                for scope in scopes
                for series, keyed in zip(self.series, scope.series, strict=True)
                for entries in keyed.values()
            ),
        }


def _round(scopes: Sequence[Scope]) -> Iterator[tuple[Scope, int]]:
    """Every series of every scope that holds any key, once. No method: a state would hang in a cycle with its round."""
    for scope in scopes:
        for index, keyed in enumerate(scope.series):
            if keyed:
                yield scope, index


def tell(scope: Scope, what: int, effect: Effect) -> None:
    """Tells a scope's model of an effect: that it was scored, learned on release, or found fine or wrong, maybe
    after the opposite was said.
    """
    model = scope.model
    assert model is not None
    if what == SCORED:
        model.apply(effect)
    elif what == LEARNED:
        model.learn(effect)
    else:
        model.feedback(effect, what in (WRONG, WRONG_AFTER_ALL), what >= FINE_AFTER_ALL)


def _told(scope: Scope, case: Case, disposition: Disposed, label: Label | None) -> Iterator[tuple[int, Effect]]:
    """What the model is to be told of a disposition: a payment that is released now, and whether it was wrong where
    that was not said before. A label says it, or else a release does, and a confirmation.
    """
    effect, model = case.effect, scope.model
    if effect is None or model is None or not model.accepts(effect):
        return
    if disposition == "release" and not case.learned:
        case.learned = True
        yield LEARNED, effect
    wrong = {"true_alarm": True, "false_alarm": False, "release": False, "confirm": True}.get(label or disposition)
    if wrong is not None and wrong is not case.wrong:
        corrected, case.wrong = case.wrong is not None, wrong
        if corrected:
            yield WRONG_AFTER_ALL if wrong else FINE_AFTER_ALL, effect
        else:
            yield WRONG if wrong else FINE, effect


def _rows(flat: list[Any], width: int) -> Iterator[list[Any]]:
    """The rows of a flat list, last first."""
    for at in range(len(flat) - width, -1, -width):
        yield flat[at : at + width]
