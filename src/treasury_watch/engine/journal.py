"""The journal (状态日志): every effect of a partition as records that make its state again.

A redo log with rolling checkpoints. *Effects* say what was added since the record before, a *position* up to where. In
between, a *rotation* goes through everything that is remembered, a stretch at a time, and says what it holds at that
moment; it begins with a *begin* and ends with a *whole*. Read in order from the begin of a whole rotation on, with what
a stretch says put in the place of what is there, the records make the state that they were written of: whatever a
stretch says of a key, earlier effects are in it and later ones follow it. So nothing ever stands still to be written.

A record is `number (8 bytes) · digest (16 bytes) · body`; the digest is over the digest before, the number and the
body, and begins anew with each rotation, so that reading can begin there. What is torn, missing or out of place is
noticed.

Whoever writes may be killed when some of it is there. So what means nothing by itself (some of a key's entries, rules
without since when they count) is in *parts*, which count with the record that follows them, and then all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from treasury_watch.engine.anomaly import KINDS, Effect, rows, take_core, take_rows
from treasury_watch.engine.assess import Engine
from treasury_watch.engine.encoding import (
    StateError,
    block_cells,
    block_of,
    case_cells,
    entry_rows,
    take_case_cells,
    take_entry_rows,
)
from treasury_watch.engine.program import Program
from treasury_watch.engine.rows import Layout, Rows, Translation, exact_bits
from treasury_watch.engine.scopes import Scope
from treasury_watch.engine.state import SCORED, State, tell
from treasury_watch.engine.warming import ANCIENT

VERSION = 8
BEGIN, EFFECTS, POSITION, SCOPE, IDS, ENTRIES, WHOLE, RULES, SINCE, PART, MODEL, ENTITIES = range(12)

_START = bytes(16)
_NUMBER = 8  # bytes
_HEAD = _NUMBER + len(_START)
_STRETCH = 512  # keys, ids or cases of one record
_MOST_BYTES = 600_000  # of rows in one record, about: the brokers' limit for a message is 1 MiB
_CORE = 512  # what a model's core counts for, in keys: it has as many bytes


class Record(NamedTuple):
    """A record to be written, and what kind it is."""

    kind: int
    data: bytes


def kind_of(record: bytes) -> int:
    """What kind of record this is. Raises StateError where it is none."""
    kind = _body(record[_HEAD:])[0]
    if not isinstance(kind, int):
        raise StateError("not a record of a state")
    return kind


def number_of(record: bytes) -> int:
    """The number of a record. Raises StateError where it is none."""
    kind_of(record)
    return int.from_bytes(record[:_NUMBER], "big")


class Journal:
    """Records what happens to an engine's state, from now on: its recorder."""

    def __init__(self, engine: Engine, position: int = 0, number: int = 0) -> None:
        """`position`: the offset of the next payment, as the state is now. `number`: that of the first record, one more
        than the last that was written before.
        """
        self._position = position
        self.number = number  # of the next record
        self._digest = _START
        self._state = engine.state
        engine.state.recorder = self
        self._effects: dict[Scope, _Effects] = {}
        self._pending = 0  # rows and ids that are not written yet
        self._rotation: Iterator[tuple[list[list[Any]], int]] | None = None
        self._begins = True  # nothing was written yet: a rotation is to begin first
        # Rules, and since when what is known: to be said again. Those who wrote before may have had other rules.
        self._switched = number > 0

    # --- the recorder of the state ---

    def absorbed(self, state: State) -> None:
        for scope, _ in state.touched.values():
            if scope not in self._effects:
                self._effects[scope] = _Effects()
        for scope, series, row in _by(state.log, 3):
            self._effects[scope].rows.append((series, row))
        for scope, instruction_id, _ in _by(state.new_ids, 3):
            self._effects[scope].ids.append(instruction_id)
        for scope, instruction_id, _ in _by(state.new_cases, 3):
            self._effects[scope].cases[instruction_id] = None
        for scope, effect, _ in _by(state.scored, 3):
            self._effects[scope].told.append((SCORED, effect))
        self._pending += len(state.new_ids) // 3

    def disposed(
        self, scope: Scope, instruction_id: str, change: int, series: int, told: Sequence[tuple[int, Effect]]
    ) -> None:
        effects = self._effects.setdefault(scope, _Effects())
        effects.cases[instruction_id] = None
        effects.told += told
        if change:
            effects.rows.append((series, scope.cases[instruction_id].row, change > 0))
        self._pending += 1

    def started(self) -> None:
        self._switched = True

    def switched(self, state: State) -> None:
        """What was absorbed before must have been taken: see `effects`."""
        if self._effects:
            raise StateError("there are effects of other rules that are not written")
        self._state = state
        state.recorder = self
        self._switched = True
        self._rotation = None

    # --- records ---

    @property
    def pending(self) -> int:
        """How many instructions and dispositions are not written yet."""
        return self._pending

    def effects(self, position: int) -> list[Record]:
        """Records of everything since the last time; with them the state is that of `position`, the offset of the next
        payment.
        """
        records = self.checkpoint(1) if self._begins else []
        records += [self._record(body) for body in (*self._rule_bodies(), *self._effect_bodies(), [POSITION, position])]
        self._effects.clear()
        self._switched = False
        self._pending = 0
        self._position = position
        return records

    def checkpoint(self, keys: int) -> list[Record]:
        """Records of the next stretches of the rotation, of about so many keys and ids; to be written behind all
        effects. Ends with a *whole*, if it comes to the end of the rotation; the next one then begins another.
        """
        records: list[Record] = []
        rotation = self._rotation or self._stretches()
        self._begins = False
        for bodies, size in rotation:
            last = len(bodies) - 1
            records += (self._record([PART, *body] if at < last else body) for at, body in enumerate(bodies))
            if bodies == [[WHOLE]]:
                self._rotation = None
                return records
            keys -= size
            if keys <= 0:
                break
        self._rotation = rotation
        return records

    def rotate(self) -> list[Record]:
        """A whole rotation at once: all that is remembered."""
        self._rotation = None
        records = self.checkpoint(_STRETCH)
        while records[-1].kind != WHOLE:
            records += self.checkpoint(_STRETCH)
        return records

    def _record(self, body: list[Any]) -> Record:
        data = msgspec.msgpack.encode(body)
        number = self.number.to_bytes(_NUMBER, "big")
        self._digest = _chained(_START if body[0] == BEGIN else self._digest, number, data)
        self.number += 1
        return Record(body[0], number + self._digest + data)

    def _rule_bodies(self) -> Iterator[list[Any]]:
        if self._switched:
            yield [PART, RULES, self._state.rows.layout, self._state.start, block_cells(self._state.model)]
            since = ([key, scope.since] for key, scope in self._state.scopes.items())
            yield from ([PART, SINCE, part] for part in _bounded(since))

    def _effect_bodies(self) -> Iterator[list[Any]]:
        rows = self._state.rows
        for scope, effects in self._effects.items():
            said = [[rows.plain_bits(series), rows.plain(row), *rest] for series, row, *rest in effects.rows]
            ids = [(each, seen) for each in effects.ids if (seen := scope.ids.find(each)) is not None]
            cases = [case_cells(rows, each, scope.cases[each]) for each in effects.cases if each in scope.cases]
            head = [EFFECTS, scope.key, scope.watermark]
            yield from ([*head, part, [], [], []] for part in _bounded(said))
            yield from ([*head, [], ids[at : at + _STRETCH], [], []] for at in range(0, len(ids), _STRETCH))
            yield from ([*head, [], [], part, []] for part in _bounded(cases))
            yield from ([*head, [], [], [], part] for part in _bounded(effects.told))

    def _stretches(self) -> Iterator[tuple[list[list[Any]], int]]:
        """The bodies of a rotation, those that belong together at once, and what they count for."""
        state = self._state
        model = block_cells(state.model)
        yield [[BEGIN, VERSION, state.rows.layout, state.max_lateness_us, state.start, self._position, model]], 1
        for scope in list(state.scopes.values()):
            cases = [case_cells(state.rows, each, case) for each, case in scope.cases.items()]
            head = [SCOPE, scope.key, scope.watermark, state.forgotten(scope), scope.since]
            yield [[*head, True, []], *([*head, False, part] for part in _bounded(cases))], 1 + len(cases)
            for generation in (scope.ids.newest, *scope.ids.older):
                for stretch in _stretched(generation):
                    ids = [(each, seen) for each in stretch if (seen := scope.ids.find(each)) is not None]
                    yield [[IDS, scope.key, ids]], len(stretch)
            for index in range(len(state.series)):
                for stretch in _stretched(scope.series[index]):
                    entries = entry_rows(state, scope, index, stretch)
                    yield [[ENTRIES, scope.key, index, part] for part in _bounded(entries)], len(stretch)
            if scope.model is not None:
                yield [[MODEL, scope.key, scope.model.core.cells()]], _CORE
                for kind in range(len(KINDS)):
                    for stretch in _stretched(scope.model.entities(kind)):
                        entities = rows(scope.model, kind, stretch)
                        yield [[ENTITIES, scope.key, kind, part] for part in _bounded(entities)], len(stretch)
        yield [[WHOLE]], 1


class _Effects:
    """What happened in one scope since the last record: rows with their series (and whether they were added or taken
    back), ids that were noted, cases that are new or decided, what its model was told.
    """

    __slots__ = ("cases", "ids", "rows", "told")

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.ids: list[str] = []
        self.cases: dict[str, None] = {}
        self.told: list[tuple[int, Effect]] = []


class Restoring:
    """Makes an engine of records, read in order from a *begin* on.

    `position` is the offset of the next payment, as of the last record that said one (`None` before any); `whole`,
    whether the rotation that was begun with has ended, so that the state is complete.
    """

    def __init__(self, program: Program) -> None:
        self.engine = Engine(program)
        self.whole = False
        self.position: int | None = None
        self.number: int | None = None  # of the last record
        self._digest = _START
        self._effects: list[list[Any]] = []  # those whose position has not come: until then they count nothing
        self._parts: list[list[Any]] = []  # of what has not ended
        self._layout: Layout | None = None
        self._since: dict[str, list[int]] = {}  # of each scope, by the series of the layout

    def take(self, record: bytes) -> None:
        """Takes the next record. Raises StateError when it is not what was written, or not the next; the state is then
        that of the records before.
        """
        number, digest, data = record[:_NUMBER], record[_NUMBER:_HEAD], record[_HEAD:]
        body = _body(data)
        at = int.from_bytes(number, "big")
        before = _START if body[0] == BEGIN else self._digest
        if self.number is None and body[0] != BEGIN:
            raise StateError(f"record {at} is no begin of a rotation")
        if self.number is not None and at != self.number + 1:
            raise StateError(f"record {self.number + 1} is missing: after it comes {at}")
        if _chained(before, number, data) != digest:
            raise StateError(f"record {at} is not what was written")
        try:
            if not (self.whole and not self._effects and _repeats(body)):
                self._take(body)
        except StateError:
            raise
        except (msgspec.ValidationError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise StateError(f"record {at} is damaged: {error}") from None
        self.number, self._digest = at, digest

    def finished(self) -> Engine:
        """The engine, when all records are taken. Raises StateError when they do not make a whole state."""
        if not self.whole or self.position is None:
            raise StateError("the records end before the state is whole")
        assert self._layout is not None
        state = self.engine.state
        state.settle(self._layout)
        unknown = [state.start] * len(self._layout.series)
        state.warming = frozenset()
        for key, scope in state.scopes.items():
            since = self._since.get(key, unknown)
            kept = state.kept_since(self._layout, self._translation, since, scope.watermark)
            if since is unknown:  # it came after all that was said of scopes
                kept = state.history.whole_from(kept, ANCIENT)
            state.know(scope, kept)
        state.remodel(self.engine.program.model)
        return self.engine

    def _take(self, body: list[Any]) -> None:
        kind, *cells = body
        if kind == BEGIN:  # whoever begins did not take effects whose position never came
            self._effects.clear()
            self._parts.clear()
        if kind == EFFECTS:
            self._effects.append(cells)
        elif kind == PART:
            self._parts.append(cells)
        elif kind == POSITION:
            self._take_parts()
            self._take_effects()
            (self.position,) = cells
        elif self._effects:
            raise StateError("effects without their position")
        elif kind == BEGIN:
            if self.number is None:
                self._begin(*cells)
        else:
            self._parts.append(body)
            self._take_parts()

    def _take_parts(self) -> None:
        parts, self._parts = self._parts, []
        for kind, *cells in parts:
            take = _KINDS.get(kind)
            if take is None:
                raise StateError(f"a record of the unknown kind {kind}")
            take(self, *cells)

    def _begin(self, version: int, *cells: Any) -> None:
        if version != VERSION:
            raise StateError(f"journal of version {version}; this engine reads version {VERSION}")
        layout, max_lateness_us, start, position, model = cells
        if max_lateness_us < self.engine.state.max_lateness_us:
            raise StateError("state of a shorter max_lateness: ids that may still come again are not in it")
        self.engine.state.start = start
        self.engine.state.remodel(block_of(model))
        self.position = position
        self._read_as(layout)

    def _read_as(self, layout: Any) -> None:
        self._layout = msgspec.convert(layout, Layout)
        self._rows = Rows(self._layout)
        self._translation = Translation(self._layout, self.engine.state.rows.layout)

    def _change_rules(self, layout: Any, start: int, model: list[Any] | None) -> None:
        """Other rules took the state over: of what they did not keep nothing was left, whoever reads it."""
        state = self.engine.state
        assert self._layout is not None
        state.settle(self._layout)
        state.start = start
        found = msgspec.convert(layout, Layout)
        there, back = Translation(state.rows.layout, found), Translation(found, state.rows.layout)
        for scope in state.scopes.values():
            for index, number in enumerate(there.numbers):
                if number is None:
                    scope.forget_series(index, state.series[index].symbolic)
            for case in scope.cases.values():
                case.row = back.row(there.row(case.row))
        state.remodel(block_of(model))
        self._since.clear()
        self._read_as(layout)

    def _take_since(self, said: list[Any]) -> None:
        self._since |= dict(said)

    def _end(self) -> None:
        self.whole = True

    def _scope(self, key: str) -> Scope:
        return self.engine.state.scopes.get(key) or self.engine.state.new_scope(key)

    def _take_scope(
        self, key: str, watermark: int, forgotten: int, since: list[int], first: bool, cases: list[Any]
    ) -> None:
        scope = self._scope(key)
        scope.watermark, scope.forgotten = watermark, forgotten
        self._since[key] = since
        if first:
            scope.cases.clear()
        for cells in cases:
            take_case_cells(scope, self._rows, self._translation, cells)

    def _take_ids(self, key: str, ids: list[tuple[str, bytes]]) -> None:
        self._scope(key).ids.put(ids)

    def _take_entries(self, key: str, index: int, rows: list[Any]) -> None:
        number = self._translation.numbers[index]
        if number is not None:
            series = self.engine.state.series[number]
            take_entry_rows(self._scope(key), number, rows, series.keeps, series.symbolic)

    def _take_model(self, key: str, cells: list[Any]) -> None:
        model = self._scope(key).model
        if model is None:
            raise StateError("a model's core, and no model judges")
        take_core(model, cells)

    def _take_entities(self, key: str, kind: int, said: list[Any]) -> None:
        model = self._scope(key).model
        if model is None:
            raise StateError("entities of a model, and no model judges")
        take_rows(model, kind, said)

    def _take_effects(self) -> None:
        state, read, translation = self.engine.state, self._rows, self._translation
        for key, watermark, added, ids, cases, told in self._effects:
            scope = self._scope(key)
            scope.watermark = watermark
            scope.ids.put(ids)
            scope.ids.forget(watermark, state.max_lateness_us)
            for series, cells, *rest in added:
                row = translation.row(read.exact(cells))
                members = translation.bits(exact_bits(series))
                if rest and not rest[0]:
                    scope.take_back(state.rows, members, row)
                else:
                    scope.add(state.rows, members, row)
            for cells in cases:
                take_case_cells(scope, read, translation, cells)
            for what, effect in told:
                tell(scope, what, effect)
        self._effects.clear()


# Of the class and not of each object, which would then hang in a cycle with a whole state.
_KINDS: dict[int, Callable[..., None]] = {
    SCOPE: Restoring._take_scope,
    IDS: Restoring._take_ids,
    ENTRIES: Restoring._take_entries,
    WHOLE: Restoring._end,
    RULES: Restoring._change_rules,
    SINCE: Restoring._take_since,
    MODEL: Restoring._take_model,
    ENTITIES: Restoring._take_entities,
}


def _repeats(body: list[Any]) -> bool:
    """Whether a record of a rotation says only what whoever has a whole state and all effects since then has."""
    return body[1 if body[0] == PART else 0] in (SCOPE, IDS, ENTRIES, MODEL, ENTITIES)


def _body(data: bytes) -> list[Any]:
    try:
        body = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise StateError(f"not a record of a state: {error}") from None
    if not isinstance(body, list) or not body:
        raise StateError("not a record of a state")
    return body


def _chained(before: bytes, number: bytes, data: bytes) -> bytes:
    return sha256(before + number + data).digest()[: len(_START)]


def _by(flat: Sequence[Any], width: int) -> Iterator[tuple[Any, ...]]:
    """The rows of a flat list, first to last."""
    return zip(*(flat[at::width] for at in range(width)), strict=True)


def _stretched(keys: Collection[Any]) -> Iterator[list[Any]]:
    """Keys in stretches, as they are now: a dictionary may change between two of them."""
    remaining = iter(list(keys))
    while stretch := list(islice(remaining, _STRETCH)):
        yield stretch


def _bounded(rows: Iterable[Sequence[Any]]) -> Iterator[list[msgspec.Raw]]:
    """Rows, encoded, in groups that fit a message."""
    group: list[msgspec.Raw] = []
    size = 0
    for row in rows:
        data = msgspec.msgpack.encode(row)
        if group and size + len(data) > _MOST_BYTES:
            yield group
            group, size = [], 0
        group.append(msgspec.Raw(data))
        size += len(data)
    if group:
        yield group
