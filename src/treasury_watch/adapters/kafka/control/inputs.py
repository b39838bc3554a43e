"""Rule sets and reference data as a worker follows them: which are the newest that can be judged by, and why not newer.

Everything that takes long, such as reading and compiling a rule set, is done in a thread, so that judging goes on.
What is newest depends on the two topics alone, not on when they are read: the last accepted rule set that can be read,
with the tables as they are. Where the two do not go together, what was before them stays until one of them is replaced.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from treasury_watch.adapters.approvals import Approvals
from treasury_watch.adapters.bundles import Bundle, BundleError, ruleset_of
from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.control.applied import NOT_YET, AppliedError, Place, Standing
from treasury_watch.adapters.kafka.control.reference import ReferenceTables
from treasury_watch.adapters.kafka.control.topic import record_at, records
from treasury_watch.adapters.kafka.control.versions import RuleVersions, Version, decode
from treasury_watch.adapters.kafka.reader import reader, until_now
from treasury_watch.adapters.packing import digest
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.tables import TableError, TableText
from treasury_watch.domain.payment import microseconds
from treasury_watch.engine import Program
from treasury_watch.rules import RuleErrors
from treasury_watch.rules.schema import RuleSet

_POLL_MS = 500
_RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ready:
    """What can be judged by, and the record that made it so."""

    input: Place
    standing: Standing
    program: Program

    @property
    def made_at(self) -> tuple[int, int]:
        """The offsets that it comes from, on the topics of rule sets and of reference data."""
        return offsets_of(self.standing)


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that cannot be used, and why: one line."""

    input: Place
    reason: str


def offsets_of(standing: Standing) -> tuple[int, int]:
    return standing.rules.offset, standing.reference.offset if standing.reference else NOT_YET


class ControlInputs:
    """Follows both topics."""

    def __init__(self, settings: Settings, approvals: Approvals) -> None:
        self.newest: Ready | None = None
        self.refused: list[Refused] = []
        self.seen = (NOT_YET, NOT_YET)  # offsets of the two topics up to which everything is settled
        self.versions = RuleVersions(approvals)
        self._settings = settings
        self._approvals = approvals
        self._reference = ReferenceTables(approvals)
        self._rules_tp = TopicPartition(settings.topic("rules"), 0)
        self._reference_tp = TopicPartition(settings.topic("reference"), 0)
        self._digests: dict[int, str] = {}  # of accepted records of the rules topic
        self._good: tuple[Version, Bundle, RuleSet] | None = None  # the newest that can be read
        self._unreadable: set[int] = set()  # versions, by offset
        self._keyed_by: str | None = None  # the field that payments are keyed by, once that is known
        self._apart: tuple[int, int] | None = None  # the newest pair that does not go together
        self._programs: dict[tuple[str, str], Program] = {}

    async def read(self) -> None:
        """Reads both topics up to their ends. Raises BrokerError."""
        async with reader(self._settings, [self._rules_tp, self._reference_tp]) as consumer:
            for tp in (self._rules_tp, self._reference_tp):
                consumer.seek(tp, self._seen(tp) + 1)
                async for record in until_now(consumer, tp):
                    self._take(tp, record)
        await self._settle()

    async def follow(self, on_change: Callable[[], None]) -> None:
        """Reads what comes, for ever; `on_change` is told when something did. Brokers that are away are waited for."""
        while True:
            try:
                async with reader(self._settings, [self._rules_tp, self._reference_tp]) as consumer:
                    await self._follow(consumer, on_change)
            except (BrokerError, KafkaError, OSError) as error:
                log.warning("control inputs cannot be read for now: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self, consumer: AIOKafkaConsumer, on_change: Callable[[], None]) -> None:
        for tp in (self._rules_tp, self._reference_tp):
            consumer.seek(tp, self._seen(tp) + 1)
        settled = False  # brokers may have gone away when what was fetched before was to be read
        while True:
            fetched = await consumer.getmany(timeout_ms=_POLL_MS)
            for tp, found in sorted(fetched.items()):
                for record in found:
                    self._take(tp, record)
            if fetched or not settled:
                await self._settle()
                settled = True
                on_change()

    async def program_of(self, standing: Standing) -> Program:
        """What was judged by, made again if need be. Raises BrokerError if what it was made of is not there."""
        if self.newest is not None and _hashes(self.newest.standing) == _hashes(standing):
            return self.newest.program
        found = self._programs.get(_hashes(standing))
        if found is None:
            bundle = decode((await record_at(self._settings, "rules", standing.held_at)).value)
            if not isinstance(bundle, Bundle):
                raise AppliedError(f"{standing.rules.topic} has no rule bundle at offset {standing.held_at}")
            tables = await self._tables_at(standing.reference)
            try:
                ruleset = await asyncio.to_thread(ruleset_of, bundle, tables)
            except (BundleError, RuleErrors, TableError) as error:
                raise AppliedError(f"rule set {standing.ruleset}, which is in force, cannot be read: {error}") from None
            if (ruleset.hash, ruleset.reference) != _hashes(standing):
                raise AppliedError(
                    f"judged was by {standing.ruleset} with reference data {standing.reference_hash}; what is on the "
                    f"topics makes {ruleset.hash} with {ruleset.reference}: a key with which a table was signed is "
                    "missing, perhaps"
                )
            found = self._programs[_hashes(standing)] = self._program(ruleset)
        return found

    async def _tables_at(self, place: Place | None) -> Mapping[str, TableText]:
        if place is None:
            return {}
        tables = ReferenceTables(self._approvals)
        async for record in records(self._settings, "reference"):
            if record.offset > place.offset:
                break
            tables.take(record.offset, record.key, record.value)
        return tables.tables

    # --- taking records ---

    def _seen(self, tp: TopicPartition) -> int:
        return self.seen[0] if tp == self._rules_tp else self.seen[1]

    def _take(self, tp: TopicPartition, record: Any) -> None:
        place = Place(tp.topic, tp.partition, record.offset, digest(record.value or b""))
        if record.offset <= self._seen(tp):
            return
        if tp == self._rules_tp:
            found = self.versions.take(record.offset, record.key, record.value)
            self.seen = (record.offset, self.seen[1])
            if isinstance(found, Version):
                self._digests[record.offset] = place.hash
        else:
            found = self._reference.take(record.offset, record.key, record.value)
            self.seen = (self.seen[0], record.offset)
        if isinstance(found, str):
            self._refuse(place, found)

    def _refuse(self, place: Place, reason: str) -> None:
        self.refused.append(Refused(place, reason))

    async def _settle(self) -> None:
        """Makes the newest pair ready, if there is one that was not tried."""
        await self._read_rules()
        if self._good is None:
            return
        version, bundle, own = self._good
        place, reference = self._rules_place(version), self._reference_place()
        wanted = (version.offset, NOT_YET if reference is None else reference.offset)
        made = None if self.newest is None else self.newest.made_at
        if wanted == made or wanted == self._apart:
            return
        cause = place if reference is None or made is None or wanted[0] != made[0] else reference
        tables = self._reference.tables
        try:
            ruleset = await asyncio.to_thread(ruleset_of, bundle, tables) if tables else own
            program = await asyncio.to_thread(self._program, ruleset)
        except Exception as error:  # also what our own code does not expect: what is in force stays
            self._apart = wanted
            self._refuse(cause, f"rules and reference data do not go together: {first_line(error)}")
            return
        standing = Standing(place, version.held_at, reference, own.hash, ruleset.hash, ruleset.reference)
        self.newest = Ready(cause, standing, program)

    async def _read_rules(self) -> None:
        """Finds the newest accepted version that can be read and judged by."""
        for version in reversed(self.versions.accepted):
            if self._good is not None and version.offset == self._good[0].offset:
                return
            if version.offset in self._unreadable:
                continue
            try:
                bundle, ruleset = await self._held_by(version)
                await asyncio.to_thread(self._program, ruleset)
                key = await self._key(version, ruleset)
                if ruleset.partition_by != key:
                    raise BundleError(f"payments are keyed by {key}, not {ruleset.partition_by}")
            except (BrokerError, KafkaError):
                raise
            except Exception as error:  # also what our own code does not expect: what is in force stays
                self._unreadable.add(version.offset)
                self._refuse(self._rules_place(version), first_line(error))
                continue
            self._good = version, bundle, ruleset
            return

    async def _key(self, version: Version, own: RuleSet) -> str:
        """The field that payments are keyed by: that of the first version that can be read, since it never changes.
        `own` is the rule set of a version that can be.
        """
        if self._keyed_by is not None:
            return self._keyed_by
        for first in self.versions.accepted:
            if first.offset == version.offset:
                break
            try:
                _, own = await self._held_by(first)
                break
            except (BrokerError, KafkaError):
                raise
            except Exception:  # also what our own code does not expect, as where the newest is looked for
                continue
        self._keyed_by = own.partition_by
        return own.partition_by

    async def _held_by(self, version: Version) -> tuple[Bundle, RuleSet]:
        """The bundle of a version and its rule set. Raises BundleError, RuleErrors and BrokerError."""
        bundle = decode((await record_at(self._settings, "rules", version.held_at)).value)
        if not isinstance(bundle, Bundle):
            raise BundleError("its bundle is not there")
        return bundle, await asyncio.to_thread(ruleset_of, bundle)

    def _rules_place(self, version: Version) -> Place:
        return Place(self._rules_tp.topic, 0, version.offset, self._digests[version.offset])

    def _reference_place(self) -> Place | None:
        found = self._reference
        if found.offset is None or found.hash is None:
            return None
        return Place(self._reference_tp.topic, 0, found.offset, found.hash)

    def _program(self, ruleset: RuleSet) -> Program:
        """The rule set made ready, compiled for today, too: nothing is left to do for the first payment."""
        program = Program(ruleset, self._settings.max_lateness, self._settings.on_engine_error)
        program.judge(program.days.of(microseconds(datetime.now().astimezone())))
        return program


def first_line(error: Exception) -> str:
    """What is wrong, in a line: of rule files the first finding, and how many there are."""
    if isinstance(error, RuleErrors):
        first, *rest = error.diagnostics
        more = f" (and {len(rest):,} more)" if rest else ""
        return f"{first.span.file}:{first.span.line}:{first.span.column}: {first.code} {first.message}{more}"
    return str(error) or type(error).__name__


def _hashes(standing: Standing) -> tuple[str, str]:
    return standing.ruleset, standing.reference_hash
