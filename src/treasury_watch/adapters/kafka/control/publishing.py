"""Putting rule sets and tables on their topics: whatever workers would refuse is not sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from treasury_watch.adapters.approvals import Approvals, signed
from treasury_watch.adapters.bundles import Bundle, encode, ruleset_of, texts
from treasury_watch.adapters.kafka.control import reference
from treasury_watch.adapters.kafka.control.reference import ReferenceTables, TableMessage
from treasury_watch.adapters.kafka.control.topic import records, send, there
from treasury_watch.adapters.kafka.control.versions import Rollback, RuleVersions, rollback_statement
from treasury_watch.adapters.kafka.control.versions import decode as decode_rules
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.signatures import SigningKey
from treasury_watch.adapters.tables import read_text
from treasury_watch.rules.reference import Layout
from treasury_watch.rules.sets import layouts_of

Outcome = Literal["published", "current already"]


class NotPublished(Exception):
    """Why nothing was sent: one line."""


@dataclass(frozen=True, slots=True)
class Published:
    """What stands on the topic now, and at which offset."""

    outcome: Outcome
    ruleset: str
    offset: int


@dataclass(frozen=True, slots=True)
class Topics:
    """What stands on the topics of rule sets and of reference data; `values` are those of the first, by offset."""

    versions: RuleVersions
    reference: ReferenceTables
    values: Mapping[int, bytes]

    def current(self) -> Bundle | None:
        """The bundle of the current rule set; `None` if nothing was published."""
        version = self.versions.current
        found = None if version is None else decode_rules(self.values.get(version.held_at))
        return found if isinstance(found, Bundle) else None


async def topics(settings: Settings, approvals: Approvals) -> Topics:
    """What stands on both topics now. Raises BrokerError."""
    await there(settings, "rules", "reference")
    versions, tables, values = RuleVersions(approvals), ReferenceTables(approvals), {}
    async for record in records(settings, "rules"):
        if versions.take(record.offset, record.key, record.value) is not None:
            values[record.offset] = record.value
    async for record in records(settings, "reference"):
        tables.take(record.offset, record.key, record.value)
    return Topics(versions, tables, values)


async def publish_rules(settings: Settings, approvals: Approvals, bundle: Bundle) -> Published:
    """Publishes a bundle; returns where, once all in-sync replicas have it.

    Raises NotPublished, BrokerError, and what `ruleset_of` raises when it does not go with the published tables.
    """
    found = await topics(settings, approvals)
    refused = found.versions.refusal(bundle)
    if refused is not None:
        raise NotPublished(refused)
    version, current = found.versions.current, found.current()
    if version is not None and current is not None:
        if current.content == bundle.content:
            return Published("current already", bundle.ruleset, version.offset)
        new, old = ruleset_of(bundle).partition_by, ruleset_of(current).partition_by
        if new != old:
            raise NotPublished(f"partition_by is {new}, and payments are keyed by {old}")
    if found.reference.tables:
        ruleset_of(bundle, found.reference.tables)
    offset = await send(settings, "rules", bundle.ruleset.encode(), encode(bundle))
    return Published("published", bundle.ruleset, offset)


async def roll_back(settings: Settings, approvals: Approvals, prefix: str, key: SigningKey | None) -> Published:
    """Makes an earlier rule set the current one, by its hash or how that begins; signed with an approver's key.

    Raises NotPublished and BrokerError.
    """
    versions = (await topics(settings, approvals)).versions
    found = versions.matching(prefix)
    if len(found) != 1 or versions.current is None:
        which = f"{len(found)} published rule sets begin" if found else "no published rule set begins"
        raise NotPublished(f"{which} with {prefix}")
    if versions.current.ruleset == found[0]:
        return Published("current already", found[0], versions.current.offset)
    rollback = Rollback(ruleset=found[0], after=versions.current.offset)
    if key is not None:
        signatures = signed({}, rollback_statement(rollback), key, "approver")
        rollback = msgspec.structs.replace(rollback, signatures=signatures)
    refused = versions.refusal(rollback)
    if refused is not None:
        raise NotPublished(refused)
    offset = await send(settings, "rules", rollback.ruleset.encode(), msgspec.json.encode(rollback))
    return Published("published", rollback.ruleset, offset)


async def table_message(
    settings: Settings, approvals: Approvals, table: str, put: bytes, retired: bytes | None, *, changes: bool
) -> TableMessage:
    """The unsigned message that would put a table, or changes of it, behind what is on the topic now.

    Raises NotPublished, TableError and BrokerError, and what `ruleset_of` raises when the current rules cannot be read
    with it.
    """
    found = await topics(settings, approvals)
    layout = _layout(found, table)
    before = found.reference.tables.get(table)
    if changes and before is None:
        raise NotPublished(f"{table} was never published whole, so there is nothing to change: publish it whole first")
    message = reference.message_of(
        table,
        read_text(put, layout.identity, table),
        before if changes else None,
        found.reference.after(table),
        None if retired is None else read_text(retired, layout.identity, f"{table}, retired"),
    )
    _check(found, message)
    return message


async def publish_table(settings: Settings, approvals: Approvals, message: TableMessage) -> int:
    """Publishes a table; returns the record's offset, once all in-sync replicas have it.

    Raises NotPublished, TableError and BrokerError, and what `ruleset_of` raises when the current rules cannot be read
    with it.
    """
    found = await topics(settings, approvals)
    lacking = found.reference.lacking(message)
    if lacking is not None:
        raise NotPublished(lacking)
    _check(found, message)
    return await send(settings, "reference", message.table.encode(), reference.encode(message))


def _check(found: Topics, message: TableMessage) -> None:
    result = found.reference.result(message)
    if isinstance(result, str):
        raise NotPublished(result)
    current = found.current()
    if current is not None:
        ruleset_of(current, {**found.reference.tables, message.table: result})


def _layout(found: Topics, table: str) -> Layout:
    current = found.current()
    if current is None:
        raise NotPublished("no rule set was published, so nobody knows how the table is declared: rules publish")
    files = {path: text.encode() for path, text in texts(current).items()}
    layouts = {each.name: each for each in layouts_of(files).values()}
    if table not in layouts:
        raise NotPublished(f"the rules declare no table {table}; their tables are {', '.join(sorted(layouts))}")
    return layouts[table]
